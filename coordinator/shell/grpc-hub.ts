/**
 * The executors' streams: what they say becomes messages of the core, commands of the core go down to them.
 * One stream is one connection number. A stream that does not take its commands is dropped: the executor
 * attaches again and says what it still runs. It decides nothing about executors.
 */
import { executorHubService } from "../../shared/adapters/grpc.ts";
import type { Duplex, FromExecutor, ToExecutor } from "../../shared/adapters/grpc-types.ts";
import { type Failure, fail, failure, fromUnknown } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { Log } from "../../shared/ports.ts";
import type { ConnectionId, ExecutorCommand, ExecutorMessage } from "../core/protocol.ts";
import { fromWireHello, fromWireOutcome, toWireCommand } from "./wire.ts";

type Stream = Duplex<FromExecutor, ToExecutor>;

interface Connection {
  readonly stream: Stream;
  /** The core knows this connection. */
  attached: boolean;
}

export class ExecutorHub {
  readonly #post: (message: ExecutorMessage) => void;
  readonly #postSurely: (message: ExecutorMessage) => void;
  readonly #log: Log;
  readonly #connections = new Map<ConnectionId, Connection>();
  #last: ConnectionId = 0;

  /** `post` may throw `mailboxFull`; `postSurely` never loses its message. */
  constructor(options: {
    post: (message: ExecutorMessage) => void;
    postSurely: (message: ExecutorMessage) => void;
    log: Log;
  }) {
    this.#post = options.post;
    this.#postSurely = options.postSurely;
    this.#log = options.log;
  }

  service() {
    return executorHubService({ attach: (stream) => this.#attach(stream) });
  }

  send(id: ConnectionId, epoch: number, command: ExecutorCommand): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    if (connection.stream.backlog() >= limits.attachBacklogMessagesMax) {
      const text = `${limits.attachBacklogMessagesMax} commands wait unread; attach again`;
      this.#drop(id, failure("unavailable", text));
      return;
    }
    connection.stream.send(toWireCommand(epoch, command));
  }

  /** Ends one stream after what was sent before. */
  close(id: ConnectionId): void {
    this.#drop(id, undefined);
  }

  #attach(stream: Stream): void {
    if (this.#connections.size >= limits.executorsMax * 2) {
      stream.end(failure("limitExceeded", `${this.#connections.size} executors are attached`));
      return;
    }
    const id = ++this.#last;
    this.#connections.set(id, { stream, attached: false });
    stream.listen(
      (message) => this.#heard(id, message),
      () => this.#gone(id),
    );
  }

  #heard(id: ConnectionId, message: FromExecutor): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    try {
      const translated = translate(id, message);
      if (translated.kind !== "attached" && !connection.attached) {
        throw fail("badRequest", "the first message of an executor is its hello");
      }
      this.#post(translated);
      connection.attached = true;
    } catch (error) {
      // A heartbeat may be lost, a report may not: after attaching again the executor sends it once more.
      this.#drop(id, fromUnknown(error));
    }
  }

  #drop(id: ConnectionId, reason: Failure | undefined): void {
    const connection = this.#connections.get(id);
    if (connection === undefined) return;
    if (reason !== undefined) {
      this.#log.warn("executor stream ended by us", {
        peer: connection.stream.peer,
        code: reason.code,
        reason: reason.message,
      });
    }
    connection.stream.end(reason);
    this.#gone(id);
  }

  #gone(id: ConnectionId): void {
    const connection = this.#connections.get(id);
    this.#connections.delete(id);
    if (connection?.attached) this.#postSurely({ kind: "detached", connection: id });
  }
}

function translate(connection: ConnectionId, message: FromExecutor): ExecutorMessage {
  if (message.hello) return { kind: "attached", connection, hello: fromWireHello(message.hello) };
  if (message.heartbeat) {
    const { running, workerPids, peakMemoryBytes } = message.heartbeat;
    return { kind: "heartbeat", connection, running, workerPids, peakMemoryBytes };
  }
  if (message.report) {
    const { attemptId } = message.report;
    return { kind: "report", connection, attemptId, outcome: fromWireOutcome(message.report) };
  }
  if (message.draining) return { kind: "draining", connection, reason: message.draining.reason };
  throw fail("badRequest", "an executor's message says nothing that this version knows");
}
