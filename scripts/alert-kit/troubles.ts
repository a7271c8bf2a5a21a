/** The troubles of a trial of alerts, each a real one, and how each is mended. */
import { rmSync } from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { RunStatus } from "../../shared/adapters/grpc-types.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { until, untilNothing } from "../trial-bed.ts";
import { dayOf } from "../trial-days.ts";
import { noonZone, putFile, smallJob } from "./jobs.ts";
import { type Bed, commits, run, told } from "./story.ts";

const rows = 500;
/** How long workers are stopped: longer than the leader's look at the exchange takes to come around. */
const stoppedMs = 24_000;
const firstDay = dayOf(0);

// --- days that run by themselves ------------------------------------------------------------------

function scheduled(startedMs: number, more: readonly string[]) {
  const { zone } = noonZone(startedMs);
  return [`timezone: ${zone}`, 'schedule: { cron: "0 0 * * *" }', "work_ahead: false", ...more];
}

/** The day that is due now, and those before it. */
function dueDay({ startedMs }: Bed, before = 0): string {
  const { aheadMs } = noonZone(startedMs);
  const localMs = startedMs + aheadMs - (1 + before) * 86_400_000;
  return new Date(localMs).toISOString().slice(0, 10);
}

/** The first full minute that leaves time for a slow run of the job before it. */
function finishMs({ startedMs }: Bed): number {
  return Math.ceil((startedMs + 75_000) / 60_000) * 60_000;
}

function scheduledJobs(bed: Bed) {
  const { startedMs } = bed;
  const { aheadMs } = noonZone(startedMs);
  const finishBy = new Date(finishMs(bed) + aheadMs).toISOString().slice(11, 16);
  const own = (more: readonly string[]) => scheduled(startedMs, more);
  const alone = "backlog: { days: 0 }";
  return {
    absent: smallJob({
      name: "absent",
      ready: "{ count: 1 }",
      more: own(["backlog: { days: 2 }"]),
    }),
    gaps: smallJob({ name: "gaps", ready: "{ count: 2 }", more: own([alone]) }),
    late: smallJob({
      name: "late",
      ready: "{ count: 1, grace: 23h }",
      more: own([alone, `deadline: { finish_by: "${finishBy}" }`]),
    }),
    // Another job has made that dataset of the day.
    unmade: smallJob({ name: "unmade", dataset: "owner_people", more: own([alone]) }),
    renamed: smallJob({ name: "unmade", more: own([alone]) }),
  };
}

// --- by hand --------------------------------------------------------------------------------------

const castSql = "SELECT who, sum(CAST(note AS BIGINT)) AS n FROM events GROUP BY who";
const failing = smallJob({ name: "failing", sql: castSql });
const killed = smallJob({ name: "killed", sql: castSql });
const checked = smallJob({
  name: "checked",
  more: [
    "checks:",
    "  - { name: no-debts, model: checked_people, sql: SELECT count(*) FROM checked_people WHERE amount < 0, expect: 0 }",
  ],
});
const owner = smallJob({ name: "owner" });
const rejecting = smallJob({ name: "rejecting" });
const volume = smallJob({ name: "volume" });
const trend = smallJob({ name: "trend" });
const rate = smallJob({ name: "rate" });
// All of its notes go through the exchange.
const wide = smallJob({
  name: "wide",
  sql: "SELECT who, count(DISTINCT note) AS notes FROM events GROUP BY who",
});

/** Seven days, one after the other, so that none waits for another. */
async function baseline(bed: Bed, job: typeof trend, name: string, everyDays: number) {
  for (let n = 0; n < 7; n++) {
    const day = dayOf(n * everyDays);
    putFile(bed.cluster.storageRoot, name, day, { rows });
    await commits(bed, job, day);
  }
}

/** What does not come, fails, is stopped by a check or has lines that no reader takes. Meanwhile days as they usually are. */
export async function whatIsWrong(bed: Bed) {
  const root = bed.cluster.storageRoot;
  const { absent, gaps, unmade } = scheduledJobs(bed);
  putFile(root, "gaps", dueDay(bed), { rows });
  putFile(root, "unmade", dueDay(bed), { rows });
  putFile(root, "owner", dueDay(bed), { rows });
  await commits(bed, owner, dueDay(bed));
  for (const bundle of [absent, gaps, unmade]) await bed.client.submit({ bundle }, "");
  putFile(root, "failing", firstDay, { rows, note: "no number" });
  putFile(root, "checked", firstDay, { rows, amount: -1 });
  putFile(root, "rejecting", firstDay, { rows, broken: rows / 10 });
  const [failed, stopped] = await Promise.all([
    run(bed, failing, firstDay),
    run(bed, checked, firstDay),
    commits(bed, rejecting, firstDay),
  ]);
  await Promise.all([
    baseline(bed, volume, "volume", 7),
    baseline(bed, trend, "trend", 1),
    baseline(bed, rate, "rate", 1),
  ]);
  const odd = dayOf(7 * 7);
  putFile(root, "volume", odd, { rows: 4 * rows });
  await commits(bed, volume, odd);
  return { failed: failed.why, stopped: stopped.why };
}

/**
 * Workers stand still while three days of a job run, one with long lines, one of a job that has a deadline, and one that
 * holds much in the exchange and on storage.
 */
export async function slowDays(bed: Bed) {
  const root = bed.cluster.storageRoot;
  const { late } = scheduledJobs(bed);
  putFile(root, "wide", firstDay, { rows: 1_200_000, noteBytes: 64 });
  const { runId } = await bed.client.submit({ bundle: wide }, firstDay);
  const isRead = ({ stages }: RunStatus) =>
    stages.some(({ source, state }) => source !== "" && state === "done");
  await until("the wide day is read", 60_000, async () => isRead(await bed.client.run(runId)));
  const running = { isOver: false };
  const stopping = stopWorkers(bed, running);
  const slow = [7, 8, 9].map((n) => ({
    bundle: trend,
    name: "trend",
    day: dayOf(n),
    noteBytes: 4,
  }));
  const all = [
    ...slow,
    // So long that the day is not slow for its size, however fast a machine made the days before: only its rate is low.
    { bundle: rate, name: "rate", day: dayOf(7), noteBytes: 4_000 },
    { bundle: late, name: "late", day: dueDay(bed, 3), noteBytes: 4 },
  ];
  const done = all.map(({ bundle, name, day, noteBytes }) => {
    putFile(root, name, day, { rows, noteBytes });
    return commits(bed, bundle, day);
  });
  await pause(stoppedMs);
  running.isOver = true;
  const stopped = await stopping;
  await Promise.all(done);
  const { state } = await bed.client.wait(runId);
  // Meanwhile the flaky channel has failed often enough.
  await told(bed, "channelFailing");
  return { stopped, wide: state };
}

/** Gives how many workers were stopped, those that came meanwhile included. */
async function stopWorkers({ client }: Bed, running: { isOver: boolean }): Promise<number> {
  const stopped = new Set<number>();
  while (!running.isOver) {
    for (const { workerPids } of await client.executors()) {
      for (const pid of workerPids) {
        if (!stopped.has(pid)) signal(pid, "SIGSTOP");
        stopped.add(pid);
      }
    }
    await pause(200);
  }
  for (const pid of stopped) signal(pid, "SIGCONT");
  return stopped.size;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** First one executor hangs, then two of three. */
export async function clusterTrouble(bed: Bed) {
  const { cluster } = bed;
  const [, second, third] = cluster.executors;
  if (second === undefined || third === undefined) throw new Error("three executors");
  // Days that are late say so only while the cluster is able to work.
  await told(bed, "deadlineProjected", finishMs(bed) - Date.now());
  cluster.kill(third.pid, "SIGSTOP");
  await told(bed, "executorLost");
  await told(bed, "deadlineMissed", 90_000);
  cluster.kill(second.pid, "SIGSTOP");
  await told(bed, "executorsFew");
  for (const { pid } of [second, third]) cluster.kill(pid, "SIGCONT");
  await told(bed, "runNotStarted", 90_000);
  await told(bed, "backlogGrowing", 90_000);
  return { executors: cluster.executors.length };
}

/** One more run fails while nobody answers; the leader is killed when all have heard of it and it has not heard so. */
export async function killWhileSilent(bed: Bed) {
  const { cluster, client, desk } = bed;
  await until("the flaky channel has what it waited for", 120_000, async () => {
    const { channels } = await client.alerts.list("open");
    return channels.every(({ waiting }) => waiting === 0);
  });
  const { address, stamp } = await client.leader();
  const leader = cluster.coordinators.find((one) => one.address === address);
  if (leader === undefined) throw new Error("the leader is not one of ours");
  const tries = (channel: string) =>
    desk
      .tellings(channel)
      .filter(({ alerts }) =>
        alerts.some(({ name }) => /runFailed\/killed|^killed .*failed/.test(name)),
      )
      .map(({ id }) => id);
  const channels = desk.settings.config.channels.map(({ name }) => name);
  desk.fallSilent("killed");
  putFile(cluster.storageRoot, "killed", firstDay, { rows, note: "no number" });
  await run(bed, killed, firstDay);
  const haveHeard = (times: number) => async () => {
    const deaf = channels.filter((one) => tries(one).length < times);
    return deaf.length === 0 ? "" : `${deaf} did not hear of it ${times} times`;
  };
  await untilNothing("all have heard of it", 60_000, haveHeard(1));
  cluster.kill(leader.pid, "SIGKILL");
  desk.speakAgain();
  await untilNothing("all hear of it again", 60_000, haveHeard(2));
  await told(bed, "leaderChanged");
  const ids = channels.map((one) => new Set(tries(one)).size);
  if (ids.some((size) => size !== 1)) throw new Error(`ids after the kill are others: ${ids}`);
  const after = await client.leader();
  await cluster.addCoordinator();
  return {
    epochs: [stamp?.epoch, after.stamp?.epoch],
    id: tries("tools")[0],
    twice: Object.fromEntries(channels.map((one) => [one, tries(one).length])),
  };
}

// --- mended ---------------------------------------------------------------------------------------

export async function whatIsMended(bed: Bed) {
  const root = bed.cluster.storageRoot;
  rmSync(path.join(root, "raw/wide"), { recursive: true });
  for (const before of [0, 1, 2]) putFile(root, "absent", dueDay(bed, before), { rows });
  putFile(root, "gaps", dueDay(bed), { rows: rows + 1, file: "b.csv" });
  putFile(root, "late", dueDay(bed), { rows });
  await bed.client.submit({ bundle: scheduledJobs(bed).renamed }, "");
  for (const [name, bundle] of [
    ["failing", failing],
    ["killed", killed],
    ["checked", checked],
  ] as const) {
    putFile(root, name, firstDay, { rows, note: "17" });
    await commits(bed, bundle, firstDay, true);
  }
  putFile(root, "rejecting", firstDay, { rows });
  await commits(bed, rejecting, firstDay, true);
  putFile(root, "volume", dayOf(7 * 7), { rows: rows + 1 });
  await commits(bed, volume, dayOf(7 * 7), true);
  for (const n of [10, 11, 12]) {
    putFile(root, "trend", dayOf(n), { rows });
    await commits(bed, trend, dayOf(n));
  }
  // Made again while nothing holds them up: from what was mapped before, and from other rows.
  for (const n of [7, 8, 9]) await commits(bed, trend, dayOf(n), true);
  putFile(root, "rate", dayOf(7), { rows });
  await commits(bed, rate, dayOf(7), true);
  return { heldMs: limits.alertHoldMs };
}
