/**
 * What must hold when the dust has settled, whatever happened: nothing is left over in exchange and staging, one
 * manifest per revision, views show the newest, and the journal replayed from outside is what the leader says.
 */
import { readdirSync } from "node:fs";
import { readlink } from "node:fs/promises";
import { join } from "node:path";
import { type Durable, emptyDurable, liveRuns } from "../../coordinator/core/durable.ts";
import { fold } from "../../coordinator/core/fold.ts";
import { type FactReader, readFacts } from "../../coordinator/core/journal-text.ts";
import { decodeSnapshot } from "../../coordinator/core/snapshot.ts";
import { runStatus } from "../../coordinator/core/views.ts";
import { openExchangeAdmin } from "../../shared/adapters/nats-exchange-admin.ts";
import { openJournal } from "../../shared/adapters/nats-journal.ts";
import { openStore } from "../../shared/adapters/store.ts";
import { revisionDirOf } from "../../shared/adapters/store-paths.ts";
import { canonicalJson, type Json } from "../../shared/kernel/canonical.ts";
import { DaymillError } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { RunManifest } from "../../shared/kernel/manifest.ts";
import type { ExchangeAdmin } from "../../shared/ports.ts";
import { cluster, type World } from "./world.ts";

export interface Settled {
  /** What does not hold; empty when all is well. */
  readonly problems: readonly string[];
  /** Streams that are kept for later runs of the day, and their bytes. */
  readonly streams: number;
  readonly exchangeBytes: number;
}

/** Attempts that lost are purged 5 s after their run or a takeover, everything else is found by a look every 15 s. */
const settleWithinMs = 3 * limits.spaceLookEveryMs;

export async function afterChecks(world: World): Promise<Settled> {
  const problems: string[] = [];
  await untilClean(world, problems);
  const durable = await replay(world);
  const admin = await openExchangeAdmin(world.watch.link, { replicas: 1 });
  const usage = await admin.usage();
  const exchangeBytes = usage.reduce((sum, one) => sum + one.bytes, 0);
  if (exchangeBytes > limits.exchangeBytesBudget) {
    problems.push(`the exchange holds ${exchangeBytes} bytes, over its budget`);
  }
  problems.push(...(await manifestProblems(world, durable)));
  problems.push(...(await replayProblems(world, durable)));
  return { problems, streams: usage.length, exchangeBytes };
}

/** Waits until nothing is left over; what still is after the bound becomes the problem. */
export async function untilClean(world: World, problems: string[]): Promise<void> {
  const admin = await openExchangeAdmin(world.watch.link, { replicas: 1 });
  let left: readonly string[] = [];
  const isClean = async () => {
    left = [
      ...(await orphans(world, admin)),
      ...stagingLeft(world),
      ...(await arrangementsLeft(world)),
    ];
    return left.length === 0;
  };
  try {
    await world.waitFor("exchange and storage without leftovers", isClean, settleWithinMs);
  } catch (error) {
    if (!(error instanceof DaymillError) || error.failure.code !== "timeout") throw error;
    problems.push(...left);
  }
}

async function orphans(world: World, admin: ExchangeAdmin): Promise<readonly string[]> {
  const { durable } = world.view;
  const winners = new Map<string, ReadonlySet<string>>();
  for (const { exchanges, outputs } of durable.kept.values()) {
    const ids = new Set(outputs.attemptIds());
    for (const { streams } of exchanges) for (const stream of streams) winners.set(stream, ids);
  }
  const live = new Set(
    liveRuns(durable).flatMap((run) => [...run.exchanges.values()].flatMap((one) => one.streams)),
  );
  const problems: string[] = [];
  for (const { stream } of await admin.usage()) {
    const kept = winners.get(stream);
    if (kept === undefined) {
      if (!live.has(stream)) problems.push(`stream ${stream} belongs to no run and no kept output`);
      continue;
    }
    for (const attemptId of (await admin.writers(stream)) ?? []) {
      if (!kept.has(attemptId)) problems.push(`${stream} holds rows of loser ${attemptId}`);
    }
  }
  return problems;
}

function stagingLeft({ root }: World): readonly string[] {
  return names(join(root, "staging")).map((name) => `staging/${name} is left over`);
}

/** Folders of revisions that were arranged by a leader that did not commit them: they go 5 s after the run. */
async function arrangementsLeft({ root }: World): Promise<readonly string[]> {
  const manifests = await (await openStore(root)).readManifests();
  const committed = manifests.filter(({ state }) => state === "committed");
  const named = new Set(committed.map(revisionDirOf));
  const folders = names(join(root, "revisions")).flatMap((job) =>
    names(join(root, "revisions", job)).flatMap((day) =>
      names(join(root, "revisions", job, day)).map((one) => `revisions/${job}/${day}/${one}`),
    ),
  );
  return folders.filter((one) => !named.has(one)).map((one) => `${one} is named by no manifest`);
}

/** The journal as a leader that starts now would fold it. */
export async function replay(world: World): Promise<Durable> {
  const store = await openStore(world.root);
  const journal = await openJournal(world.watch.link, { cluster, replicas: 1 });
  const snapshot = await store.readSnapshot();
  const last = await journal.lastSequence();
  const durable = snapshot === undefined ? emptyDurable() : decodeSnapshot(snapshot.texts);
  // A journal that is shorter than the snapshot was lost: what there is comes on top.
  const from = snapshot === undefined || last < snapshot.sequence ? 1 : snapshot.sequence + 1;
  const reader: FactReader = { pieces: [] };
  for await (const { text } of journal.read(from)) {
    for (const fact of readFacts(reader, text)) fold(durable, fact);
  }
  return durable;
}

async function manifestProblems(world: World, durable: Durable): Promise<readonly string[]> {
  const store = await openStore(world.root);
  const manifests = await store.readManifests();
  const problems: string[] = [];
  for (const record of durable.days.values()) {
    const ours = manifests.filter(({ job, day }) => job === record.job && day === record.day);
    problems.push(...dayProblems(record, ours));
    const shown = await readlink(join(world.root, "current", record.job, record.day)).catch(
      () => "",
    );
    if (record.committed > 0 && !shown.includes(`/r${record.committed}-e`)) {
      problems.push(`current/${record.job}/${record.day} shows ${shown || "nothing"}`);
    }
  }
  for (const run of durable.runs.values()) {
    const count = manifests.filter((manifest) => manifest.run === run.id).length;
    if (count !== 1) problems.push(`run ${run.id} has ${count} manifests`);
  }
  return problems;
}

function dayProblems(
  {
    job,
    day,
    highest,
    committed,
  }: { job: string; day: string; highest: number; committed: number },
  manifests: readonly RunManifest[],
): readonly string[] {
  const revisions = manifests.map(({ revision }) => revision);
  const wanted = Array.from({ length: highest }, (_, index) => index + 1);
  const problems: string[] = [];
  if (canonicalJson(revisions) !== canonicalJson(wanted)) {
    problems.push(
      `${job} ${day} has manifests ${revisions.join(", ")}, revisions go to ${highest}`,
    );
  }
  const newest = manifests.filter(({ state }) => state === "committed").at(-1)?.revision ?? 0;
  if (newest !== committed) {
    problems.push(`${job} ${day}: the journal says r${committed}, the manifests r${newest}`);
  }
  return problems;
}

async function replayProblems(world: World, durable: Durable): Promise<readonly string[]> {
  const told = await world.ask((client) => client.runs("", 500));
  const folded = [...durable.runs.values()].map((run) => runStatus(run));
  const problems = folded.flatMap((run) => {
    const found = told.find(({ runId }) => runId === run.runId);
    if (found === undefined) return [`the leader does not know run ${run.runId} of the journal`];
    const [ours, theirs] = [essence(run), essence(found)];
    return ours === theirs ? [] : [`run ${run.runId}: journal ${ours}, leader ${theirs}`];
  });
  if (told.length !== folded.length) {
    problems.push(`the journal has ${folded.length} runs, the leader tells of ${told.length}`);
  }
  return problems;
}

type Status = Omit<
  ReturnType<typeof runStatus>,
  "failure" | "state" | "lane" | "cause" | "stages" | "checks"
> & {
  readonly state: string;
  readonly lane?: string;
  readonly stages: readonly {
    readonly id: string;
    readonly tasks: number;
    readonly done: number;
    readonly reused: number;
    readonly failedAttempts: number;
    readonly committedBy: Readonly<Record<string, number>>;
  }[];
};

/** What a run is, without what travels differently on the wire. */
function essence(run: Status): string {
  const { runId, revision, state, rowsIn, rejects, exchangeRows, committedBy, manifest } = run;
  const stages = run.stages.map(({ id, tasks, done, reused, failedAttempts, committedBy: by }) => {
    return { id, tasks, done, reused, failedAttempts, committedBy: { ...by } };
  });
  const datasets = run.datasets.map(({ dataset, rows, files, bytes }) => {
    return { dataset, rows, files, bytes };
  });
  const head = { runId, revision, state, rowsIn, rejects, exchangeRows, manifest };
  return canonicalJson({ ...head, committedBy: { ...committedBy }, stages, datasets } as Json);
}

function names(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
