/**
 * The Coordinator service: decode, ask the core one question, encode the reply. What is true and what may be done is
 * the core's to say; reading files and planning for Explain are the only work done here.
 */
import { coordinatorService } from "../../shared/adapters/grpc.ts";
import type * as wire from "../../shared/adapters/grpc-types.ts";
import { parseJob, withLine } from "../../shared/adapters/job-file.ts";
import { DaymillError, fail } from "../../shared/kernel/failure.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { jobOnDay, newestDay } from "../../shared/kernel/job-day.ts";
import { isLane, type Lane, lanes } from "../../shared/kernel/lane.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import type { Stamp } from "../../shared/kernel/status.ts";
import { isDay } from "../../shared/kernel/time.ts";
import type { Inputs, Store } from "../../shared/ports.ts";
import { explainPlan, type SourceSize } from "../core/planner/explain.ts";
import { figuresOf, runToCompare } from "../core/planner/explain-figures.ts";
import { jobDigest } from "../core/submissions.ts";
import type { Calls } from "./calls.ts";
import { FileGone, readDataset } from "./dataset-reader.ts";
import { explainChanges } from "./explain-changes.ts";
import { alertHandlers } from "./grpc-alerts.ts";
import { daysHandlers } from "./grpc-days.ts";
import { pinRevision, upkeepHandlers } from "./grpc-upkeep.ts";
import type { RunChanges } from "./run-changes.ts";
import { watchRun } from "./watch-run.ts";
import { toWireRun } from "./wire.ts";

export interface ServiceOptions {
  readonly calls: Calls;
  readonly changes: RunChanges;
  readonly store: Pick<Store, "readManifest">;
  readonly inputs: Pick<Inputs, "listSource">;
  readonly planJob: (job: JobSpec) => Promise<JobPlan>;
  /** What GetStatus tells of this process. */
  readonly about: {
    readonly version: string;
    readonly natsVersion: () => string;
    readonly duckdb: string;
    readonly root: string;
    readonly pid: number;
  };
}

export function coordinatorServiceOf(options: ServiceOptions) {
  return coordinatorService({
    ...commands(options),
    ...queries(options),
    ...daysHandlers(options.calls),
    ...upkeepHandlers(options.calls),
    ...alertHandlers(options.calls),
    ...streams(options),
  });
}

function commands({ calls }: ServiceOptions) {
  return {
    submit: async (request, { signal }) => {
      const { requestId, rerun, by = "", select = [] } = request;
      const lane = laneNamed(request.lane ?? "");
      const day = request.day === "" ? "" : dayOf(request.day);
      if (requestId === "") throw fail("badRequest", "request_id is empty: give each submit one");
      const job = jobOf(request);
      const some = select.length === 0 ? {} : { select };
      const { stamp, result } = await calls
        .ask(
          "submitted",
          (reply) => ({ kind: "submit", reply, requestId, job, day, rerun, lane, by, ...some }),
          signal,
        )
        .catch((error: unknown) => {
          throw located(request.bundle, error);
        });
      const { run: runId, created } = result;
      if (runId === "") return { stamp, runId, created, warnings: [] };
      // The run was taken: what can't be told of it now is in its status.
      const warnings = await calls
        .question("run", { kind: "run", run: runId }, signal)
        .then((asked) => asked.result.run.warnings)
        .catch(() => []);
      return { stamp, runId, created, warnings };
    },
    cancel: async ({ runId, reason }, { signal }) => {
      const { stamp, result } = await calls.ask(
        "cancelled",
        (reply) => ({ kind: "cancelRun", reply, run: runId, reason }),
        signal,
      );
      return { stamp, state: result.state };
    },
    release: async ({ runId }, { signal }) => {
      const { stamp } = await calls.ask(
        "released",
        (reply) => ({ kind: "releaseRun", reply, run: runId }),
        signal,
      );
      return { stamp };
    },
    drain: async ({ executorId }, { signal }) => {
      const { stamp } = await calls.ask(
        "draining",
        (reply) => ({ kind: "drainExecutor", reply, executor: executorId }),
        signal,
      );
      return { stamp };
    },
  } satisfies Partial<wire.CoordinatorHandlers>;
}

function queries(options: ServiceOptions) {
  const { calls, about } = options;
  return {
    getStatus: async (_request, { signal }) => {
      const { stamp, result } = await calls.question("status", { kind: "status" }, signal);
      return {
        stamp,
        role: result.role === "candidate" ? "starting" : result.role,
        leader: result.leader,
        version: about.version,
        natsVersion: about.natsVersion(),
        duckdbVersion: about.duckdb,
        storageRoot: about.root,
        pid: about.pid,
      };
    },
    getRun: async ({ runId, ...seen }, { signal }) => {
      const question = { kind: "run", run: runId } as const;
      const { stamp, result } = await calls.question("run", question, signal);
      checkSequence(stamp, seen);
      return { stamp, run: toWireRun(result.run, about.root) };
    },
    listRuns: async ({ job, limit }, { signal }) => {
      const most = limit === 0 ? limits.runsKeptInMemory : limit;
      const question = { kind: "runs", job, limit: most } as const;
      const { stamp, result } = await calls.question("runs", question, signal);
      return { stamp, runs: result.runs.map((run) => toWireRun(run, about.root)) };
    },
    listExecutors: async (_request, { signal }) => {
      const { stamp, result } = await calls.question("executors", { kind: "executors" }, signal);
      return { stamp, executors: result.executors };
    },
    explain: (request, { signal }) => explainJob(options, request, signal),
  } satisfies Partial<wire.CoordinatorHandlers>;
}

function streams(options: ServiceOptions) {
  const { calls, changes, about } = options;
  let reads = 0;
  return {
    watchRun: ({ runId }, replies, { signal }) =>
      watchRun({ run: runId, root: about.root, calls, changes, replies, signal }),
    readDataset: async (request, replies, { signal }) => {
      if (reads >= limits.readsMax) {
        const text = `${limits.readsMax} results are being read here already; try again in a moment`;
        throw fail("unavailable", text);
      }
      reads += 1;
      try {
        await sendDataset(options, request, replies, signal);
      } finally {
        reads -= 1;
      }
    },
  } satisfies Partial<wire.CoordinatorHandlers>;
}

async function sendDataset(
  options: ServiceOptions,
  request: wire.ReadDatasetRequest,
  replies: wire.ReplyStream<wire.ReadDatasetReply>,
  signal: AbortSignal,
): Promise<void> {
  const { calls } = options;
  const { dataset, revision } = request;
  const day = dayOf(request.day);
  const question = { kind: "dataset", dataset, day, revision } as const;
  const { stamp, result } = await calls.question("dataset", question, signal);
  pinRevision(calls, result, true);
  try {
    const pieces = await openDataset(options, request, result, signal);
    for await (const arrow of pieces) {
      await replies.write({ stamp, arrow, revision: result.revision });
    }
  } catch (error) {
    if (!(error instanceof FileGone)) throw error;
    const newest = await calls.question("dataset", { ...question, revision: 0 }, signal);
    throw fileGone(error.path, result, newest.result.revision);
  } finally {
    pinRevision(calls, result, false);
  }
}

async function openDataset(
  { store, about }: ServiceOptions,
  { dataset, limit, orderBy }: wire.ReadDatasetRequest,
  { job, day, revision }: DayRevision,
  signal: AbortSignal,
) {
  const manifest = await store.readManifest(job, day, revision);
  const found = manifest?.datasets.find((entry) => entry.dataset === dataset);
  if (found === undefined) {
    const place = `revision ${revision} of ${job} for ${day}`;
    throw fail("unknownDataset", `${place} has no dataset ${JSON.stringify(dataset)}`);
  }
  return readDataset({ root: about.root, dataset: found, limit, orderBy, signal });
}

interface DayRevision {
  readonly job: string;
  readonly day: string;
  readonly revision: number;
}

/** An old revision's files go by themselves, by the job's `retention`; those of the committed one never do. */
function fileGone(path: string, { job, day, revision }: DayRevision, committed: number) {
  const place = `revision ${revision} of ${job} for ${day}`;
  const about = { job, day, revision, committed };
  if (revision < committed) {
    const text = `${place} was removed by retention; revision ${committed} is the committed one`;
    return fail("unknownDataset", text, about);
  }
  const text = `${path} of ${place} is gone: see who cleans up below the storage root, then submit the day with --rerun`;
  return fail("storageFailed", text, { ...about, path });
}

async function explainJob(
  { calls, planJob, inputs }: ServiceOptions,
  request: wire.ExplainRequest,
  signal: AbortSignal,
): Promise<wire.ExplainReply> {
  const named = jobOf(request);
  const day = request.day === "" ? "" : dayOf(request.day);
  if (request.diff === true) {
    if (typeof named !== "string") return explainChanges({ calls, planJob }, named, day, signal);
    throw fail("badRequest", `name the file of job ${named}: it is compared with what is known`);
  }
  const { stamp } = await calls.question("status", { kind: "status" }, signal);
  const whole =
    typeof named === "string"
      ? (await calls.question("job", { kind: "job", name: named }, signal)).result.job
      : named;
  const job = jobOnDay(whole, day === "" ? newestDay : day);
  const plan = await planJob(job).catch((error: unknown) => {
    throw located(request.bundle, error);
  });
  const sizes = day === "" ? undefined : await sizesOf(job, day, inputs);
  const every = { kind: "runs", job: job.name, limit: limits.runsKeptInMemory } as const;
  const { runs } = (await calls.question("runs", every, signal)).result;
  const figures = figuresOf(plan, runToCompare(runs, day), jobDigest(whole));
  const text = explainPlan(job, plan, { sizes: sizes ?? [], figures });
  const known = { ...plan, ...(sizes === undefined ? {} : { sizes }), ...figures };
  return { stamp, text, planJson: JSON.stringify(known) };
}

async function sizesOf(job: JobSpec, day: string, inputs: Pick<Inputs, "listSource">) {
  const sizes: SourceSize[] = [];
  for (const source of job.sources) {
    const files = await inputs.listSource(source, day);
    const bytes = files.reduce((sum, file) => sum + file.size, 0);
    sizes.push({ source: source.name, files: files.length, bytes });
  }
  return sizes;
}

/** Callers of older versions name none. */
function laneNamed(text: string): Lane {
  if (text === "") return "live";
  if (isLane(text)) return text;
  const known = lanes.join(", ");
  throw fail("badRequest", `lane ${JSON.stringify(text)} is not one of ${known}`, { lane: text });
}

function jobOf(request: { readonly bundle: wire.JobBundle | null; readonly job: string }) {
  if (request.bundle !== null) return parseJob(request.bundle);
  if (request.job !== "") return request.job;
  throw fail(
    "badRequest",
    "send a job file (bundle), or the name of a job that was submitted before",
  );
}

/** What planning refused, with its line in the job file that was sent. */
function located(bundle: wire.JobBundle | null, error: unknown): unknown {
  if (bundle === null || !(error instanceof DaymillError)) return error;
  return new DaymillError(withLine(bundle, error.failure));
}

function dayOf(text: string): string {
  if (isDay(text)) return text;
  throw fail("badRequest", `day ${JSON.stringify(text)} is not a date; write it as 2026-01-15`);
}

/** A later epoch knows all that was decided before it, whatever its journal's length: NATS may have lost the old one. */
function checkSequence(
  stamp: Stamp,
  { minSequence, minEpoch = 0 }: Pick<wire.GetRunRequest, "minSequence" | "minEpoch">,
): void {
  if (minEpoch > 0 && stamp.epoch > minEpoch) return;
  if (stamp.epoch >= minEpoch && stamp.journalSequence >= minSequence) return;
  const have = `knows the journal up to ${stamp.journalSequence}`;
  throw fail("unavailable", `this coordinator ${have}, you have seen ${minSequence}: ask again`);
}
