/**
 * Trial: the leader is killed while a backlog of days is made, while a day waits for its input, and while a backfill makes
 * all days again. Each day must be made exactly as often as it was asked for, no task that was done may start again, and
 * every dataset must equal plain DuckDB over the same files. Prints a JSON line for each kill and one for all; exit 1 when
 * something does not hold.
 *
 *   node dist/scripts/trial-days-kills.js [--rows N] [--kills N] [--work DIR]
 */
import { cpSync, mkdirSync, renameSync } from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { DaymillClient } from "../client/client.ts";
import { wholeNumber } from "../client/command.ts";
import { connect } from "../client/connect.ts";
import type { LocalCluster } from "../client/local-cluster.ts";
import type { JobBundle } from "../shared/adapters/grpc-types.ts";
import { parseJob, readJobBundle } from "../shared/adapters/job-file.ts";
import { projectRoot } from "../shared/adapters/project.ts";
import { type JournalView, JournalWatch, type Seen } from "./chaos-kit/journal-watch.ts";
import { compareWithReference } from "./chaos-kit/reference.ts";
import { generate } from "./generate/generate.ts";
import { asProgram, onCluster } from "./trial-bed.ts";

const job = "ipdr-daily";
const dayMs = 86_400_000;
const patienceMs = 240_000;
/** Data dates that are over, the oldest first. The newest one's input comes late. */
const days = Array.from({ length: 7 }, (_, index) =>
  new Date(Date.now() - (7 - index) * dayMs).toISOString().slice(0, 10),
);
const waiting = days.at(-1) ?? "";

interface Bed {
  readonly cluster: LocalCluster;
  readonly client: DaymillClient;
  readonly watch: JournalWatch;
  readonly made: string;
}

interface Kill {
  readonly during: "backlog" | "waiting" | "backfill";
  readonly epoch: number;
  /** Attempts that ran, and until the next leader had saved that it leads. */
  readonly running: number;
  readonly takeoverMs: number;
}

async function reach(bed: Bed, what: string, met: (view: JournalView) => boolean): Promise<void> {
  if (await bed.watch.until(met, patienceMs)) return;
  throw new Error(`waited ${patienceMs / 1_000} s for ${what}`);
}

async function killLeader(bed: Bed, during: Kill["during"]): Promise<Kill> {
  const { cluster, watch } = bed;
  await watch.refresh();
  const { epoch, durable, seen } = watch.view;
  const led = seen.findLast(({ fact }) => fact.kind === "led")?.fact;
  const leader = cluster.coordinators.find(
    ({ id }) => led?.kind === "led" && id === led.coordinator,
  );
  if (leader === undefined) throw new Error("the leader of the journal is not running");
  const running = durable.running.size;
  const from = performance.now();
  cluster.kill(leader.pid, "SIGKILL");
  await reach(bed, "the next leader", (view) => view.epoch > epoch);
  const takeoverMs = Math.round(performance.now() - from);
  await cluster.addCoordinator();
  return { during, epoch, running, takeoverMs };
}

/** Is a further run under way since `from`, with attempts at work? */
function isUnderWay({ seen, durable }: JournalView, from: number, runs: number): boolean {
  const created = seen.slice(from).filter(({ fact }) => fact.kind === "runCreated").length;
  return created >= runs && durable.running.size > 0;
}

const committedDays = ({ durable }: JournalView) =>
  [...durable.runs.values()].filter((run) => run.ended?.state === "committed");

/** Tasks that were started although they were done. */
function startedAgain(seen: readonly Seen[]): readonly string[] {
  const done = new Set<string>();
  const again: string[] = [];
  for (const { fact, about } of seen) {
    if (about === undefined) continue;
    const task = `${about.run} ${about.stage}/${about.task}`;
    if (fact.kind === "attemptDone") done.add(task);
    if (fact.kind === "attemptStarted" && done.has(task)) again.push(task);
  }
  return again;
}

function deliver({ cluster, made }: Bed, day: string): void {
  const to = path.join(cluster.storageRoot, "raw/ipdr", `day=${day}`);
  mkdirSync(path.dirname(to), { recursive: true });
  renameSync(path.join(made, "raw/ipdr", `day=${day}`), to);
}

/** The example job by itself at midnight, patient with what is not there yet. */
async function scheduledJob() {
  const bundle = await readJobBundle(path.join(projectRoot(), "jobs/ipdr-daily.yaml"));
  const ready = '    ready: { manifest: "raw/ipdr/day={day}/control.json", grace: 23h }';
  const rejects = /^ {4}rejects: .*$/m;
  const schedule = /^schedule: .*$/m;
  if (!rejects.test(bundle.jobYaml) || !schedule.test(bundle.jobYaml)) {
    throw new Error("the job says neither what it rejects nor when it runs");
  }
  const jobYaml = bundle.jobYaml
    .replace(schedule, 'schedule: { cron: "0 0 * * *", timezone: UTC }')
    .replace(rejects, (line) => `${line}\n${ready}`);
  return { ...bundle, jobYaml };
}

interface Found {
  readonly done: readonly Kill[];
  /** What the day was said to be when its leader had been killed while it waited. */
  readonly told: string;
  readonly backfill: string;
}

/** Prints the sum of it; true when all holds. */
async function judge(
  { cluster, watch }: Bed,
  work: string,
  bundle: JobBundle,
  { done, told, backfill }: Found,
): Promise<boolean> {
  const runs = [...watch.view.durable.runs.values()];
  const times = Object.fromEntries(
    days.map((day) => [day, runs.filter((run) => run.day === day).map(({ state }) => state)]),
  );
  const again = startedAgain(watch.view.seen);
  const stopSignal = new AbortController().signal;
  const reference = {
    work,
    root: cluster.storageRoot,
    job: { spec: parseJob(bundle) },
    stopSignal,
  };
  const differences: string[] = [];
  for (const day of days) {
    differences.push(...(await compareWithReference({ ...reference, day })).differences);
  }
  const slowestMs = Math.max(...done.map(({ takeoverMs }) => takeoverMs));
  const running = done.filter((one) => one.during !== "waiting").map((one) => one.running);
  const result = { kills: done.length, slowestMs, told, backfill, times, again, differences };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  const isTwice = Object.values(times).every((states) => states.join() === "committed,committed");
  const isQuiet = again.length === 0 && differences.length === 0;
  return (
    isTwice &&
    isQuiet &&
    told === "missing input" &&
    backfill === "done" &&
    Math.min(...running) > 0
  );
}

/** What has become of a backfill whose days are all made. */
async function backfillEnds(client: DaymillClient, id: string): Promise<string> {
  for (let looks = 0; ; looks++) {
    const found = (await client.backfills(job)).find((one) => one.id === id);
    if (found === undefined || found.state !== "running" || looks === 20) return found?.state ?? "";
    await pause(500);
  }
}

async function trial(cluster: LocalCluster, work: string, rows: number, kills: number) {
  const made = path.join(work, "made");
  for (const day of days) await generate({ root: made, day, rows, seed: 3 });
  const { client, close } = await connect({ nats: cluster.natsUrl });
  const watch = await JournalWatch.open(cluster.natsUrl, "daymill");
  const bed: Bed = { cluster, client, watch, made };
  cpSync(path.join(made, "dims"), path.join(cluster.storageRoot, "dims"), { recursive: true });
  const bundle = await scheduledJob();
  const done: Kill[] = [];
  const say = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);
  const kill = async (during: Kill["during"]) => {
    done.push(await killLeader(bed, during));
    say(done.at(-1));
  };
  try {
    for (const day of days) if (day !== waiting) deliver(bed, day);
    await client.submit({ bundle }, "");
    for (let n = 1; n <= kills; n++) {
      await reach(bed, `backlog run ${n}`, (view) => isUnderWay(view, 0, n));
      await kill("backlog");
    }
    await reach(bed, "the days that are there", (view) => committedDays(view).length === 6);
    for (let n = 1; n <= kills; n++) await kill("waiting");
    const told = (await client.backlog(job, 8)).days.find(({ day }) => day === waiting);
    deliver(bed, waiting);
    await reach(bed, "the day that was waited for", (view) => committedDays(view).length === 7);
    const from = watch.view.seen.length;
    const [first = "", last = ""] = [days[0], days.at(-1)];
    const wish = {
      job,
      from: first,
      to: last,
      redo: "all",
      order: "oldest",
      concurrency: 2,
    } as const;
    const { id } = await client.startBackfill({ ...wish, by: "trial", reason: "", dryRun: false });
    for (let n = 1; n <= kills; n++) {
      await reach(bed, `run ${n} of the backfill`, (view) => isUnderWay(view, from, n));
      await kill("backfill");
    }
    await reach(bed, "all days of the backfill", (view) => committedDays(view).length === 14);
    await watch.refresh();
    const backfill = await backfillEnds(client, id);
    await watch.refresh();
    return await judge(bed, work, bundle, { done, told: told?.state ?? "", backfill });
  } finally {
    await watch.close();
    await close();
  }
}

async function main(): Promise<number> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ options: { rows: text, kills: text, work: text } });
  const rows = wholeNumber("--rows", values.rows ?? "100000", 1, 1e10);
  const kills = wholeNumber("--kills", values.kills ?? "2", 1, 6);
  return await onCluster(values.work, { executors: 2, slots: 2 }, (cluster, work) =>
    trial(cluster, work, rows, kills),
  );
}

await asProgram(import.meta.url, main);
