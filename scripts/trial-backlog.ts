/**
 * Days without end for a trial: a few are always live, so that every slot has work. Each is watched from its submission
 * to its commit by the same client, and looked at for what must not happen: a task that was done and is not any more.
 */
import type { DaymillClient } from "../client/client.ts";
import type { JobBundle, RunStatus } from "../shared/adapters/grpc-types.ts";

/** Days under way at a time: one may be at its end, where little is left to do. */
const liveDays = 3;

/** Sums over the days that were committed. */
export interface BacklogSums {
  readonly committed: number;
  readonly rows: number;
  readonly tasks: number;
  /** Tasks by whoever committed them. */
  readonly winners: number;
  readonly failedAttempts: number;
  /** How often a stage had fewer done tasks than a moment before. */
  readonly ranAgain: number;
}

export class Backlog {
  readonly #client: DaymillClient;
  readonly #bundle: JobBundle;
  readonly #makeDay: (index: number) => string;
  readonly #runs: RunStatus[] = [];
  #next = 0;
  #ranAgain = 0;
  #isOver = false;
  #lanes: Promise<void>[] = [];
  #failure: unknown;

  /** `makeDay` puts the input of the n-th day in place, and names it. */
  constructor(client: DaymillClient, bundle: JobBundle, makeDay: (index: number) => string) {
    this.#client = client;
    this.#bundle = bundle;
    this.#makeDay = makeDay;
  }

  start(): void {
    this.#lanes = Array.from({ length: liveDays }, () => this.#lane());
    for (const lane of this.#lanes) {
      lane.catch((error: unknown) => {
        this.#failure ??= error;
      });
    }
  }

  /** Throws when a day has failed, or the client has given up. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** No further day; gives the sums when the last one is committed. A day that failed is an error. */
  async finish(): Promise<BacklogSums> {
    this.#isOver = true;
    await Promise.all(this.#lanes);
    const sum = (of: (run: RunStatus) => number) =>
      this.#runs.reduce((total, run) => total + of(run), 0);
    const ofStages = (run: RunStatus, of: (stage: RunStatus["stages"][number]) => number) =>
      run.stages.reduce((total, stage) => total + of(stage), 0);
    return {
      committed: this.#runs.length,
      rows: sum((run) => run.rowsIn),
      tasks: sum((run) => ofStages(run, (stage) => stage.tasks)),
      winners: sum((run) => Object.values(run.committedBy).reduce((a, b) => a + b, 0)),
      failedAttempts: sum((run) => ofStages(run, (stage) => stage.failedAttempts)),
      ranAgain: this.#ranAgain,
    };
  }

  stop(): void {
    this.#isOver = true;
  }

  async #lane(): Promise<void> {
    while (!this.#isOver) {
      const day = this.#makeDay(this.#next++);
      const { runId } = await this.#client.submit({ bundle: this.#bundle }, day);
      const last = await this.#follow(runId);
      if (last?.state !== "committed") throw new Error(`run ${runId}: ${JSON.stringify(last)}`);
      this.#runs.push(last);
    }
  }

  async #follow(runId: string): Promise<RunStatus | undefined> {
    const done = new Map<string, number>();
    let last: RunStatus | undefined;
    for await (const run of this.#client.watch(runId)) {
      last = run;
      for (const stage of run.stages) {
        if (stage.done < (done.get(stage.label) ?? 0)) this.#ranAgain++;
        done.set(stage.label, stage.done);
      }
    }
    return last;
  }
}
