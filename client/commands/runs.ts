/**
 * `daymill submit | runs | run | watch | cancel | retry`: starting days and looking after their runs.
 */
import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import type { Command } from "commander";
import type { RunStatus } from "../../shared/adapters/grpc-types.ts";
import { fail } from "../../shared/kernel/failure.ts";
import { parseRunId } from "../../shared/kernel/job.ts";
import { isLane, type Lane, lanes } from "../../shared/kernel/lane.ts";
import type { DaymillClient, JobReference } from "../client.ts";
import {
  type CommonOptions,
  checkDay,
  clusterCommand,
  interruptible,
  show,
  wholeNumber,
  withCluster,
} from "../command.ts";
import { exitCodes } from "../exit-codes.ts";
import { showRun } from "../show-run.ts";
import { runSummary, runsTable } from "../views.ts";

interface SubmitOptions extends CommonOptions {
  readonly day?: string;
  readonly rerun?: boolean;
  readonly wait?: boolean;
  readonly lane: string;
  readonly select?: readonly string[];
}

/** Its files where the argument is one, else a job that the cluster knows by name. */
export async function jobReference(text: string): Promise<JobReference> {
  if (existsSync(text)) {
    // Most commands read no job file, and start faster without what that takes.
    const { readJobBundle } = await import("../../shared/adapters/job-file.ts");
    return { bundle: await readJobBundle(text) };
  }
  if (/\.ya?ml$/.test(text) || text.includes("/")) {
    throw fail("badRequest", `job file ${text} does not exist; check the path`);
  }
  return { job: text };
}

function checkLane(text: string): Lane {
  if (isLane(text)) return text;
  throw fail("badRequest", `--lane ${JSON.stringify(text)}: write ${lanes.join(", ")}`);
}

export function submitCommand(): Command {
  return clusterCommand("submit", "start a run of a job for a day")
    .argument("<job>", "a job file, or the name of a job that the cluster knows")
    .option("--day <date>", "data date, YYYY-MM-DD; without it a scheduled job is made known")
    .option("--rerun", "run again although the day is done: a new revision")
    .option("--lane <lane>", "how urgent: live, backlog or ahead", "live")
    .option(
      "--select <models...>",
      "some models only, as in dbt: model, +model, model+, 'a,b+'; the others are carried over",
    )
    .option("--wait", "show progress until the run has ended; exit code 1 when it failed")
    .action((job: string, options: SubmitOptions) =>
      withCluster(options, async ({ client }) => {
        if (options.day === undefined && options.wait !== true && !options.select) {
          return register(client, job, options);
        }
        const day = checkDay(options.day);
        const rerun = options.rerun === true;
        const lane = checkLane(options.lane);
        const { select = [] } = options;
        const reply = await client.submit(await jobReference(job), day, {
          rerun,
          lane,
          by: userInfo().username,
          select,
        });
        if (options.wait === true) return waitFor(client, reply.runId, options);
        const { runId, created, warnings } = reply;
        const how = created ? "started" : "is running already";
        show(options, { runId, created, warnings }, () => [
          `${runId} ${how}; follow it with: daymill watch ${runId}`,
          ...warnings.map((warning) => `  ! ${warning}`),
        ]);
        return exitCodes.ok;
      }),
    );
}

/** A job file without a day: the job is made known, and its days run by its schedule. */
async function register(client: DaymillClient, job: string, options: CommonOptions) {
  const reference = await jobReference(job);
  // A job that is known by its name is known already: what is missing is the day.
  if (!("bundle" in reference)) checkDay(undefined);
  await client.submit(reference, "");
  show(options, { runId: "", created: false, warnings: [] }, () => [
    "the job is known: its days run by its schedule; see them with: daymill backlog JOB",
  ]);
  return exitCodes.ok;
}

export function watchCommand(): Command {
  return clusterCommand("watch", "show a run until it has ended")
    .argument("<run>", "its id, e.g. ipdr-daily.2026-01-15.r1")
    .action((runId: string, options: CommonOptions) =>
      withCluster(options, ({ client }) => waitFor(client, runId, options)),
    );
}

export function runsCommand(): Command {
  return clusterCommand("runs", "list runs, newest first")
    .option("--job <name>", "of this job only", "")
    .option("--limit <n>", "at most so many", "20")
    .action((options: CommonOptions & { job: string; limit: string }) =>
      withCluster(options, async ({ client }) => {
        const limit = wholeNumber("--limit", options.limit, 1, 10_000);
        const runs = await client.runs(options.job, limit);
        show(options, runs, () => runsTable(runs, options.job));
        return exitCodes.ok;
      }),
    );
}

export function runCommand(): Command {
  return clusterCommand("run", "show one run")
    .argument("<run>", "its id")
    .action((runId: string, options: CommonOptions) =>
      withCluster(options, async ({ client }) => {
        const run = await client.run(runId);
        show(options, run, () => runSummary(run));
        return exitCodes.ok;
      }),
    );
}

export function cancelCommand(): Command {
  return clusterCommand("cancel", "end a run; what it wrote is thrown away")
    .argument("<run>", "its id")
    .option("--reason <text>", "kept with the run", "cancelled by hand")
    .action((runId: string, options: CommonOptions & { reason: string }) =>
      withCluster(options, async ({ client }) => {
        const state = await client.cancel(runId, options.reason);
        if (state === "committed" || state === "quarantined" || state === "failed") {
          throw fail("conflict", `${runId} is ${state} already: there is nothing left to cancel`);
        }
        show(options, { runId, state }, () => [`${runId}: ${state}`]);
        return exitCodes.ok;
      }),
    );
}

export function retryCommand(): Command {
  return clusterCommand(
    "retry",
    "run the day of a failed or cancelled run again: it goes on from the model that failed",
  )
    .argument("<run>", "its id")
    .option("--wait", "show progress until the run has ended")
    .action((runId: string, options: CommonOptions & { wait?: boolean }) =>
      withCluster(options, async ({ client }) => {
        const name = parseRunId(runId);
        if (name === undefined) throw fail("unknownRun", `${runId} is no run id; see daymill runs`);
        const { state, select } = await client.run(runId);
        if (state !== "failed" && state !== "cancelled") {
          const way = `daymill submit ${name.job} --day ${name.day} --rerun`;
          throw fail("conflict", `${runId} is ${state}; to run a finished day again: ${way}`);
        }
        const by = userInfo().username;
        const reply = await client.submit({ job: name.job }, name.day, { rerun: true, by, select });
        if (options.wait === true) return waitFor(client, reply.runId, options);
        const { warnings, created } = reply;
        show(options, { runId: reply.runId, created, warnings }, () => [
          `${reply.runId} started; follow it with: daymill watch ${reply.runId}`,
          ...warnings.map((warning) => `  ! ${warning}`),
        ]);
        return exitCodes.ok;
      }),
    );
}

async function waitFor(client: DaymillClient, runId: string, options: CommonOptions) {
  const interrupt = interruptible();
  let run: RunStatus | undefined;
  try {
    const screen = options.json === true ? undefined : process.stderr;
    run = await showRun(client, runId, screen, interrupt.signal);
  } finally {
    interrupt.done();
  }
  if (run === undefined || interrupt.signal.aborted) {
    process.stderr.write(`${runId} goes on; look at it with: daymill watch ${runId}\n`);
    return exitCodes.interrupted;
  }
  show(options, run, () => runSummary(run));
  return run.state === "committed" ? exitCodes.ok : exitCodes.runFailed;
}
