/**
 * What must never be seen, whatever happens, and what must be true in the end. Checked against plain facts of the
 * shared memory (who wrote what), never against the coordinators' own opinion of themselves alone.
 */
import { emptyDurable, liveRuns } from "../../coordinator/core/durable.ts";
import { fold } from "../../coordinator/core/fold.ts";
import { readFacts } from "../../coordinator/core/journal-text.ts";
import type { Effect } from "../../coordinator/core/protocol.ts";
import { encodeSnapshot } from "../../coordinator/core/snapshot.ts";
import { assert } from "../../shared/kernel/assert.ts";
import type { RunManifest } from "../../shared/kernel/manifest.ts";
import type { FileFingerprint } from "../../shared/kernel/work.ts";
import type { ClusterMemory } from "./cluster-memory.ts";
import { simDays } from "./sample-job.ts";
import type { SimCoordinator } from "./sim-coordinator.ts";
import type { ExecutorCommandSent } from "./sim-executor.ts";

export class Checkers {
  /** Every state that the input folder had. */
  readonly inputsSeen: (readonly FileFingerprint[])[] = [];
  readonly #memory: ClusterMemory;
  readonly #leaderOf = new Map<number, string>();
  readonly #checked = new Set<string>();
  readonly #obeyedEpoch = new Map<string, number>();
  #appends = 0;
  #lastEpoch = 0;
  wasJournalLost = false;

  constructor(memory: ClusterMemory) {
    this.#memory = memory;
  }

  afterStep(coordinators: readonly SimCoordinator[]): void {
    for (const { name, state, life, isUp } of coordinators) {
      if (!isUp || state.role.kind !== "leader") continue;
      const { epoch } = state.role;
      const who = `${name}/${life}`;
      const known = this.#leaderOf.get(epoch) ?? who;
      assert(known === who, `epoch ${epoch} is led by ${known} and by ${who}`);
      this.#leaderOf.set(epoch, who);
    }
    this.#journalGoesUp();
    for (const manifest of this.#memory.manifests.values()) this.#rowsAreRight(manifest);
  }

  /** What is taken away is nobody's: no live run and no kept output of the one who asks stands on it. */
  asked({ name, state }: SimCoordinator, effects: readonly Effect[]): void {
    const { durable } = state;
    const live = liveRuns(durable);
    for (const effect of effects) {
      if (effect.kind === "dropStaging") {
        const isLive = live.some((run) => run.id === effect.run);
        assert(!isLive, `${name} drops the staging folder of ${effect.run}, which is live`);
      } else if (effect.kind === "dropStreams") {
        const used = live.flatMap((run) => [...run.exchanges.values()]);
        const inUse = used.flatMap((one) => one.streams).find((s) => effect.streams.includes(s));
        assert(inUse === undefined, `${name} drops ${inUse}, which a live run uses`);
      } else if (effect.kind === "purgeStreams") {
        const won = [
          ...live.flatMap((run) => run.stages.flatMap((stage) => stage.tasks)),
          ...[...durable.kept.values()].flatMap((kept) =>
            [...kept.outputs.values()].map((result) => ({ result })),
          ),
        ].map(({ result }) => result?.attemptId);
        const winner = effect.attempts.find((attempt) => won.includes(attempt));
        assert(winner === undefined, `${name} removes what ${winner} wrote, which has won`);
      }
    }
  }

  obeyed(executor: string, sent: ExecutorCommandSent): void {
    const before = this.#obeyedEpoch.get(executor) ?? 0;
    assert(sent.epoch >= before, `${executor} obeyed epoch ${sent.epoch} after ${before}`);
    this.#obeyedEpoch.set(executor, sent.epoch);
  }

  journalLost(): void {
    this.wasJournalLost = true;
    this.#appends = 0;
    this.#lastEpoch = 0;
  }

  /** No record of an older epoch follows one of a newer. */
  #journalGoesUp(): void {
    for (const { sequence, text } of this.#memory.journal) {
      if (sequence <= this.#appends) continue;
      const { epoch } = JSON.parse(text.slice(0, text.indexOf("\n"))) as { epoch: number };
      assert(epoch >= this.#lastEpoch, `record ${sequence} of epoch ${epoch} is too late`);
      this.#lastEpoch = epoch;
      this.#appends = sequence;
    }
  }

  /** Each input file's rows are in each group's dataset file exactly once: the plain oracle. */
  #rowsAreRight(manifest: RunManifest): void {
    if (manifest.state !== "committed" || this.#checked.has(manifest.run)) return;
    this.#checked.add(manifest.run);
    const files = manifest.datasets.flatMap((dataset) => dataset.files);
    const rows = files.flatMap((file) => this.#memory.files.get(file.path) ?? []).sort();
    const expected = this.inputsSeen.map((inputs) =>
      inputs
        .flatMap((file) => [0, 1].map((group) => `${file.path}@${file.mtimeNs}#${group}`))
        .sort()
        .join("\n"),
    );
    const isRight = expected.includes(rows.join("\n"));
    assert(isRight, `${manifest.run} committed other rows than its input: ${rows.join(" ")}`);
  }

  atTheEnd(
    coordinators: readonly SimCoordinator[],
    promised: ReadonlyMap<string, string>,
    cancelled: ReadonlySet<string>,
  ): void {
    const leaders = coordinators.filter(({ state }) => state.role.kind === "leader");
    assert(leaders.length === 1, `${leaders.length} coordinators lead in the end`);
    const [leader] = leaders;
    assert(leader !== undefined, "one leads");
    const { durable } = leader.state;
    for (const [request, run] of promised) {
      if (run === "done before") continue;
      const state = this.#memory.manifests.get(run)?.state;
      const mayBeCancelled = cancelled.has(run) && !request.startsWith("once-more");
      if (state === "aborted" && mayBeCancelled) continue;
      assert(state === "committed", `${request} was promised ${run}, which is ${state}`);
    }
    for (const day of simDays) {
      assert(promised.has(`first-${day}`), `nobody took day ${day}`);
    }
    for (const run of durable.runs.values()) {
      assert(run.ended !== undefined, `${run.id} is still ${run.state} after all this time`);
    }
    this.#viewsAreNewest();
    this.#nothingIsLeftBehind(leader);
    if (!this.wasJournalLost) this.#replayIsLive(leader);
  }

  #viewsAreNewest(): void {
    for (const { state, job, day, revision } of this.#memory.manifests.values()) {
      const seen = this.#memory.views.get(`${job}|${day}`) ?? 0;
      if (state === "committed") assert(seen >= revision, `readers see r${seen}, not r${revision}`);
    }
    for (const [key, revision] of this.#memory.views) {
      const [job, day] = key.split("|");
      const run = `${job}.${day}.r${revision}`;
      assert(
        this.#memory.manifests.get(run)?.state === "committed",
        `${run} is seen, not committed`,
      );
    }
  }

  /** Every run has ended: what is left is kept outputs, and nothing in staging. */
  #nothingIsLeftBehind(leader: SimCoordinator): void {
    const staged = this.#memory.stagedRuns();
    const requests = [...this.#memory.requests.keys()];
    assert(requests.length === 0, `requests are still there: ${requests.join(", ")}`);
    assert(staged.length === 0, `staging still holds ${staged.join(", ")}`);
    const kept = [...leader.state.durable.kept.values()].flatMap((one) => one.exchanges);
    const wanted = new Set(kept.flatMap((exchange) => exchange.streams));
    for (const stream of this.#memory.streams.keys()) {
      assert(wanted.has(stream), `stream ${stream} is nobody's`);
    }
  }

  #replayIsLive(leader: SimCoordinator): void {
    const durable = emptyDurable();
    const reader = { pieces: [] };
    for (const record of this.#memory.journal) {
      for (const fact of readFacts(reader, record.text)) fold(durable, fact);
    }
    const isSame = encodeSnapshot(durable) === encodeSnapshot(leader.state.durable);
    assert(isSame, "the journal gives another state than the leader has");
  }
}
