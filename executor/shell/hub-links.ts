/**
 * The links that the core opens to leaders: one gRPC stream each, told by number. No retries and no choice of leader
 * here; a link that breaks, or whose peer takes nothing, is told once as lost.
 */
import { connectHub, type HubClient } from "../../shared/adapters/grpc-clients.ts";
import type { Duplex, FromExecutor, ToExecutor } from "../../shared/adapters/grpc-types.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { Hello, Message, ToLeader } from "../core/protocol.ts";
import { commandFromWire, helloToWire, toWire } from "./wire.ts";

interface Open {
  readonly client: HubClient;
  readonly stream: Duplex<ToExecutor, FromExecutor>;
}

/** All open links; in practice one. */
export class HubLinks {
  readonly #post: (message: Message) => void;
  readonly #open = new Map<number, Open>();

  constructor(post: (message: Message) => void) {
    this.#post = post;
  }

  /** Dials and says hello. An unreachable address is told as lost. */
  open(link: number, address: string, hello: Hello): void {
    let client: HubClient;
    try {
      client = connectHub(address);
    } catch (error) {
      const reason = `${JSON.stringify(address)} cannot be dialled: ${String(error)}`;
      this.#post({ kind: "linkLost", link, reason });
      return;
    }
    const stream = client.attach();
    this.#open.set(link, { client, stream });
    stream.listen(
      (message) => this.#heard(link, message),
      (reason) => this.#lost(link, reason?.message ?? "the coordinator closed the link"),
    );
    stream.send(helloToWire(hello));
  }

  /** Queues one message; a peer that lets too many pile up is left. */
  send(link: number, message: ToLeader): void {
    const open = this.#open.get(link);
    if (open === undefined) return;
    if (open.stream.backlog() >= limits.attachBacklogMessagesMax) {
      this.#lost(link, `${limits.attachBacklogMessagesMax} messages wait and none is taken`);
    } else {
      open.stream.send(toWire(message));
    }
  }

  /** Ends a link; nothing more is heard of it. */
  close(link: number): void {
    const open = this.#open.get(link);
    if (open === undefined) return;
    this.#open.delete(link);
    open.stream.end(failure("cancelled", "the executor left this link"));
    open.client.close();
  }

  closeAll(): void {
    for (const link of this.#open.keys()) this.close(link);
  }

  #heard(link: number, message: ToExecutor): void {
    if (!this.#open.has(link)) return;
    const heard = commandFromWire(message);
    if (heard !== undefined) this.#post({ kind: "commanded", link, ...heard });
    else this.#lost(link, "a message came that is no command of this version");
  }

  #lost(link: number, reason: string): void {
    if (!this.#open.has(link)) return;
    this.close(link);
    this.#post({ kind: "linkLost", link, reason });
  }
}
