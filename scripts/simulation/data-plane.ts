/**
 * What a worker does with an attempt, in small acts between which anything may happen: it may die after half of its
 * messages, read a stream that is gone, write to one that was dropped. Messages and completion records are judged by
 * the production intake. `next` gives what to do next, an outcome at the end.
 */
import { must } from "../../shared/kernel/assert.ts";
import { canonicalJson, type Json } from "../../shared/kernel/canonical.ts";
import {
  exchangeShort,
  findShort,
  offerCompletion,
  offerData,
  startIntake,
} from "../../shared/kernel/exchange-intake.ts";
import { groupOf, type PartitionRows } from "../../shared/kernel/exchange-layout.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { formatMapAccount } from "../../shared/kernel/map-account.ts";
import type { ExchangePlan } from "../../shared/kernel/plan.ts";
import { sha256Hex } from "../../shared/kernel/sha256.ts";
import {
  type AttemptOutcome,
  type AttemptSuccess,
  type CheckWork,
  type Completion,
  completionDigest,
  type Delivery,
  type ExchangeOutput,
  type FileAccount,
  type MapWork,
  mapKey,
  type ReduceWork,
  type StagedFile,
  type Work,
} from "../../shared/kernel/work.ts";
import {
  asideOfFile,
  checksumOf,
  contentOf,
  markOf,
  partitionOf,
  readFrom,
  rowsOfFile,
  rowsPerFile,
} from "./rows.ts";
import { isAccount, isCompletion, type SimMemory } from "./sim-memory.ts";

/** One act; a failure ends the attempt. */
type Act = () => AttemptOutcome | undefined;

interface Made {
  rows: readonly string[];
  /** Files that a scan stages beside its rows. */
  aside: Pick<AttemptSuccess, "rejectsFile" | "lateFile">;
  readonly outputs: ExchangeOutput[];
  readonly files: StagedFile[];
}

/** All acts of an attempt, in order. The last one gives its outcome. */
export function actsOf(
  memory: SimMemory,
  work: Work,
  delivery: Delivery,
  isDoubled: () => boolean,
): Act[] {
  if (work.kind === "check") return [() => checked(memory, work)];
  const made: Made = { rows: [], aside: {}, outputs: [], files: [] };
  const writes = work.stage.outputs.flatMap((output): Act[] => {
    if (output.kind === "dataset") {
      return [() => writeFile(memory, made, delivery, output.model)];
    }
    const plan = must(
      work.exchanges.find(({ id }) => id === output.exchange),
      "work names the exchanges that it writes",
    );
    return writesOf(memory, made, plan, producerOf(work, delivery), delivery, isDoubled);
  });
  const read =
    work.kind === "map"
      ? [() => scan(memory, made, work), () => putAside(memory, made, work, delivery)]
      : readsOf(memory, made, work, delivery);
  return [...read, ...writes, () => done(memory, made, work, delivery)];
}

function producerOf(work: MapWork | ReduceWork, { run, stage, task }: Delivery): string {
  return work.kind === "map" ? mapKey(work) : `${run}/${stage}/${task}`;
}

function scan(memory: SimMemory, made: Made, work: MapWork): AttemptOutcome | undefined {
  const changed = work.split.files.find((file) => !memory.isAsListed(file));
  if (changed !== undefined) {
    const why = failure("inputChanged", `${changed.path} is another file now`);
    return { kind: "failed", failure: why };
  }
  const each = rowsPerFile(work.stage, work.exchanges);
  made.rows = work.split.files.flatMap((file) => rowsOfFile(file, each));
  return undefined;
}

/** Rejected lines and late records lie in files of their own, in the attempt's staging folder. */
function putAside(memory: SimMemory, made: Made, work: MapWork, delivery: Delivery): undefined {
  const aside = work.split.files.map(asideOfFile);
  const write = (name: string, lines: readonly string[]) => {
    const path = `${delivery.stagingDir}/${name}.parquet`;
    if (lines.length > 0) memory.files.set(path, lines);
    return lines.length > 0 ? path : undefined;
  };
  const rejectsFile = write(
    "rejects",
    aside.flatMap(({ rejects }) => rejects),
  );
  const lateFile = write(
    "late",
    aside.flatMap(({ late }) => late),
  );
  made.aside = {
    ...(rejectsFile === undefined ? {} : { rejectsFile }),
    ...(lateFile === undefined ? {} : { lateFile }),
  };
  return undefined;
}

/** One act per input exchange. Winners only, each message once, nothing short: as the real reader decides. */
function readsOf(memory: SimMemory, made: Made, work: ReduceWork, delivery: Delivery): Act[] {
  const inputs = delivery.inputs.map(({ exchange }) => exchange);
  return delivery.inputs.map(({ exchange, streams, winners }) => () => {
    const name = must(streams[work.group], "an exchange has a stream per group");
    const away = missing(memory, name);
    if (away !== undefined) return away;
    const plan = must(
      work.exchanges.find(({ id }) => id === exchange),
      "work names the exchanges that it reads",
    );
    const intake = startIntake(plan, name, work.group, winners);
    const rows: string[] = [];
    for (const [attemptId, messages] of memory.streams.get(name) ?? []) {
      for (const message of messages) {
        if (isAccount(message)) continue;
        if (isCompletion(message)) {
          offerCompletion(intake, attemptId, message);
          continue;
        }
        const [sequence = "", parts = "", texts = ""] = message.split("|");
        const head = JSON.parse(parts) as readonly PartitionRows[];
        if (offerData(intake, attemptId, Number(sequence), head) === false) continue;
        rows.push(...texts.split(" ").map((text) => readFrom(exchange, text, inputs)));
      }
    }
    const short = findShort(intake);
    if (short !== undefined) return { kind: "failed", failure: short };
    made.rows = [...made.rows, ...rows];
    return undefined;
  });
}

/** A message per group that gets rows, then the completion record to every group. */
function writesOf(
  memory: SimMemory,
  made: Made,
  plan: ExchangePlan,
  producer: string,
  delivery: Delivery,
  isDoubled: () => boolean,
): Act[] {
  const route = must(
    delivery.outputs.find((one) => one.exchange === plan.id),
    "a delivery routes every output",
  );
  const { attemptId } = delivery;
  const messages = route.streams.map(() => 0);
  const mark = markOf(producer, attemptId, memory.isUnstable);
  const sent = () => made.rows.map((text) => text + mark);
  const data = route.streams.map(
    (stream, group): Act =>
      () => {
        const away = refused(memory, stream);
        if (away !== undefined) return away;
        const { parts, texts } = partsOf(sent(), plan, group);
        if (texts.length === 0) return undefined;
        messages[group] = 1;
        const message = `0|${JSON.stringify(parts)}|${texts.join(" ")}`;
        store(memory, stream, attemptId, message);
        if (isDoubled()) store(memory, stream, attemptId, message);
        return undefined;
      },
  );
  const finish: Act = () => {
    const completion = completionOf(sent(), plan, producer, attemptId, messages);
    const text = canonicalJson(completion as unknown as Json);
    for (const stream of route.streams) {
      const away = refused(memory, stream);
      if (away !== undefined) return away;
      store(memory, stream, attemptId, text);
    }
    made.outputs.push({
      exchange: plan.id,
      digest: completionDigest(completion),
      checksum: checksumOf(sent()),
      rows: made.rows.length,
      bytes: 10 * made.rows.length,
      messages: messages.reduce((sum, one) => sum + one, 0),
    });
    return undefined;
  };
  return [...data, finish];
}

function partsOf(rows: readonly string[], plan: ExchangePlan, group: number) {
  const byPartition = new Map<number, string[]>();
  for (const text of rows) {
    const partition = partitionOf(text, plan);
    if (groupOf(partition, plan.partitions, plan.groups) !== group) continue;
    const found = byPartition.get(partition);
    if (found === undefined) byPartition.set(partition, [text]);
    else found.push(text);
  }
  const sorted = [...byPartition].sort(([one], [other]) => one - other);
  const parts = sorted.map(([partition, texts]) => ({ partition, rows: texts.length }));
  return { parts, texts: sorted.flatMap(([, texts]) => texts) };
}

function completionOf(
  rows: readonly string[],
  plan: ExchangePlan,
  producer: string,
  attemptId: string,
  messages: readonly number[],
): Completion {
  const counts = new Map<number, string[]>();
  for (const text of rows) {
    const partition = partitionOf(text, plan);
    counts.set(partition, [...(counts.get(partition) ?? []), text]);
  }
  const partitions = [...counts]
    .sort(([one], [other]) => one - other)
    .map(([partition, texts]) => ({
      partition,
      rows: texts.length,
      bytes: 10 * texts.length,
      checksum: checksumOf(texts),
    }));
  return { attemptId, producer, exchange: plan.id, partitions, messages };
}

function store(memory: SimMemory, stream: string, attemptId: string, message: string): void {
  const attempts = must(memory.streams.get(stream), "the stream was looked at");
  attempts.set(attemptId, [...(attempts.get(attemptId) ?? []), message]);
}

/** A stream that is gone, or that nobody answers for. */
function missing(memory: SimMemory, stream: string): AttemptOutcome | undefined {
  if (!memory.isReachable(stream)) {
    const why = failure("unavailable", `nobody answers for ${stream}`, { stream });
    return { kind: "failed", failure: why };
  }
  if (memory.streams.has(stream)) return undefined;
  return { kind: "failed", failure: exchangeShort(stream, [], "the stream is gone") };
}

/** Or one that takes nothing. */
function refused(memory: SimMemory, stream: string): AttemptOutcome | undefined {
  const away = missing(memory, stream);
  if (away !== undefined || !memory.isFull) return away;
  return { kind: "failed", failure: failure("exchangeFull", `no room in ${stream}`, { stream }) };
}

function writeFile(memory: SimMemory, made: Made, delivery: Delivery, model: string): undefined {
  const path = `${delivery.stagingDir}/${model}.parquet`;
  memory.files.set(path, made.rows);
  const rows = made.rows.length;
  made.files.push({ model, path, rows, bytes: 10 * rows, sha256: checksumOf(made.rows) });
  return undefined;
}

function checked(memory: SimMemory, work: CheckWork): AttemptOutcome {
  const gone = work.files.find((path) => !memory.files.has(path));
  if (gone !== undefined) {
    return { kind: "failed", failure: failure("storageFailed", `${gone} is not there`) };
  }
  // Some revisions of the job whose check holds a day back are doubted.
  const isDoubted = /^staging\/visits\.[^/]*\.r(\d+)\//.exec(work.files[0] ?? "");
  return success({ checkValue: Number(isDoubted?.[1]) % 3 === 2 ? "1" : "0" });
}

function done(
  memory: SimMemory,
  { rows, aside, outputs, files }: Made,
  work: MapWork | ReduceWork,
  delivery: Delivery,
): AttemptOutcome {
  const counters = { ...none, rowsIn: rows.length, rowsOut: rows.length };
  if (work.kind === "reduce") return success({ outputs, files, counters });
  const accounts = accountsOf(work).map((account) => {
    const { rejects, late } = asideOfFile(account.file);
    const lines = account.lines + rejects.length;
    return { ...account, lines, rejects: rejects.length, outsideDay: late.length };
  });
  const outcome = success({ outputs, files, ...aside, accounts, counters });
  return leaveAccount(memory, work, delivery, outcome) ?? outcome;
}

/** A leader that lost its journal finds the output again by it. The last message, to the first stream only. */
function leaveAccount(
  memory: SimMemory,
  work: MapWork,
  { attemptId, outputs }: Delivery,
  outcome: AttemptSuccess,
): AttemptOutcome | undefined {
  const stream = outputs[0]?.streams[0];
  if (stream === undefined || outcome.files.length > 0) return undefined;
  const away = refused(memory, stream);
  if (away !== undefined) return away;
  store(memory, stream, attemptId, `@${accountText(work, attemptId, outcome)}`);
  return undefined;
}

/** Ten rows in each file. */
export function accountsOf({ split }: Pick<MapWork, "split">): FileAccount[] {
  return split.files.map((file) => ({
    file,
    contentSha256: sha256Hex(contentOf(file)),
    plainBytes: file.size,
    lines: 10,
    rows: 10,
    rejects: 0,
    blank: 0,
    outsideDay: 0,
    lastLineUnterminated: false,
  }));
}

export function accountText(work: MapWork, attemptId: string, outcome: AttemptSuccess): string {
  const { split } = work;
  return formatMapAccount({ version: 1, attemptId, mapKey: mapKey(work), split, success: outcome });
}

const none = {
  rowsIn: 0,
  bytesIn: 0,
  rowsOut: 0,
  bytesOut: 0,
  elapsedMs: 1,
  peakMemoryBytes: 1,
};

function success(parts: Partial<AttemptSuccess>): AttemptSuccess {
  return { kind: "done", outputs: [], files: [], accounts: [], counters: none, ...parts };
}
