/**
 * Trial: who is told what when a real cluster is in trouble. Runs fail, checks are not kept, input does not come, days are
 * slow, late, odd or not started, executors hang, room runs out, a channel fails in every way, and the leader is killed
 * between deciding and sending (in a cluster of its own), and while receivers hold their answers back. Receivers are real
 * ones of each channel; each checks the form of what it gets.
 * Prints a JSON line for each part and one for all: which rules fired, which of them ended, messages by channel. Exit 1 when
 * a rule did not fire, an alert did not arrive on a channel that its routes name, came again within its repeat interval, its
 * end was not told once, a message after the kill had another id than before, or a form was wrong.
 *
 *   node dist/scripts/trial-alerts.js [--whole] [--work DIR] [--storage DIR]
 *
 * A change of leader is told for ten minutes: its end is waited for with --whole only.
 * Storage must lie on a file system that is nearly empty (default: /dev/shm where there is one), as a day fills it.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { connect } from "../client/connect.ts";
import { startLocalCluster } from "../client/local-cluster.ts";
import { type AlertRule, type AlertStatus, alertRules } from "../shared/kernel/alert.ts";
import { limits } from "../shared/kernel/limits.ts";
import { AlertDesk } from "./alert-kit/desk.ts";
import { killBeforeSending } from "./alert-kit/kill-decided.ts";
import { type Bed, openAlerts } from "./alert-kit/story.ts";
import {
  clusterTrouble,
  killWhileSilent,
  slowDays,
  whatIsMended,
  whatIsWrong,
} from "./alert-kit/troubles.ts";
import { judge } from "./alert-kit/verdict.ts";
import { asProgram, untilNothing } from "./trial-bed.ts";

const MiB = 1024 * 1024;
/** Told for longer than a trial takes otherwise. */
const outlasting: AlertRule = "leaderChanged";
/** Until what was mended is over, and until a change of leader is. */
const endsWithinMs = { usual: 150_000, whole: limits.leaderChangedShownMs + 150_000 };

const say = (value: unknown) => process.stdout.write(`${JSON.stringify(value)}\n`);

/** Above what lies there now, and below what one day adds to it and holds in the exchange. */
function fullShareOf(storage: string): number {
  const { bsize, blocks, bavail } = statfsSync(storage);
  const totalBytes = bsize * blocks;
  const share = ((blocks - bavail) * bsize + 24 * MiB) / totalBytes;
  if (share * limits.exchangeBytesBudget < 100 * MiB) return Number(share.toPrecision(4));
  throw new Error(
    `${storage} is too full for this trial: give --storage on a file system that is nearly empty`,
  );
}

async function allAlerts(bed: Bed): Promise<readonly AlertStatus[]> {
  const open = await openAlerts(bed);
  const ended = (await bed.client.alerts.list("history")).alerts as readonly AlertStatus[];
  const isNew = new Set<string>();
  return [...open, ...ended].filter(({ key }) => !isNew.has(key) && isNew.add(key));
}

async function trial(bed: Bed, isWhole: boolean): Promise<boolean> {
  const from = performance.now();
  const seconds = () => Math.round((performance.now() - from) / 1_000);
  const part = async (name: string, work: (bed: Bed) => Promise<object>) =>
    say({ part: name, ...(await work(bed)), seconds: seconds() });
  await part("wrong", whatIsWrong);
  await part("slow", slowDays);
  await part("cluster", clusterTrouble);
  await part("kill", killWhileSilent);
  await part("mended", whatIsMended);
  const mayLast = (rule: AlertRule) => rule === outlasting && !isWhole;
  const withinMs = isWhole ? endsWithinMs.whole : endsWithinMs.usual;
  await untilNothing("all that can end has ended", withinMs, async () => {
    const lasting = (await openAlerts(bed)).filter(({ rule }) => !mayLast(rule));
    return lasting.map(({ key, summary }) => `${key} (${summary})`).join("; ");
  });
  // The last messages about that: a group's changes are one interval apart.
  const { groupIntervalMs } = bed.desk.settings.config;
  await pause(groupIntervalMs + 2 * limits.alertsEveryMs);
  const verdict = judge(bed.desk, await allAlerts(bed));
  const notFired = alertRules.filter((rule) => !verdict.fired.includes(rule));
  const notEnded = verdict.fired.filter((rule) => !verdict.ended.includes(rule));
  const heartbeats = bed.desk.monitor.received.length;
  say({ ...verdict, notFired, notEnded, heartbeats, seconds: seconds(), cores: os.cpus().length });
  const isEnded = notEnded.every(mayLast);
  return verdict.problems.length === 0 && notFired.length === 0 && isEnded && heartbeats > 5;
}

async function onDesk(work: string, storageRoot: string, isWhole: boolean): Promise<number> {
  const desk = await AlertDesk.open(work, fullShareOf(storageRoot));
  try {
    const own = { work: path.join(work, "decided"), storage: path.join(storageRoot, "decided") };
    const fullShare = desk.settings.config.thresholds.fullShare;
    say({ part: "decided", ...(await killBeforeSending({ ...own, fullShare })) });
    const env = () => desk.environment;
    const cluster = await startLocalCluster({ work, storageRoot, executors: 3, slots: 1, env });
    try {
      const { client, close } = await connect({ nats: cluster.natsUrl });
      try {
        const bed = { cluster, client, desk, startedMs: Date.now() };
        return (await trial(bed, isWhole)) ? 0 : 1;
      } finally {
        await close();
      }
    } finally {
      await cluster.stop();
    }
  } finally {
    await desk.close();
  }
}

async function main(): Promise<number> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({
    options: { work: text, storage: text, whole: { type: "boolean" } },
  });
  const work = values.work ?? mkdtempSync(path.join(os.tmpdir(), "daymill-trial-"));
  const near = existsSync("/dev/shm") ? "/dev/shm" : os.tmpdir();
  const storageRoot = values.storage ?? mkdtempSync(path.join(near, "daymill-trial-"));
  mkdirSync(storageRoot, { recursive: true });
  try {
    return await onDesk(work, storageRoot, values.whole === true);
  } finally {
    if (values.work === undefined) rmSync(work, { recursive: true, force: true });
    if (values.storage === undefined) rmSync(storageRoot, { recursive: true, force: true });
  }
}

await asProgram(import.meta.url, main);
