/**
 * From "all rows are right" to "readers see them", and the opposite: arrange files, create the manifest (that is the
 * commit), move the view, remember it. Every step may be done twice; what is on storage wins over what we meant.
 */
import { failure } from "../../shared/kernel/failure.ts";
import type { ManifestDataset, RunManifest } from "../../shared/kernel/manifest.ts";
import type { DatasetStatus } from "../../shared/kernel/status.ts";
import { checkResults } from "./checks.ts";
import { dayKey, type Run } from "./durable.ts";
import type { Fact } from "./facts.ts";
import { sourceAccounts } from "./rejects-limit.ts";
import { dropExpired } from "./retention.ts";
import { ask, decide, epochOf, log, publish, type Turn, tell } from "./turn.ts";
import { stagedFiles } from "./work-builder.ts";

/** Files of `_rejects` are arranged and named in the manifest, but never published. */
export const rejectsDataset = "_rejects";

interface Arranged {
  readonly dataset: string;
  readonly staged: string;
}

export function arrangeRun(turn: Turn, run: Run): void {
  const { job, day, revision } = run;
  const files = filesToArrange(run);
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
  const rejects = rejectFiles(run)
    .filter((file) => file.isStaged)
    .map((file) => ({ dataset: rejectsDataset, staged: file.path }));
  return [...datasets, ...rejects];
}

function rejectFiles(run: Run): readonly { readonly path: string; readonly isStaged: boolean }[] {
  return run.stages.flatMap((stage) =>
    stage.tasks.flatMap(({ result }) =>
      result?.rejectsFile === undefined
        ? []
        : // A re-used output's reject file was arranged by the run that read the lines.
          [{ path: result.rejectsFile, isStaged: result.executor !== "" }],
    ),
  );
}

/** Final paths are known: create the manifest. */
export function runArranged(turn: Turn, run: Run, paths: readonly string[]): void {
  const job = turn.state.durable.jobs.get(run.jobDigest);
  if (job === undefined || run.state !== "committing" || run.ending !== undefined) return;
  const finals = new Map(filesToArrange(run).map(({ staged }, i) => [staged, paths[i] ?? ""]));
  const manifest: RunManifest = {
    ...manifestHead(turn, run),
    state: "committed",
    sources: sourceAccounts(job, run),
    datasets: run.plan.datasets.map((plan) => manifestDataset(run, plan, finals)),
    rejectFiles: rejectFiles(run).map(({ path }) => finals.get(path) ?? path),
    checks: checkResults(job, run),
  };
  commitManifest(turn, run, manifest);
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
    checks: [],
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

/** Readers see the new revision: the run is done. */
export function runPublished(turn: Turn, run: Run, manifest: RunManifest): void {
  if (run.ended !== undefined) return;
  const { job, day, revision } = run;
  const path = `manifests/${job}/${day}/r${revision}.json`;
  const datasets = manifest.datasets.map((one) => datasetStatus(one, day));
  conclude(turn, run, {
    kind: "runCommitted",
    run: run.id,
    manifest: path,
    datasets,
    rejects: settledRejects(run, manifest),
    wallMs: turn.wall,
  });
  for (const one of datasets) {
    publish(turn, run, "dataset.committed", {
      dataset: one.dataset,
      day,
      revision,
      schema: one.columns,
      rows: one.rows,
      files: one.files,
      manifest: path,
    });
  }
  publish(turn, run, "run.committed", { run: run.id, revision, manifest: path });
  log(turn, "info", "run committed", { run: run.id, revision });
  tell(turn, { kind: "runChanged", run: run.id });
}

function settledRejects(run: Run, manifest: RunManifest) {
  return rejectFiles(run).flatMap((file, index) => {
    const path = manifest.rejectFiles[index];
    return file.isStaged && path !== undefined ? [{ staged: file.path, path }] : [];
  });
}

function datasetStatus(dataset: ManifestDataset, day: string): DatasetStatus {
  return {
    dataset: dataset.dataset,
    rows: dataset.rows,
    files: dataset.files.length,
    bytes: dataset.files.reduce((sum, file) => sum + file.bytes, 0),
    columns: dataset.columns,
    path: `out/${dataset.dataset}/day=${day}`,
  };
}

/** Remembers the end of a run and lets go of what only the run needed. */
function conclude(
  turn: Turn,
  run: Run,
  fact: Extract<Fact, { kind: "runCommitted" | "runEnded" }>,
): void {
  // Read before the fact is folded: an ended run remembers only what it shows.
  const job = turn.state.durable.jobs.get(run.jobDigest);
  const planned = [...run.exchanges.values()];
  const streams = planned.flatMap((one) => (one.scope === undefined ? one.streams : []));
  const scopes = new Set(planned.flatMap((one) => (one.scope === undefined ? [] : [one.scope])));
  decide(turn, fact);
  const background = { kind: "background" } as const;
  ask(turn, { kind: "dropStaging", epoch: epochOf(turn), run: run.id }, background);
  if (streams.length > 0) ask(turn, { kind: "dropStreams", streams }, background);
  if (job === undefined) return;
  dropExpired(turn, run, job, fact.kind === "runCommitted" ? scopes : undefined);
}
