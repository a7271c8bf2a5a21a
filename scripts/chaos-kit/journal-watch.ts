/**
 * The journal seen from outside: every fact that a leader saves, folded as a leader would fold it, a few milliseconds
 * after it was saved. Faults are injected at positions in it. It appends nothing, and waits out a NATS that is away.
 */
import type { Durable, StageKind } from "../../coordinator/core/durable.ts";
import { emptyDurable } from "../../coordinator/core/durable.ts";
import type { Fact } from "../../coordinator/core/facts.ts";
import { fold } from "../../coordinator/core/fold.ts";
import { type FactReader, readFacts } from "../../coordinator/core/journal-text.ts";
import { connectNats, type NatsLink } from "../../shared/adapters/nats.ts";
import { openJournal } from "../../shared/adapters/nats-journal.ts";
import { fail } from "../../shared/kernel/failure.ts";
import type { Journal, Log } from "../../shared/ports.ts";

/** One fact where it was seen. */
export interface Seen {
  readonly fact: Fact;
  /** Journal record that completed it. */
  readonly sequence: number;
  /** Epoch of the leader that saved it. */
  readonly epoch: number;
  /** Counts the journals: 1, and one more after each loss of NATS' files. */
  readonly life: number;
  /** `performance.now()` when it was read here. */
  readonly atMs: number;
  /** For facts about one attempt or task. */
  readonly about?: TaskPlace;
}

export interface TaskPlace {
  readonly run: string;
  readonly stage: number;
  readonly task: number;
  readonly kind: StageKind;
  readonly executor: string;
  readonly attemptId: string;
}

/** Everything seen so far; grows in place. */
export interface JournalView {
  readonly seen: readonly Seen[];
  readonly durable: Durable;
  /** Epoch of the last `led`. */
  readonly epoch: number;
  readonly sequence: number;
}

/** How often the journal is asked for news. */
const lookEveryMs = 12;

export const quiet: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => quiet,
};

export class JournalWatch {
  readonly #link: NatsLink;
  readonly #journal: Journal;
  readonly #seen: Seen[] = [];
  #durable = emptyDurable();
  #reader: FactReader = { pieces: [] };
  #sequence = 0;
  #life = 1;
  #epoch = 0;
  #closed = false;
  #missed = false;
  #looking: Promise<void> = Promise.resolve();

  private constructor(link: NatsLink, journal: Journal) {
    this.#link = link;
    this.#journal = journal;
    void this.#follow();
  }

  static async open(natsUrl: string, cluster: string): Promise<JournalWatch> {
    const link = await connectNats({ servers: [natsUrl], name: "chaos", log: quiet });
    return new JournalWatch(link, await openJournal(link, { cluster, replicas: 1 }));
  }

  /** For other things that are looked at from outside. */
  get link(): NatsLink {
    return this.#link;
  }

  get view(): JournalView {
    const [seen, durable, epoch, sequence] = [
      this.#seen,
      this.#durable,
      this.#epoch,
      this.#sequence,
    ];
    return { seen, durable, epoch, sequence };
  }

  /** Reads what is there now; NATS away: nothing happens. */
  refresh(): Promise<void> {
    this.#looking = this.#looking.then(() => this.#look().catch(() => undefined));
    return this.#looking;
  }

  /** NATS lost its files: the next journal begins at 1. */
  expectNewJournal(): void {
    this.#life++;
    this.#missed = false;
    this.#sequence = 0;
    this.#epoch = 0;
    this.#durable = emptyDurable();
    this.#reader = { pieces: [] };
  }

  /** Waits for `met`; false after `withinMs`. `stop` ends the wait early (Ctrl-C): `cancelled`. */
  async until(
    met: (view: JournalView) => boolean,
    withinMs: number,
    stop?: AbortSignal,
  ): Promise<boolean> {
    const last = performance.now() + withinMs;
    while (!met(this.view)) {
      if (this.#missed) throw fail("internal", "records were trimmed before the trial saw them");
      if (stop?.aborted) throw fail("cancelled", "interrupted");
      if (performance.now() > last) return false;
      await pause(lookEveryMs / 2);
    }
    return true;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#looking;
    await this.#link.close();
  }

  async #follow(): Promise<void> {
    while (!this.#closed) {
      await this.refresh();
      await pause(lookEveryMs);
    }
  }

  async #look(): Promise<void> {
    const life = this.#life;
    const last = await this.#journal.lastSequence();
    if (last <= this.#sequence) return;
    for await (const record of this.#journal.read(this.#sequence + 1)) {
      if (life !== this.#life) return;
      // A snapshot took its place before it was seen: what is told of this trial would not be true.
      if (this.#sequence > 0 && record.sequence !== this.#sequence + 1) this.#missed = true;
      this.#sequence = record.sequence;
      for (const fact of readFacts(this.#reader, record.text)) this.#take(fact);
    }
  }

  #take(fact: Fact): void {
    if (fact.kind === "led") this.#epoch = fact.epoch;
    const before = placeOf(this.#durable, fact);
    fold(this.#durable, fact);
    const about = before ?? placeOf(this.#durable, fact);
    this.#seen.push({
      fact,
      sequence: this.#sequence,
      epoch: this.#epoch,
      life: this.#life,
      atMs: performance.now(),
      ...(about === undefined ? {} : { about }),
    });
  }
}

function placeOf(durable: Durable, fact: Fact): TaskPlace | undefined {
  if (!("attemptId" in fact)) return undefined;
  const { attemptId } = fact;
  const attempt = durable.attempts.get(attemptId);
  const stage = durable.runs.get(attempt?.run ?? "")?.stages[attempt?.stage ?? -1];
  if (attempt === undefined || stage === undefined) return undefined;
  const { run, task, executor } = attempt;
  return { run, stage: attempt.stage, task, kind: stage.kind, executor, attemptId };
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
