/**
 * Trial: what does one late file among 96 cost? A day is made whole in one go; the same lines are made a second time with
 * one file missing, which then comes. Each round is on days of its own, so that nothing is kept from one to the next.
 * Prints a JSON line for each round and one for all. Exit 1 when the late file made more map tasks run than its own, more
 * than 5 % of the day's bytes were read again, the median time was over 1.15 times that of the reduces, checks and commit
 * of the full run, or any dataset differs from plain DuckDB over the same files.
 *
 *   node dist/scripts/trial-late.js [--rows N] [--rounds N] [--work DIR]
 */
import { readdirSync, renameSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import type { DaymillClient } from "../client/client.ts";
import { wholeNumber } from "../client/command.ts";
import { connect } from "../client/connect.ts";
import type { LocalCluster } from "../client/local-cluster.ts";
import type { JobBundle, RunStatus } from "../shared/adapters/grpc-types.ts";
import { parseJob, readJobBundle } from "../shared/adapters/job-file.ts";
import { projectRoot } from "../shared/adapters/project.ts";
import type { JobSpec } from "../shared/kernel/job.ts";
import { median } from "./bench-report.ts";
import { compareWithReference } from "./chaos-kit/reference.ts";
import { generate } from "./generate/generate.ts";
import { asProgram, onCluster } from "./trial-bed.ts";
import { dayOf } from "./trial-days.ts";

const files = 96;
const timeFactorMax = 1.15;
const bytesShareMax = 0.05;

interface Bed {
  readonly work: string;
  readonly root: string;
  readonly client: DaymillClient;
  readonly bundle: JobBundle;
  readonly spec: JobSpec;
}

interface Round {
  /** Of the full run: all of it, and what came after its last map task: reduces, checks and commit. */
  readonly fullMs: number;
  readonly afterMapsMs: number;
  /** Of the run that the late file caused. */
  readonly lateMs: number;
  readonly mapTasksBefore: number;
  readonly mapTasksRun: number;
  readonly bytesShare: number;
  readonly differences: readonly string[];
  readonly load: number;
}

/** The input of a day, with `late` of its files set aside. */
async function makeDay(bed: Bed, day: string, rows: number, late: number): Promise<void> {
  const asked = { root: bed.root, day, rows, gateways: 4, periodMinutes: 60, lateFiles: late };
  const made = await generate(asked);
  const all = made.files + made.lateFiles;
  if (all !== files) throw new Error(`${all} files instead of ${files}`);
}

/** The file that was set aside is where it belongs. */
function deliver(root: string, day: string): void {
  const from = path.join(root, "late/ipdr", `day=${day}`);
  const to = path.join(root, "raw/ipdr", `day=${day}`);
  const late = readdirSync(from, { recursive: true, withFileTypes: true });
  for (const entry of late) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    renameSync(file, path.join(to, path.relative(from, file)));
  }
  // What the generator knows of the day is about the files that were in time.
  rmSync(path.join(to, "truth.json"));
}

async function make({ client, bundle }: Bed, day: string, rerun: boolean): Promise<RunStatus> {
  const { runId } = await client.submit({ bundle }, day, { rerun });
  const last = await client.wait(runId);
  if (last.state !== "committed") throw new Error(`run ${runId}: ${JSON.stringify(last)}`);
  return last;
}

async function differencesOf(bed: Bed, day: string): Promise<readonly string[]> {
  const { work, root, spec } = bed;
  const stopSignal = new AbortController().signal;
  const { differences } = await compareWithReference({
    work,
    root,
    day,
    job: { spec },
    stopSignal,
  });
  return differences.map((text) => `${day} ${text}`);
}

/** Map tasks of a run, those that took what was kept from the run before, and bytes of their files. */
function mapsOf(run: RunStatus) {
  const maps = run.stages.filter(({ source = "" }) => source !== "");
  const sum = (of: (stage: RunStatus["stages"][number]) => number) =>
    maps.reduce((total, stage) => total + of(stage), 0);
  return {
    tasks: sum(({ tasks }) => tasks),
    reused: sum(({ reused }) => reused),
    bytes: sum(({ bytesIn }) => bytesIn),
    endedMs: Math.max(...maps.map(({ endedMs }) => endedMs)),
  };
}

async function round(bed: Bed, rows: number, days: readonly [string, string]): Promise<Round> {
  const [whole, gapped] = days;
  await makeDay(bed, whole, rows, 0);
  await makeDay(bed, gapped, rows, 1);
  const full = await make(bed, whole, false);
  const first = mapsOf(await make(bed, gapped, false));
  deliver(bed.root, gapped);
  const load = os.loadavg()[0] ?? 0;
  const late = await make(bed, gapped, true);
  const maps = mapsOf(late);
  const differences = [...(await differencesOf(bed, whole)), ...(await differencesOf(bed, gapped))];
  return {
    fullMs: full.endedMs - full.createdMs,
    afterMapsMs: full.endedMs - mapsOf(full).endedMs,
    lateMs: late.endedMs - late.createdMs,
    mapTasksBefore: first.tasks,
    mapTasksRun: maps.tasks - maps.reused,
    // Only if all former tasks are re-used is what was read the difference.
    bytesShare: maps.reused === first.tasks ? (maps.bytes - first.bytes) / maps.bytes : 1,
    differences,
    load: Math.round(load * 10) / 10,
  };
}

async function trial(cluster: LocalCluster, work: string, rows: number, rounds: number) {
  const root = cluster.storageRoot;
  const { client, close } = await connect({ nats: cluster.natsUrl });
  const bundle = await readJobBundle(path.join(projectRoot(), "jobs/ipdr-daily.yaml"));
  const bed = { work, root, client, bundle, spec: parseJob(bundle) };
  const done: Round[] = [];
  const say = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);
  try {
    for (let n = 0; n < rounds; n++) {
      done.push(await round(bed, rows, [dayOf(2 * n), dayOf(2 * n + 1)]));
      say(done.at(-1));
    }
  } finally {
    await close();
  }
  // The first round of a cluster is not like any other: workers and dimensions are cold.
  const warm = done.length > 1 ? done.slice(1) : done;
  const afterMapsMs = median(warm.map((one) => one.afterMapsMs));
  const lateMs = median(warm.map((one) => one.lateMs));
  const factor = Math.round((lateMs / afterMapsMs) * 100) / 100;
  const mapTasksRun = Math.max(...done.map((one) => one.mapTasksRun));
  const bytesShare = Math.max(...done.map((one) => one.bytesShare));
  const equal = done.every(({ differences }) => differences.length === 0);
  say({
    rows,
    files,
    cores: os.cpus().length,
    afterMapsMs,
    lateMs,
    factor,
    mapTasksRun,
    bytesShare,
    equal,
  });
  return factor <= timeFactorMax && mapTasksRun === 1 && bytesShare <= bytesShareMax && equal;
}

async function main(): Promise<number> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ options: { rows: text, rounds: text, work: text } });
  const rows = wholeNumber("--rows", values.rows ?? "2000000", 1, 1e10);
  const rounds = wholeNumber("--rounds", values.rounds ?? "4", 1, 100);
  return await onCluster(values.work, { executors: 2, slots: 1 }, (cluster, work) =>
    trial(cluster, work, rows, rounds),
  );
}

await asProgram(import.meta.url, main);
