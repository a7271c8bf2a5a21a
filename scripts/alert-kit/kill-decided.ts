/**
 * The leader is killed between deciding and sending: it stops itself before its first try of any channel, when the journal
 * has what it decided. Proof is the journal, read from outside, and receivers that have heard nothing; then a standby leads,
 * and each of them hears it once, under the id that the journal has.
 */
import { mkdirSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { connect } from "../../client/connect.ts";
import { type LocalCluster, startLocalCluster } from "../../client/local-cluster.ts";
import { noticeId } from "../../shared/adapters/alert-format-webhook.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { sha256Hex } from "../../shared/kernel/sha256.ts";
import { type JournalView, JournalWatch } from "../chaos-kit/journal-watch.ts";
import { isStopped } from "../chaos-kit/processes.ts";
import { until } from "../trial-bed.ts";
import { dayOf } from "../trial-days.ts";
import { AlertDesk, channelNames } from "./desk.ts";
import { putFile, smallJob } from "./jobs.ts";
import { answer } from "./receivers.ts";
import { type Bed, run } from "./story.ts";

const name = "decided";
const day = dayOf(0);
const key = `runFailed/${name}/${day}/`;
const failing = smallJob({
  name,
  sql: "SELECT who, sum(CAST(note AS BIGINT)) AS n FROM events GROUP BY who",
});

export interface Place {
  /** For files of the cluster, and for its storage. */
  readonly work: string;
  readonly storage: string;
  /** Of the disk under the storage: so full that it is an alert. */
  readonly fullShare: number;
}

/** A cluster of its own with receivers of its own: nothing else is told there. Throws where something is not as it should be. */
export async function killBeforeSending({ work, storage, fullShare }: Place): Promise<object> {
  for (const folder of [work, storage]) mkdirSync(folder, { recursive: true });
  const desk = await AlertDesk.open(work, fullShare);
  // Here it takes what comes, as all others.
  desk.http.flaky.answers = [answer(200, "ok")];
  const stop = { DAYMILL_CHAOS_STOP: "before-notice:1" };
  const env = (process: string) => ({
    ...desk.environment,
    ...(process === "coordinator-1" ? stop : {}),
  });
  const size = { executors: 2, slots: 1, coordinators: 1 };
  const cluster = await startLocalCluster({ work, storageRoot: storage, ...size, env });
  try {
    const watch = await JournalWatch.open(cluster.natsUrl, "daymill");
    const { client, close } = await connect({ nats: cluster.natsUrl });
    try {
      return await story({ cluster, client, desk, startedMs: Date.now() }, watch);
    } finally {
      await close();
      await watch.close();
    }
  } finally {
    await cluster.stop();
    await desk.close();
  }
}

async function story(bed: Bed, watch: JournalWatch): Promise<object> {
  const { cluster, client, desk } = bed;
  const first = await soleLeader(bed);
  putFile(cluster.storageRoot, name, day, { rows: 500, note: "no number" });
  const { state } = await run(bed, failing, day);
  if (state !== "failed") throw new Error(`the run is ${state}`);
  await until("the leader stops itself", 60_000, () => isStopped(first.pid));
  await watch.refresh();
  const decided = decidedIn(watch.view);
  const before = heard(desk);
  if (Object.values(before).some((ids) => ids.length > 0)) {
    throw new Error(`somebody has heard of it already: ${JSON.stringify(before)}`);
  }
  const killedAt = performance.now();
  cluster.kill(first.pid, "SIGKILL");
  if (!(await cluster.ended(first.pid, 5_000))) throw new Error("the leader was not killed");
  await until("all have it", 40_000, async () => {
    await watch.refresh();
    return [...decided.values()].every((id) => outcomeOf(watch.view, id, 2) === "sent");
  });
  const takenMs = Math.round(performance.now() - killedAt);
  // Long enough for a message to come a second time, and too short for a repeat.
  await pause(desk.settings.config.groupIntervalMs + limits.alertsEveryMs);
  const after = heard(desk);
  for (const [channel, id] of decided) oncePerChannel(channel, id, after[channel] ?? []);
  const problems = desk.problems();
  if (problems.length > 0) throw new Error(problems.join("; "));
  const { stamp } = await client.leader();
  return {
    epochs: [1, stamp?.epoch],
    decided: decided.size,
    heardBeforeTheKill: Object.values(before).flat().length,
    heardAfter: Object.fromEntries(Object.entries(after).map(([of, ids]) => [of, ids.length])),
    id: decided.get("tools"),
    takenMs,
  };
}

/** Only the first coordinator is there, and leads; then the one that will take over comes. */
async function soleLeader({ cluster, client }: Bed): Promise<LocalCluster["coordinators"][number]> {
  const [first] = cluster.coordinators;
  const { address } = await client.leader();
  if (first?.address !== address) throw new Error(`${address} leads, which is not the first one`);
  await cluster.addCoordinator();
  return first;
}

/** Ids by channel of what the first leader has saved: one message for each channel, and of none how it went. */
function decidedIn({ seen }: JournalView): ReadonlyMap<string, string> {
  const facts = seen.filter(({ epoch }) => epoch === 1).map(({ fact }) => fact);
  const tried = facts.filter(({ kind }) => kind === "noticeDone");
  if (tried.length > 0) throw new Error(`a try is recorded: ${JSON.stringify(tried)}`);
  const queued = facts.flatMap((fact) => (fact.kind === "noticeQueued" ? [fact.notice] : []));
  const about = queued.flatMap(({ alerts }) => alerts.map((alert) => alert.key));
  const channels = queued.map(({ channel }) => channel).sort();
  if (about.some((one) => one !== key) || channels.join() !== [...channelNames].sort().join()) {
    throw new Error(`another thing was decided: ${JSON.stringify({ about, channels })}`);
  }
  return new Map(queued.map(({ channel, id }) => [channel, id]));
}

function outcomeOf({ seen }: JournalView, id: string, by: number): string | undefined {
  return seen
    .filter(({ epoch }) => epoch === by)
    .flatMap(({ fact }) => (fact.kind === "noticeDone" && fact.id === id ? [fact.outcome] : []))[0];
}

/** By channel: what its receiver tells messages by that are about the run. */
function heard(desk: AlertDesk): Readonly<Record<string, readonly string[]>> {
  const isAbout = ({ name: told }: { readonly name: string }) =>
    told === key || told.startsWith(`${name} `);
  return Object.fromEntries(
    channelNames.map((channel) => [
      channel,
      desk
        .tellings(channel)
        .filter(({ alerts }) => alerts.some(isAbout))
        .map(({ id }) => id),
    ]),
  );
}

/** Where a form has an id it is that of the journal; the others are told apart by the alert's key or words. */
function oncePerChannel(channel: string, id: string, ids: readonly string[]): void {
  const [only = "", ...more] = ids;
  if (only === "" || more.length > 0) {
    throw new Error(`${channel} heard of it ${ids.length} times`);
  }
  const isKept =
    channel === "mail"
      ? only.startsWith(`<${sha256Hex(id).slice(0, 32)}.`)
      : channel === "tools" || channel === "flaky"
        ? only === noticeId({ id })
        : true;
  if (!isKept) throw new Error(`${channel}: ${only} is not the message ${id}`);
}
