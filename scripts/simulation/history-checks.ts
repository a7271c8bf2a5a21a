/**
 * Models across days: a run reads the revisions that it was pinned to when it began, whoever leads; they stay for as long
 * as it lives; and a day that runs by itself is, in the end, made from the rows that readers see of the days before it.
 */
import { jobNamed } from "../../coordinator/core/days/jobs.ts";
import { type Durable, liveRuns } from "../../coordinator/core/durable.ts";
import type { Fact } from "../../coordinator/core/facts.ts";
import type { Effect } from "../../coordinator/core/protocol.ts";
import { assert } from "../../shared/kernel/assert.ts";
import type { HistoryPin } from "../../shared/kernel/history.ts";
import { formatRunId } from "../../shared/kernel/job.ts";
import type { RunManifest } from "../../shared/kernel/manifest.ts";
import { unsigned } from "./rows.ts";
import type { SimCoordinator } from "./sim-coordinator.ts";
import type { SimMemory } from "./sim-memory.ts";

export class HistoryChecks {
  readonly #memory: SimMemory;
  /** Run → what the journal says that it reads. */
  readonly #pinned = new Map<string, string>();
  /** `run|dataset` → the rows that it committed, in order. */
  readonly #rows = new Map<string, string>();

  constructor(memory: SimMemory) {
    this.#memory = memory;
  }

  /** Each fact that the journal takes. */
  saw(fact: Fact): void {
    if (fact.kind !== "historyPinned") return;
    const text = JSON.stringify(fact.pins);
    const known = this.#pinned.get(fact.run) ?? text;
    assert(known === text, `${fact.run} is to read other revisions than those it began with`);
    this.#pinned.set(fact.run, text);
  }

  /** What the journal lost is decided again. */
  damaged(): void {
    this.#pinned.clear();
  }

  /** After each step of a leader. */
  stepped({ name, state }: SimCoordinator, effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.kind !== "dropRevision") continue;
      const { run, datasets } = effect;
      const reader = liveRuns(state.durable).find(({ history = [] }) =>
        history.some(
          ({ job, dataset, days }) =>
            job === run.job &&
            (datasets === "all" || datasets.includes(dataset)) &&
            days.some(({ day, revision }) => day === run.day && revision === run.revision),
        ),
      );
      const what = `r${run.revision} of ${run.job} ${run.day}`;
      assert(reader === undefined, `${name} removes ${what}, which ${reader?.id} reads`);
    }
  }

  committed(manifest: RunManifest): void {
    for (const pin of manifest.history ?? []) this.#isOfReaders(manifest, pin);
    for (const { dataset } of manifest.datasets) {
      this.#rows.set(`${manifest.run}|${dataset}`, this.#read(manifest, dataset));
    }
  }

  #isOfReaders({ run }: RunManifest, { job, dataset, days }: HistoryPin): void {
    for (const { day, revision } of days) {
      const read = this.#memory.manifests.get(formatRunId(job, day, revision));
      const isThere = read?.state === "committed" && read.datasets.some(isCalled(dataset));
      assert(revision === 0 || isThere, `${run} has read r${revision} of ${day}, which is none`);
    }
  }

  #read(manifest: RunManifest, dataset: string): string {
    const files = manifest.datasets.find(isCalled(dataset))?.files ?? [];
    const rows = files.flatMap(({ path }) => this.#memory.files.get(path) ?? []);
    return rows.map(unsigned).sort().join("\n");
  }

  /** The days of `jobs` that readers see read the rows that readers see of the days before them. */
  atTheEnd({ state }: SimCoordinator): void {
    const { durable } = state;
    for (const { job, day, committed, failed, made } of durable.days.values()) {
      const isByItself = jobNamed(durable, job)?.spec.schedule !== undefined;
      // What it was made from may be lost with a part of the journal: then nothing says that it is out of date.
      if (!isByItself || made === undefined || failed !== undefined) continue;
      const seen = this.#memory.manifests.get(formatRunId(job, day, committed));
      for (const { dataset, madeIn = committed } of seen?.datasets ?? []) {
        this.#isCurrent(durable, formatRunId(job, day, madeIn), dataset);
      }
    }
  }

  #isCurrent(durable: Durable, run: string, made: string): void {
    const { history = [], job } = this.#memory.manifests.get(run) ?? {};
    if (!this.#memory.readsDays(job ?? "", made)) return;
    for (const { dataset, days } of history) {
      for (const { day, revision } of days) {
        const now = durable.days.get(`${job}|${day}`)?.committed ?? 0;
        const rowsOf = (of: number) =>
          this.#rows.get(`${formatRunId(job ?? "", day, of)}|${dataset}`);
        const [read, there] = [rowsOf(revision), rowsOf(now)];
        if (there === undefined || (revision > 0 && read === undefined)) continue;
        assert(
          read === there,
          `${run} was made from r${revision} of ${day}, and readers see r${now}`,
        );
      }
    }
  }
}

function isCalled(name: string) {
  return ({ dataset }: { readonly dataset: string }) => dataset === name;
}
