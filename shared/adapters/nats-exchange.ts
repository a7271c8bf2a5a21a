/**
 * The words of the exchange on NATS: subjects, headers and the window of bytes under way.
 * A message's subject says the attempt and whether it is data or the completion record; its headers say its number
 * within (attempt, group) and the rows of each partition, so that it can be dropped unopened.
 */
import { headers, type MsgHdrs } from "@nats-io/transport-node";
import { assert } from "../kernel/assert.ts";
import { fail } from "../kernel/failure.ts";

const sequenceHeader = "Daymill-Seq";
const rowsHeader = "Daymill-Rows";

/** Everything of a stream: what the stream is bound to. */
export function allSubjects(stream: string): string {
  return `x.${stream}.>`;
}

/** All completion records and accounts of a stream. */
export function recordSubjects(stream: string): string {
  return `x.${stream}.*.*`;
}

export function dataSubject(stream: string, attemptId: string): string {
  assert(/^[A-Za-z0-9_-]+$/.test(attemptId), "an attempt id is one token of a subject");
  return `x.${stream}.${attemptId}`;
}

export function completionSubject(stream: string, attemptId: string): string {
  return `${dataSubject(stream, attemptId)}.done`;
}

/** What a map attempt gave, for a leader that lost its journal. In one stream of the attempt only. */
export function accountSubject(stream: string, attemptId: string): string {
  return `${dataSubject(stream, attemptId)}.account`;
}

/** What a message's subject and headers say. */
export interface MessageHead {
  readonly attemptId: string;
  readonly kind: "data" | "completion";
  /** Number within (attempt, group), from 0; a repeat has the same. */
  readonly sequence: number;
  /** Text form of the rows per partition (`parsePartitionRows`). */
  readonly rows: string;
}

export function messageHeaders(sequence: number, rows: string): MsgHdrs {
  const made = headers();
  made.set(sequenceHeader, String(sequence));
  if (rows !== "") made.set(rowsHeader, rows);
  return made;
}

/** undefined for messages that no reader of rows has to do with. */
export function parseHead(subject: string, given: MsgHdrs | undefined): MessageHead | undefined {
  const [root, , attemptId, suffix] = subject.split(".");
  if (root !== "x" || attemptId === undefined) return undefined;
  if (suffix === "done") return { attemptId, kind: "completion", sequence: 0, rows: "" };
  const sequence = Number(given?.get(sequenceHeader) || Number.NaN);
  if (suffix !== undefined || !Number.isSafeInteger(sequence)) return undefined;
  return { attemptId, kind: "data", sequence, rows: given?.get(rowsHeader) ?? "" };
}

/** Bytes under way, bounded. The client library buffers without bound, so this is the only back-pressure. */
export interface ByteWindow {
  readonly inFlight: number;
  /** Largest `inFlight` so far. */
  readonly peak: number;
  /** Waits until `bytes` more may be under way (one thing larger than the window may go alone). */
  take(bytes: number): Promise<void>;
  give(bytes: number): void;
  /** Waits until nothing is under way. */
  drained(): Promise<void>;
  /** From now on every wait ends with this error. */
  fail(error: unknown): void;
}

/** A window of `bytesMax`; an abort of `signal` ends every wait with `cancelled`. */
export function createByteWindow(bytesMax: number, signal: AbortSignal): ByteWindow {
  let inFlight = 0;
  let peak = 0;
  let broken: { error: unknown } | undefined;
  let waiting: (() => void)[] = [];
  const wakeAll = () => {
    const woken = waiting;
    waiting = [];
    for (const resume of woken) resume();
  };
  const until = async (free: () => boolean) => {
    signal.addEventListener("abort", wakeAll);
    try {
      while (broken === undefined && !signal.aborted && !free()) {
        await new Promise<void>((resume) => waiting.push(resume));
      }
    } finally {
      signal.removeEventListener("abort", wakeAll);
    }
    if (broken !== undefined) throw broken.error;
    if (signal.aborted) throw fail("cancelled", "the exchange was cancelled");
  };
  return {
    get inFlight() {
      return inFlight;
    },
    get peak() {
      return peak;
    },
    async take(bytes) {
      await until(() => inFlight === 0 || inFlight + bytes <= bytesMax);
      inFlight += bytes;
      peak = Math.max(peak, inFlight);
    },
    give(bytes) {
      inFlight -= bytes;
      wakeAll();
    },
    drained: () => until(() => inFlight === 0),
    fail(error) {
      broken ??= { error };
      wakeAll();
    },
  };
}
