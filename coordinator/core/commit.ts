/**
 * From "all rows are right" to "readers see them", and the opposite: arrange files, create the manifest (that is the
 * commit), move the view, remember it. Every step may be done twice; what is on storage wins over what we meant.
 */
import { assert } from "../../shared/kernel/assert.ts";
import { failure } from "../../shared/kernel/failure.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { limits } from "../../shared/kernel/limits.ts";
import {
  lateDataset,
  type ManifestDataset,
  type RevisionOfDay,
  type RunManifest,
  rejectsDataset,
} from "../../shared/kernel/manifest.ts";
import type { DatasetStatus } from "../../shared/kernel/status.ts";
import { figuresOf } from "./check-history.ts";
import { judgeChecks, verdictOf } from "./checks.ts";
import { dayKey, isStaged, type Run, startOf } from "./durable.ts";
import { dropExpired, dropSuperseded } from "./expired-outputs.ts";
import type { Fact } from "./facts.ts";
import { lookForLeftovers } from "./leftovers.ts";
import { lookForOldFiles } from "./old-revisions.ts";
import { sourceAccounts } from "./rejects-limit.ts";
import { speedOf } from "./run-speed.ts";
import { atStake, unwantedStreams } from "./salvage.ts";
import { carriedDataset, carriedDatasets, carriedSources, jobOfRun } from "./selection.ts";
import { dropStaging, lookWithin, stagingVerdict } from "./space.ts";
import { ask, decide, epochOf, log, publish, type Turn, tell } from "./turn.ts";
import { waitsNoMore } from "./waiting.ts";
import { stagedFiles } from "./work-builder.ts";

interface Arranged {
  readonly dataset: string;
  readonly staged: string;
}

export function arrangeRun(turn: Turn, run: Run): void {
  if (run.select === undefined) {
    arrange(turn, run, filesToArrange(run));
    return;
  }
  // What readers see now, also when an earlier one was seen before: a quarantined one may have been released since.
  const { job, day } = run;
  const revision = committedOf(turn, run);
  const purpose = { kind: "run", run: run.id } as const;
  ask(turn, { kind: "readRevision", run: { job, day, revision } }, purpose);
}

/** The revision that a run of some models carries the others over from. */
export function baseRead(turn: Turn, run: Run, base: RunManifest): void {
  assertCommitting(run);
  turn.state.carried.set(run.id, base);
  arrange(turn, run, [...filesToArrange(run), ...carriedFiles(run, base)]);
}

function committedOf(turn: Turn, { job, day }: Run): number {
  return turn.state.durable.days.get(dayKey(job, day))?.committed ?? 0;
}

/** Hard links of what the earlier revision names: its folder may go, what is carried over stays. */
function carriedFiles(run: Run, base: RunManifest): readonly Arranged[] {
  return carriedDatasets(run, base).flatMap(({ dataset, files }) =>
    files.map(({ path }) => ({ dataset, staged: path })),
  );
}

function arrange(turn: Turn, run: Run, files: readonly Arranged[]): void {
  const { job, day, revision } = run;
  ask(
    turn,
    { kind: "arrange", epoch: epochOf(turn), run: { job, day, revision }, files },
    { kind: "run", run: run.id },
  );
}

function filesToArrange(run: Run): readonly Arranged[] {
  const datasets = run.plan.datasets.flatMap(({ model }) =>
    stagedFiles(run, model).map((file) => ({ dataset: model, staged: file.path })),
  );
  return [...datasets, ...sideFiles(run).filter((file) => file.isStaged)];
}

interface SideFile extends Arranged {
  readonly kind: "rejects" | "late";
  readonly isStaged: boolean;
}

/** Reject and late files of the winners. Those of a re-used output were arranged by the run that read the lines. */
function sideFiles(run: Run): readonly SideFile[] {
  return run.stages.flatMap((stage, index) => {
    const input = run.plan.stages[index]?.input;
    const late = input?.kind === "scan" ? lateDataset(input.source) : "late";
    return stage.tasks.flatMap(({ result }) => {
      const files: SideFile[] = [];
      const add = (kind: SideFile["kind"], dataset: string, staged: string) =>
        files.push({ kind, dataset, staged, isStaged: isStaged(staged) });
      const { rejectsFile, lateFile } = result ?? {};
      if (rejectsFile !== undefined) add("rejects", rejectsDataset, rejectsFile);
      if (lateFile !== undefined) add("late", late, lateFile);
      return files;
    });
  });
}

/**
 * One question at a time is asked for a run that is being committed, and nothing else can end it: a cancel comes too late,
 * every task has its winner. So its answer never meets a run that ends.
 */
function assertCommitting({ state, ending }: Run): void {
  assert(state === "committing" && ending === undefined, "what is being committed does not end");
}

/** Final paths are known: create the manifest. */
export function runArranged(turn: Turn, run: Run, paths: readonly string[]): void {
  assertCommitting(run);
  const whole = turn.state.durable.jobs.get(run.jobDigest);
  if (whole === undefined) return;
  const job = jobOfRun(whole, run);
  const base = turn.state.carried.get(run.id);
  if (run.select !== undefined && base?.revision !== committedOf(turn, run)) {
    arrangeRun(turn, run);
    return;
  }
  const carried = base === undefined ? [] : carriedFiles(run, base);
  const files = [...filesToArrange(run), ...carried];
  const finals = new Map(files.map(({ staged }, i) => [staged, paths[i] ?? ""]));
  // A journal that lost its end, or an old one, has no results: they are judged again.
  const results = run.checks ?? judgeChecks(turn.state.durable, job, run);
  const verdict = verdictOf(results);
  const carriedOver = (base ? carriedDatasets(run, base) : []).map((dataset) =>
    carriedDataset(dataset, base?.revision ?? 0, finals),
  );
  const manifest: RunManifest = {
    ...manifestHead(turn, run),
    ...(verdict.kind === "commit"
      ? { state: "committed" }
      : { state: "quarantined", failure: verdict.failure }),
    sources: [...sourceAccounts(job, run), ...(base ? carriedSources(run, base) : [])],
    datasets: [...datasetsMade(run, finals), ...carriedOver].sort(inOrderOf(job)),
    rejectFiles: finalPaths(run, "rejects", finals),
    lateFiles: finalPaths(run, "late", finals),
    checks: results,
    ...(run.history === undefined ? {} : { history: run.history }),
    speed: speedOf(run, turn.wall),
  };
  commitManifest(turn, run, manifest);
}

function finalPaths(
  run: Run,
  kind: SideFile["kind"],
  finals: ReadonlyMap<string, string>,
): readonly string[] {
  const files = sideFiles(run).filter((file) => file.kind === kind);
  return files.map(({ staged }) => finals.get(staged) ?? staged);
}

function datasetsMade(run: Run, finals: ReadonlyMap<string, string>): readonly ManifestDataset[] {
  return run.plan.datasets.map((plan) => manifestDataset(run, plan, finals));
}

/** In the order of the job; what it does not have any more stays behind that. */
function inOrderOf({ models }: JobSpec) {
  const order = new Map(models.map(({ name }, index) => [name, index]));
  const place = ({ dataset }: ManifestDataset) => order.get(dataset) ?? models.length;
  return (a: ManifestDataset, b: ManifestDataset) => place(a) - place(b);
}

function manifestDataset(
  run: Run,
  plan: { readonly model: string; readonly columns: ManifestDataset["columns"] },
  finals: ReadonlyMap<string, string>,
): ManifestDataset {
  const files = stagedFiles(run, plan.model).map((file) => ({
    path: finals.get(file.path) ?? "",
    rows: file.rows,
    bytes: file.bytes,
    sha256: file.sha256,
  }));
  const rows = files.reduce((sum, file) => sum + file.rows, 0);
  return { dataset: plan.model, columns: plan.columns, rows, files };
}

/** Closes the revision of a run that failed or was cancelled. */
export function commitAborted(turn: Turn, run: Run): void {
  commitManifest(turn, run, {
    ...manifestHead(turn, run),
    state: "aborted",
    sources: [],
    datasets: [],
    rejectFiles: [],
    checks: run.checks ?? [],
    ...(run.ending === undefined ? {} : { failure: run.ending.failure }),
  });
}

function manifestHead(turn: Turn, run: Run) {
  const record = turn.state.durable.days.get(dayKey(run.job, run.day));
  return {
    version: 1,
    run: run.id,
    job: run.job,
    day: run.day,
    revision: run.revision,
    replaces: record?.committed ?? 0,
    epoch: epochOf(turn),
    coordinator: turn.state.config.coordinator,
    jobDigest: run.jobDigest,
    createdMs: run.createdMs,
    start: startOf(run),
    wallMs: turn.wall,
  } as const;
}

function commitManifest(turn: Turn, run: Run, manifest: RunManifest): void {
  const purpose = { kind: "run", run: run.id } as const;
  ask(turn, { kind: "commit", epoch: epochOf(turn), manifest }, purpose);
}

/** What is on storage under the run's name decides, whoever wrote it. */
export function adoptManifest(turn: Turn, run: Run, manifest: RunManifest): void {
  if (manifest.state === "committed") {
    const epoch = epochOf(turn);
    ask(turn, { kind: "publish", epoch, manifest }, { kind: "publish", run: run.id, manifest });
    return;
  }
  if (manifest.state === "quarantined") {
    runQuarantined(turn, run, manifest);
    return;
  }
  const why = manifest.failure ?? failure("cancelled", `run ${run.id} was aborted`);
  const state = why.code === "cancelled" ? "cancelled" : "failed";
  conclude(turn, run, { kind: "runEnded", run: run.id, state, failure: why, wallMs: turn.wall });
  log(turn, "warn", `run ${state}`, { run: run.id, code: why.code, reason: why.message });
  publish(turn, run, state === "cancelled" ? "run.cancelled" : "run.failed", {
    run: run.id,
    revision: run.revision,
    failure: why,
  });
  tell(turn, { kind: "runChanged", run: run.id });
}

/** The day stays as it is for readers; whoever looked at the run's files may release it (release.ts). */
function runQuarantined(turn: Turn, run: Run, manifest: RunManifest): void {
  const why = manifest.failure ?? failure("checkFailed", `run ${run.id} is quarantined`);
  conclude(turn, run, {
    kind: "runQuarantined",
    run: run.id,
    manifest: manifestPath(run),
    datasets: datasetStatuses(manifest),
    moved: movedFiles(run, manifest),
    failure: why,
    wallMs: turn.wall,
  });
  log(turn, "warn", "run quarantined", { run: run.id, reason: why.message });
  publish(turn, run, "run.quarantined", { run: run.id, revision: run.revision, failure: why });
  tell(turn, { kind: "runChanged", run: run.id });
}

function manifestPath({ job, day, revision }: RevisionOfDay): string {
  return `manifests/${job}/${day}/r${revision}.json`;
}

export function datasetStatuses({ datasets, day }: RunManifest): readonly DatasetStatus[] {
  return datasets.map((one) => datasetStatus(one, day));
}

/** Readers see the new revision: the run is done. */
export function runPublished(turn: Turn, run: Run, manifest: RunManifest): void {
  if (run.ended !== undefined) return;
  conclude(turn, run, {
    kind: "runCommitted",
    run: run.id,
    manifest: manifestPath(run),
    datasets: datasetStatuses(manifest),
    moved: movedFiles(run, manifest),
    figures: figuresOf(manifest.datasets, manifest.sources, manifest.speed),
    wallMs: turn.wall,
  });
  tellCommitted(turn, manifest);
}

/** Readers see the manifest's revision. */
export function tellCommitted(turn: Turn, manifest: RunManifest): void {
  const { run, day, revision } = manifest;
  const path = manifestPath(manifest);
  for (const one of datasetStatuses(manifest)) {
    // Its rows are those that readers have already.
    if (one.madeIn !== undefined) continue;
    publish(turn, manifest, "dataset.committed", {
      dataset: one.dataset,
      day,
      revision,
      schema: one.columns,
      rows: one.rows,
      files: one.files,
      manifest: path,
    });
  }
  publish(turn, manifest, "run.committed", { run, revision, manifest: path });
  log(turn, "info", "run committed", { run, revision });
  tell(turn, { kind: "runChanged", run });
}

/**
 * The manifest names side files in the order of `sideFiles`, each kind by itself. A leader that knows fewer of them than
 * the one that committed (results are lost with a part of the journal) can't tell whose is whose: then none has moved.
 */
function movedFiles(run: Run, { rejectFiles, lateFiles = [] }: RunManifest) {
  const side = sideFiles(run);
  const moved = (kind: SideFile["kind"], paths: readonly string[]) => {
    const own = side.filter((file) => file.kind === kind);
    if (own.length !== paths.length) return [];
    return own.flatMap(({ staged, isStaged }, index) => {
      const path = paths[index];
      return isStaged && path !== undefined ? [{ staged, path }] : [];
    });
  };
  return [...moved("rejects", rejectFiles), ...moved("late", lateFiles)];
}

function datasetStatus(dataset: ManifestDataset, day: string): DatasetStatus {
  return {
    dataset: dataset.dataset,
    rows: dataset.rows,
    files: dataset.files.length,
    bytes: dataset.files.reduce((sum, file) => sum + file.bytes, 0),
    columns: dataset.columns,
    path: `out/${dataset.dataset}/day=${day}`,
    ...(dataset.madeIn === undefined ? {} : { madeIn: dataset.madeIn }),
  };
}

/** Remembers the end of a run and lets go of what only the run needed. */
function conclude(
  turn: Turn,
  run: Run,
  fact: Extract<Fact, { kind: "runCommitted" | "runQuarantined" | "runEnded" }>,
): void {
  // Read before the fact is folded: an ended run remembers only what it shows.
  const job = turn.state.durable.jobs.get(run.jobDigest);
  const planned = [...run.exchanges.values()];
  const stake = atStake(turn.state.durable, run);
  const scopes = new Set(planned.flatMap((one) => (one.scope === undefined ? [] : [one.scope])));
  turn.state.outages.delete(run.id);
  waitsNoMore(turn.state, run.id);
  turn.state.carried.delete(run.id);
  for (const index of run.stages.keys()) turn.state.reusing.delete(`${run.id}|${index}`);
  if (fact.kind === "runCommitted") dropSuperseded(turn, run);
  decide(turn, fact);
  const background = { kind: "background" } as const;
  ask(turn, { kind: "dropRequest", epoch: epochOf(turn), run: run.id }, background);
  const streams = unwantedStreams(turn.state.durable, stake);
  if (streams.length > 0) ask(turn, { kind: "dropStreams", streams }, background);
  if (job !== undefined) {
    // What a run of some models did not read may be just what the next one of the whole day needs.
    const isWhole = fact.kind === "runCommitted" && run.select === undefined;
    dropExpired(turn, run, job, isWhole ? scopes : undefined);
  }
  for (const id of stake.runs) if (stagingVerdict(turn, id).goes) dropStaging(turn, id);
  // Its attempts may still write for a moment: what they leave behind is found afterwards.
  lookForLeftovers(turn, scopes);
  lookWithin(turn, limits.purgeAfterMs);
  lookForOldFiles(turn, run);
}
