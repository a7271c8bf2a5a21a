/**
 * Trial: how much does a backlog of seven days slow the live day down, and does it get on meanwhile? Live days alone and
 * live days beside a backlog that has every slot when they come take turns, so that other load on the machine meets
 * both alike. Prints a JSON line for each and one for all. Exit 1 when the median beside is over 1.3 times the
 * median alone, a backlog had less than one task ended per minute, it started more than its share beside a live day, or
 * threads of one process had different priorities.
 *
 * Priorities count within an executor (docs/adr/0012-lanes.md), so one with four slots is the default.
 *
 *   node dist/scripts/trial-lanes.js [--rows N] [--repeats N] [--executors 1|2|4] [--threads N] [--work DIR]
 */
import { readdirSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { DaymillClient } from "../client/client.ts";
import { wholeNumber } from "../client/command.ts";
import { connect } from "../client/connect.ts";
import type { LocalCluster } from "../client/local-cluster.ts";
import type { JobBundle, RunStatus } from "../shared/adapters/grpc-types.ts";
import { readJobBundle } from "../shared/adapters/job-file.ts";
import { projectRoot } from "../shared/adapters/project.ts";
import { limits } from "../shared/kernel/limits.ts";
import { median } from "./bench-report.ts";
import { generate } from "./generate/generate.ts";
import { asProgram, onCluster } from "./trial-bed.ts";
import { dayOf, firstDay, linkDay } from "./trial-days.ts";

/** Slots of the cluster, in as many executors as asked for. */
const slots = 4;
const backlogDays = 7;
const splitBytes = "4MiB";
const slowdownMax = 1.3;
const tasksPerMinuteMin = 1;
const lookEveryMs = 250;

interface Round {
  readonly way: "alone" | "beside";
  readonly day: string;
  readonly tookMs: number;
  readonly load: number;
  /** Tasks of the backlog that ended meanwhile, and the longest time without one. */
  readonly backlogTasks: number;
  readonly longestGapMs: number;
  /** Most attempts of the backlog at a time, after those that ran at first had ended. */
  readonly backlogAtOnce: number;
  /** Worker processes that were made. */
  readonly freshWorkers: number;
  /** Looks at processes by the priority of their threads; `mixed` must be 0. */
  readonly nices: Readonly<Record<string, number>>;
}

interface Bed {
  readonly client: DaymillClient;
  readonly bundle: JobBundle;
}

/** Tasks of runs in other lanes than the live one. A run that was cancelled shows for ever what ran at that moment. */
function backlogOf(runs: readonly RunStatus[]): { ended: number; running: number } {
  const others = runs.filter(({ lane }) => lane !== "live");
  const ofStages = (run: RunStatus, of: (stage: RunStatus["stages"][number]) => number) =>
    run.stages.reduce((sum, stage) => sum + of(stage), 0);
  return {
    ended: others.reduce((sum, run) => sum + ofStages(run, (stage) => stage.done), 0),
    running: others
      .filter(({ endedMs }) => endedMs === 0)
      .reduce((sum, run) => sum + ofStages(run, (stage) => stage.running), 0),
  };
}

function hasTasks({ state }: RunStatus): boolean {
  return state === "running" || state === "checking";
}

/** The one nice value that all threads of a process have, or `mixed`. A process that is just changing is looked at again. */
async function niceOf(pid: number): Promise<string | undefined> {
  for (let look = 0; look < 3; look++) {
    const found = nicesOf(pid);
    if (found.size === 0) return undefined;
    if (found.size === 1) return [...found].join();
    await pause(20);
  }
  return "mixed";
}

function nicesOf(pid: number): ReadonlySet<number> {
  const found = new Set<number>();
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
      found.add(Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]));
    }
  } catch {
    // It has ended.
  }
  return found;
}

/** Looks at the cluster again and again until told to stop. */
class Watch {
  backlogAtOnce = 0;
  longestGapMs = 0;
  readonly nices: Record<string, number> = {};
  readonly #pids = new Set<number>();
  readonly #client: DaymillClient;
  #first: { ended: number; running: number } | undefined;
  #ended = 0;
  #endedAt: number | undefined;
  #isOver = false;
  readonly #done: Promise<void>;

  constructor(client: DaymillClient) {
    this.#client = client;
    this.#done = this.#loop();
  }

  async stop(): Promise<{ tasks: number; freshWorkers: number }> {
    this.#isOver = true;
    await this.#done;
    const tasks = this.#ended - (this.#first?.ended ?? 0);
    const freshWorkers = Math.max(0, this.#pids.size - slots);
    return { tasks, freshWorkers };
  }

  async #loop(): Promise<void> {
    while (!this.#isOver) {
      await this.#look();
      await pause(lookEveryMs);
    }
  }

  async #look(): Promise<void> {
    const runs = await this.#client.runs("", 100);
    // While it is planned and while it is committed there is nothing of it to run: the backlog may have every slot.
    const isActive = runs.some((run) => run.lane === "live" && hasTasks(run));
    if (!isActive) return;
    const now = backlogOf(runs);
    const at = performance.now();
    this.#first ??= now;
    this.#endedAt ??= at;
    this.#ended = Math.max(this.#ended, this.#first.ended);
    this.longestGapMs = Math.max(this.longestGapMs, at - this.#endedAt);
    if (now.ended > this.#ended) this.#endedAt = at;
    this.#ended = Math.max(this.#ended, now.ended);
    const isDrained = now.ended - this.#first.ended >= this.#first.running;
    if (isDrained) this.backlogAtOnce = Math.max(this.backlogAtOnce, now.running);
    const pids = (await this.#client.executors()).flatMap(({ workerPids }) => workerPids);
    for (const pid of pids) {
      this.#pids.add(pid);
      const nice = await niceOf(pid);
      if (nice !== undefined) this.nices[nice] = (this.nices[nice] ?? 0) + 1;
    }
  }
}

async function liveDay(bed: Bed, way: Round["way"], day: string): Promise<Round> {
  const { client, bundle } = bed;
  const load = os.loadavg()[0] ?? 0;
  const watch = new Watch(client);
  const from = performance.now();
  const { runId } = await client.submit({ bundle }, day);
  const last = await client.wait(runId);
  const tookMs = Math.round(performance.now() - from);
  const { tasks, freshWorkers } = await watch.stop();
  if (last.state !== "committed") throw new Error(`run ${runId}: ${JSON.stringify(last)}`);
  const { backlogAtOnce, nices } = watch;
  const longestGapMs = Math.round(watch.longestGapMs);
  const about = { backlogTasks: tasks, longestGapMs, backlogAtOnce, freshWorkers, nices };
  return { way, day, tookMs, load: Math.round(load * 10) / 10, ...about };
}

/** Every slot works for the backlog when the live day comes. */
async function beside(bed: Bed, day: string, others: readonly string[]): Promise<Round> {
  const { client, bundle } = bed;
  const runs: string[] = [];
  for (const other of others) {
    runs.push((await client.submit({ bundle }, other, { lane: "backlog" })).runId);
  }
  while (backlogOf(await client.runs("", 100)).running < slots) await pause(100);
  const round = await liveDay(bed, "beside", day);
  const { running } = backlogOf(await client.runs("", 100));
  if (running === 0)
    throw new Error("the backlog was at its end before the live day: take more rows");
  for (const run of runs) await client.cancel(run, "the trial's round is over");
  for (const run of runs) await client.wait(run);
  return round;
}

/** What runs when the live day comes is not stopped: as in a real day, one task is a small part of the work. */
function inSmallTasks(bundle: JobBundle): JobBundle {
  const jobYaml = bundle.jobYaml.replace(/split_bytes: \w+/, `split_bytes: ${splitBytes}`);
  if (!jobYaml.includes(splitBytes)) throw new Error("the job says how large its splits are");
  return { ...bundle, jobYaml };
}

async function trial(cluster: LocalCluster, rows: number, repeats: number): Promise<boolean> {
  const root = cluster.storageRoot;
  await generate({ root, day: firstDay, rows, gateways: 4 });
  const all = Array.from({ length: 1 + repeats * (2 + backlogDays) }, (_, index) => dayOf(index));
  for (const day of all.slice(1)) linkDay(root, day);
  const { client, close } = await connect({ nats: cluster.natsUrl });
  const bundle = inSmallTasks(
    await readJobBundle(path.join(projectRoot(), "jobs/ipdr-daily.yaml")),
  );
  const bed = { client, bundle };
  const rounds: Round[] = [];
  const say = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);
  try {
    const days = all[Symbol.iterator]();
    const next = () => days.next().value ?? firstDay;
    // The first day of a cluster is not like any other.
    await liveDay(bed, "alone", next());
    for (let round = 0; round < repeats; round++) {
      rounds.push(await liveDay(bed, "alone", next()));
      say(rounds.at(-1));
      rounds.push(await beside(bed, next(), Array.from({ length: backlogDays }, next)));
      say(rounds.at(-1));
    }
  } finally {
    await close();
  }
  const of = (way: Round["way"]) => rounds.filter((round) => round.way === way);
  const took = (way: Round["way"]) => median(of(way).map(({ tookMs }) => tookMs));
  const slowdown = took("beside") / took("alone");
  const perMinute = of("beside").map((one) => (one.backlogTasks * 60_000) / one.tookMs);
  const atOnce = Math.max(...of("beside").map((one) => one.backlogAtOnce));
  const mixed = rounds.reduce((sum, { nices }) => sum + (nices["mixed"] ?? 0), 0);
  const share = Math.max(1, Math.floor(slots * limits.backlogSlotsShare));
  const rounded = (value: number) => Math.round(value * 100) / 100;
  say({
    rows,
    cores: os.cpus().length,
    aloneMs: took("alone"),
    besideMs: took("beside"),
    slowdown: rounded(slowdown),
    backlogTasksPerMinute: perMinute.map(rounded),
    backlogAtOnce: atOnce,
    mixedPriorities: mixed,
  });
  const isFed = perMinute.every((rate) => rate >= tasksPerMinuteMin);
  return slowdown <= slowdownMax && isFed && atOnce <= share && mixed === 0;
}

async function main(): Promise<number> {
  const text = { type: "string" } as const;
  const options = { rows: text, repeats: text, executors: text, threads: text, work: text };
  const { values } = parseArgs({ options });
  const rows = wholeNumber("--rows", values.rows ?? "3000000", 1, 1e10);
  const repeats = wholeNumber("--repeats", values.repeats ?? "3", 1, 100);
  const executors = wholeNumber("--executors", values.executors ?? "1", 1, slots);
  if (slots % executors !== 0) throw new Error(`--executors must divide ${slots}`);
  const threads = wholeNumber("--threads", values.threads ?? "1", 1, 64);
  const shape = { executors, slots: slots / executors, threads };
  return await onCluster(values.work, shape, (cluster) => trial(cluster, rows, repeats));
}

await asProgram(import.meta.url, main);
