/**
 * A TCP proxy with bad manners, for one target: it can cut what flows, refuse what comes, hold everything back, delay
 * it or let it through drop by drop. Nothing is read or changed; bytes keep their order.
 */
import { createConnection, createServer, type Server, type Socket } from "node:net";

/** What the line does to bytes. Numbers may be combined; `cut` and `hold` are everything or nothing. */
export interface LineState {
  /** Connections are destroyed and new ones refused. */
  readonly cut?: boolean;
  /** Connections live, but nothing comes through until this ends. */
  readonly hold?: boolean;
  /** Each piece arrives this much later, in milliseconds. */
  readonly delayMs?: number;
  /** At most this many bytes a second, in each direction of each connection. */
  readonly bytesPerSecond?: number;
}

/** A piece is at most this long, so that a slow line is slow evenly. */
const pieceBytes = 16 * 1024;
/** Bytes held of one direction; above that its sender is not read, and its own socket fills. */
const heldBytesMax = 1024 * 1024;

export class TcpProxy {
  readonly #server: Server;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  readonly #lines = new Set<Line>();
  #target: { readonly host: string; readonly port: number } | undefined;
  #state: LineState = {};
  #passed = 0;

  private constructor() {
    // Each direction ends by itself: what is under way the other way still arrives.
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
  }

  /** Listens on a free port of this machine; connections wait for `aim` before they go anywhere. */
  static async open(): Promise<TcpProxy> {
    const proxy = new TcpProxy();
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once("error", reject);
      proxy.#server.listen(0, "127.0.0.1", resolve);
    });
    return proxy;
  }

  /** `host:port` that clients are given. */
  get address(): string {
    const address = this.#server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    return `127.0.0.1:${port}`;
  }

  /** Bytes that came through, both ways. */
  get passed(): number {
    return this.#passed;
  }

  get connections(): number {
    return this.#pairs.size;
  }

  /** Where connections lead from now on: `host:port`, or a URL with both. */
  aim(target: string): void {
    const match = /^(?:\w+:\/\/)?([^:/]+):(\d+)$/.exec(target);
    this.#target = { host: match?.[1] ?? "127.0.0.1", port: Number(match?.[2] ?? 0) };
  }

  /** How the line is from now on; `{}` is a good one. */
  set(state: LineState): void {
    this.#state = state;
    if (state.cut) for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    for (const line of this.#lines) line.wake();
  }

  async close(): Promise<void> {
    this.set({ cut: true });
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #accept(near: Socket): void {
    near.on("error", () => near.destroy());
    if (this.#state.cut || this.#target === undefined) {
      near.resetAndDestroy();
      return;
    }
    const far = createConnection({ ...this.#target, allowHalfOpen: true });
    far.on("error", () => far.destroy());
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    const state = () => this.#state;
    const passed = (bytes: number) => {
      this.#passed += bytes;
    };
    const lines = [new Line(near, far, state, passed), new Line(far, near, state, passed)];
    for (const line of lines) this.#lines.add(line);
    for (const [socket, other] of [pair, [far, near] as const]) {
      socket.once("close", (hadError) => {
        // After a good end the line itself ends the other side, when all has arrived there.
        if (hadError) other.destroy();
        if (!other.closed) return;
        this.#pairs.delete(pair);
        for (const line of lines) this.#lines.delete(line);
      });
    }
  }
}

/** One direction of one connection: pieces in order, each when the line lets it through. */
class Line {
  readonly #to: Socket;
  readonly #from: Socket;
  readonly #state: () => LineState;
  readonly #passed: (bytes: number) => void;
  readonly #waiting: { readonly piece: Buffer; readonly cameAt: number }[] = [];
  #timer: NodeJS.Timeout | undefined;
  #freeAt = 0;
  #held = 0;
  #ended = false;

  constructor(from: Socket, to: Socket, state: () => LineState, passed: (bytes: number) => void) {
    this.#from = from;
    this.#to = to;
    this.#state = state;
    this.#passed = passed;
    from.on("data", (chunk: Buffer) => this.#came(chunk));
    from.on("end", () => {
      this.#ended = true;
      this.wake();
    });
    to.on("close", () => clearTimeout(this.#timer));
    to.on("drain", () => from.resume());
  }

  /** Looks again at what may go now. */
  wake(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const { hold, delayMs = 0, bytesPerSecond } = this.#state();
    if (hold) return;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const now = performance.now();
      const due = Math.max(next.cameAt + delayMs, bytesPerSecond === undefined ? 0 : this.#freeAt);
      if (due > now) {
        this.#timer = setTimeout(() => this.wake(), Math.ceil(due - now));
        return;
      }
      this.#waiting.shift();
      this.#held -= next.piece.length;
      if (bytesPerSecond !== undefined) {
        this.#freeAt = Math.max(now, this.#freeAt) + (next.piece.length * 1_000) / bytesPerSecond;
      }
      this.#passed(next.piece.length);
      if (!this.#to.destroyed) this.#to.write(next.piece);
    }
    if (this.#ended) this.#to.end();
    else if (!this.#to.writableNeedDrain && this.#held < heldBytesMax) this.#from.resume();
  }

  #came(chunk: Buffer): void {
    for (let from = 0; from < chunk.length; from += pieceBytes) {
      const piece = chunk.subarray(from, from + pieceBytes);
      this.#waiting.push({ piece, cameAt: performance.now() });
    }
    this.#held += chunk.length;
    this.wake();
    if (this.#held >= heldBytesMax || this.#to.writableNeedDrain) this.#from.pause();
  }
}
