/**
 * Trial: the leader is killed again and again while every slot is busy. How long until the other coordinator answers as
 * leader and every executor is with it? Prints a JSON line for each kill and one for all. Exit 1 when a takeover took
 * five seconds or more, an attempt that ran was not taken over, a committed task ran again, or a process was restarted.
 *
 *   node dist/scripts/trial-takeover.js [--kills N] [--rows N] [--work DIR]
 */
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { isEnded } from "../client/client.ts";
import { wholeNumber } from "../client/command.ts";
import { connect, connectCommand } from "../client/connect.ts";
import type { LocalCluster } from "../client/local-cluster.ts";
import { readJobBundle } from "../shared/adapters/job-file.ts";
import { followEvents } from "../shared/adapters/nats-follow.ts";
import { projectRoot } from "../shared/adapters/project.ts";
import { generate } from "./generate/generate.ts";
import { Backlog } from "./trial-backlog.ts";
import { asProgram, onCluster, until } from "./trial-bed.ts";
import { copyDay, dayOf, firstDay } from "./trial-days.ts";

const executors = 2;
const slots = 1;
const slowestMs = 5_000;
/** Times are measured by looking: often. */
const lookEveryMs = 20;
/** From the decision to start an attempt until its executor has it. */
const sentWithinMs = 300;

interface Joined {
  readonly at: number;
  readonly executor: string;
  readonly adopted: number;
}

export interface Takeover {
  readonly kill: number;
  /** Attempts that ran just before. */
  readonly busy: number;
  /** Until they did. */
  readonly busyAfterMs: number;
  /** From the kill until the first answer as leader, and until every executor was with it. */
  readonly leaderMs: number;
  readonly attachedMs: number;
  /** Attempts that the new leader found running, or ended and not yet reported. */
  readonly adopted: number;
  readonly epoch: number;
}

/** What every executor's joining tells, from now on. */
async function listen(natsUrl: string): Promise<{ joined: Joined[]; close: () => Promise<void> }> {
  const link = await connectCommand(natsUrl);
  const stop = new AbortController();
  const joined: Joined[] = [];
  const follow = async () => {
    for await (const { subject, text } of followEvents(link, { job: "_cluster" }, stop.signal)) {
      if (!subject.endsWith(".executor.joined")) continue;
      const { data } = JSON.parse(text) as { data: { executor: string; adopted: number } };
      joined.push({ at: performance.now(), executor: data.executor, adopted: data.adopted });
    }
  };
  const following = follow();
  const close = async () => {
    stop.abort();
    await following;
    await link.close();
  };
  return { joined, close };
}

type Connected = Awaited<ReturnType<typeof connect>>["client"];

async function busySlots(client: Connected): Promise<number> {
  const all = await client.executors();
  return all.reduce((sum, one) => sum + one.running, 0);
}

/** What the cluster says while it is waited for: without this a trial that fails under load tells nothing. */
async function standing(client: Connected): Promise<string> {
  const [executors, runs] = [await client.executors(), await client.runs("", 20)];
  const live = runs.filter(({ state }) => !isEnded(state));
  return JSON.stringify({
    executors: executors.map(({ executorId, state, running, workerPids, failed, note }) => {
      return { executorId, state, running, workerPids, failed, note };
    }),
    runs: live.map(({ runId, state, warnings, stages }) => {
      const open = stages.filter((stage) => stage.state !== "done");
      const tasks = open.map((one) => `${one.label}: ${one.done}+${one.running}/${one.tasks}`);
      return { runId, state, warnings, tasks };
    }),
  });
}

async function killLeader(
  kill: number,
  cluster: LocalCluster,
  client: Connected,
  joined: Joined[],
  check: () => void,
): Promise<Takeover> {
  let busy = 0;
  const waitsFrom = performance.now();
  await until(
    "every slot is busy",
    60_000,
    async () => {
      check();
      busy = await busySlots(client);
      if (busy !== executors * slots) return false;
      // What was only decided is not at its executor yet: it would be given up, and nobody would have run it.
      await pause(sentWithinMs);
      busy = await busySlots(client);
      return busy === executors * slots;
    },
    lookEveryMs,
  ).catch(async (error: unknown) => {
    throw new Error(`${error}; ${await standing(client)}`, { cause: error });
  });
  const busyAfterMs = Math.round(performance.now() - waitsFrom);
  const { address } = await client.leader();
  const leader = cluster.coordinators.find((one) => one.address === address);
  const standby = cluster.coordinators.find((one) => one.address !== address);
  if (leader === undefined || standby === undefined) throw new Error("a leader and a standby");
  joined.length = 0;
  const from = performance.now();
  cluster.kill(leader.pid, "SIGKILL");
  let leaderMs = 0;
  let epoch = 0;
  await until(
    "somebody leads",
    60_000,
    async () => {
      const status = await client.status(standby.address);
      leaderMs = performance.now() - from;
      epoch = status.stamp?.epoch ?? 0;
      return status.role === "leader";
    },
    lookEveryMs,
  );
  const with_ = () => new Set(joined.map(({ executor }) => executor)).size;
  await until("every executor is with it", 60_000, () => with_() === executors, lookEveryMs);
  const attachedMs = Math.max(...joined.map(({ at }) => at)) - from;
  const adopted = joined.reduce((sum, one) => sum + one.adopted, 0);
  await cluster.addCoordinator();
  const [a, b] = [Math.round(leaderMs), Math.round(attachedMs)];
  return { kill, busy, busyAfterMs, leaderMs: a, attachedMs: b, adopted, epoch };
}

async function trial(cluster: LocalCluster, kills: number, rows: number): Promise<boolean> {
  const { client, close } = await connect({ nats: cluster.natsUrl });
  const events = await listen(cluster.natsUrl);
  const pids = cluster.executors.map(({ pid }) => pid).join();
  const bundle = await readJobBundle(path.join(projectRoot(), "jobs/ipdr-daily.yaml"));
  const backlog = new Backlog(client, bundle, (index) => {
    const day = dayOf(index);
    if (index > 0) copyDay(cluster.storageRoot, day);
    return day;
  });
  const takeovers: Takeover[] = [];
  try {
    await generate({ root: cluster.storageRoot, day: firstDay, rows, gateways: 4 });
    backlog.start();
    for (let kill = 1; kill <= kills; kill++) {
      const takeover = await killLeader(kill, cluster, client, events.joined, () =>
        backlog.check(),
      );
      takeovers.push(takeover);
      process.stdout.write(`${JSON.stringify(takeover)}\n`);
      // Work of this leadership, so that the next one has something to go on with.
      await pause(2_000);
    }
    const runs = await backlog.finish();
    const slowest = Math.max(...takeovers.flatMap((one) => [one.leaderMs, one.attachedMs]));
    const sum = (of: (one: Takeover) => number) => takeovers.reduce((all, one) => all + of(one), 0);
    const isSameExecutors = cluster.executors.map(({ pid }) => pid).join() === pids;
    const result = {
      kills,
      slowestMs: slowest,
      busyAtKill: sum((one) => one.busy),
      adopted: sum((one) => one.adopted),
      ...runs,
      sameExecutors: isSameExecutors,
    };
    process.stdout.write(`${JSON.stringify(result)}\n`);
    const isFast = slowest < slowestMs;
    const isWhole = runs.rows === runs.committed * rows && runs.tasks === runs.winners;
    const isKept = runs.failedAttempts === 0 && runs.ranAgain === 0 && result.adopted > 0;
    return isFast && isWhole && isKept && isSameExecutors;
  } finally {
    backlog.stop();
    await events.close();
    await close();
  }
}

async function main(): Promise<number> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ options: { kills: text, rows: text, work: text } });
  const kills = wholeNumber("--kills", values.kills ?? "20", 1, 1_000);
  const rows = wholeNumber("--rows", values.rows ?? "400000", 1, 1e10);
  return await onCluster(values.work, { executors, slots }, (cluster) =>
    trial(cluster, kills, rows),
  );
}

await asProgram(import.meta.url, main);
