/**
 * `daymill gc`: what retention says of everything there is, and, where it is not a dry run, the removal of what goes. It
 * gathers what the leader's own looks see and asks the judgements that they ask; nothing is judged here. A report comes
 * in parts, one job each: what a job's days take up together is known from all of them only.
 */
import { failure } from "../../shared/kernel/failure.ts";
import type { GcItem, GcReport, GcTotals } from "../../shared/kernel/gc.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { DayRevisions } from "../../shared/kernel/manifest.ts";
import type { ExchangeVerdict } from "./exchange-retention.ts";
import { judgeExchange } from "./exchange-retention.ts";
import { filesContext, remove } from "./old-revisions.ts";
import type { Answer, ReplyId } from "./protocol.ts";
import { type FilesVerdict, judgeFiles, removalsOf } from "./retention.ts";
import { dropJudged, dropStaging, exchangeContext, stagingVerdict } from "./space.ts";
import type { Answered } from "./state.ts";
import { ask, refuse, reply, type Turn } from "./turn.ts";

type Of<Kind extends Answer["kind"]> = Extract<Answer, { kind: Kind }>;

/** What has been seen so far for one report. */
export interface GcGathering {
  readonly dryRun: boolean;
  /** The first part: also what belongs to no job. */
  readonly isFirst: boolean;
  job: string;
  readonly days: DayRevisions[];
  /** Set when all days of the job were seen: the job after it, or none. */
  next?: string;
  usage?: Of<"usage">["streams"];
  staging?: Of<"staging">;
}

/** `job`: empty for the first part. */
export function reportAsked(turn: Turn, to: ReplyId, job: string, dryRun: boolean): void {
  const { reports } = turn.state;
  if (reports.size >= limits.gcAtOnceMax) {
    const text = `${limits.gcAtOnceMax} reports are being made already; try again in a moment`;
    refuse(turn, to, failure("unavailable", text));
    return;
  }
  const isFirst = job === "";
  reports.set(to, { dryRun, isFirst, job, days: [] });
  look(turn, to, isFirst ? undefined : { job, day: "" });
  if (!isFirst) return;
  ask(turn, { kind: "readUsage" }, { kind: "report", reply: to });
  ask(turn, { kind: "listStaging", isMeasured: true }, { kind: "report", reply: to });
}

function look(turn: Turn, to: ReplyId, from: { job: string; day: string } | undefined): void {
  const daysMax = limits.retentionDaysPerLookMax;
  ask(turn, { kind: "listRevisions", from, daysMax }, { kind: "report", reply: to });
}

export function reportAnswered(turn: Turn, to: ReplyId, { answer }: Answered): void {
  const seen = turn.state.reports.get(to);
  if (seen === undefined) return;
  if (answer.kind === "failed") {
    turn.state.reports.delete(to);
    refuse(turn, to, answer.failure);
    return;
  }
  if (answer.kind === "usage") seen.usage = answer.streams;
  if (answer.kind === "staging") seen.staging = answer;
  if (answer.kind === "revisions") daysSeen(turn, to, seen, answer);
  const isWhole = seen.usage !== undefined && seen.staging !== undefined;
  if (seen.next === undefined || (seen.isFirst && !isWhole)) return;
  turn.state.reports.delete(to);
  reply(turn, to, { kind: "gc", report: reportOf(turn, seen, seen.next) });
}

function daysSeen(turn: Turn, to: ReplyId, seen: GcGathering, found: Of<"revisions">): void {
  const job = found.days[0]?.job ?? seen.job;
  if (seen.days.length === 0) seen.job = job;
  seen.days.push(...found.days.filter((day) => day.job === seen.job));
  const other = found.days.find((day) => day.job !== seen.job)?.job;
  if (other !== undefined) seen.next = other;
  else if (found.next?.job === seen.job) look(turn, to, found.next);
  else seen.next = found.next?.job ?? "";
}

function reportOf(turn: Turn, seen: GcGathering, next: string): GcReport {
  const files = judgeFiles(seen.days, filesContext(turn, seen.job));
  const items = files.filter(({ datasets }) => datasets.length > 0).map(fileItem);
  if (seen.isFirst) items.push(...aroundItems(turn, seen));
  if (!seen.dryRun) removeFiles(turn, files);
  const inOrder = [...items.filter(({ goes }) => goes), ...items.filter(({ goes }) => !goes)];
  const shown = inOrder.slice(0, limits.gcItemsShownMax);
  return { dryRun: seen.dryRun, items: shown, totals: totalsOf(items), next };
}

/** What is more than one call may ask of storage is left to the leader's own round, which begins at once. */
function removeFiles(turn: Turn, files: readonly FilesVerdict[]): void {
  const removals = removalsOf(files);
  for (const removal of removals.slice(0, limits.gcDropsMax)) remove(turn, removal);
  if (removals.length <= limits.gcDropsMax) return;
  const { oldFiles } = turn.state;
  oldFiles.from = undefined;
  oldFiles.job = "";
  oldFiles.seen = [];
  oldFiles.nextLookAt = turn.at + limits.retentionLookEveryMs;
}

function fileItem(verdict: FilesVerdict): GcItem {
  const { kind, job, day, revision, arrangedBy, datasets, bytes, ageMs, goes, why } = verdict;
  const name = `r${revision}-e${arrangedBy} ${datasets.join(", ")}`;
  return { kind, job, day, name, ageMs, bytes, goes, why };
}

/** Staging, exchange and journal. What of them goes is removed on the way. */
function aroundItems(turn: Turn, seen: GcGathering): readonly GcItem[] {
  const { runs, bytes = [] } = seen.staging ?? { runs: [] };
  const staging = runs.map((run, index) => stagingItem(turn, run, bytes[index] ?? 0));
  const { durable } = turn.state;
  const { verdicts } = judgeExchange(durable, seen.usage ?? [], exchangeContext(turn));
  // What a failed run left may be files alone.
  const streams = verdicts.filter((one) => one.streams.length > 0);
  const items = [...staging, ...streams.map(exchangeItem), journalItem(turn)];
  if (seen.dryRun) return items;
  const swept = staging.filter(({ goes }) => goes).slice(0, limits.stagingSweptMax);
  for (const { name } of swept) dropStaging(turn, name);
  dropJudged(turn, verdicts);
  return items;
}

function stagingItem(turn: Turn, id: string, bytes: number): GcItem {
  const run = turn.state.durable.runs.get(id);
  const ageMs = run === undefined ? -1 : Math.max(0, turn.wall - run.createdMs);
  const about = { job: run?.job ?? "", day: run?.day ?? "", name: id };
  return { kind: "staging", ...about, ageMs, bytes, ...stagingVerdict(turn, id) };
}

function exchangeItem(verdict: ExchangeVerdict): GcItem {
  const { of, job, day, source, streams, bytes, ageMs, why } = verdict;
  const [only = ""] = streams;
  const count = streams.length === 1 ? only : `${streams.length} streams`;
  const whose = of === "kept" && source === "" ? "of a failed run" : source;
  const name = whose === "" ? count : `${whose}, ${count}`;
  return { kind: "exchange", job, day, name, ageMs, bytes, goes: verdict.goes !== false, why };
}

/** Records go behind a snapshot, which is written when there are enough of them. */
function journalItem({ state }: Turn): GcItem {
  const { recordsSinceSnapshot: records, unitsSinceSnapshot, snapshotUnits } = state.journal;
  const units = Math.max(limits.snapshotEveryUnits, snapshotUnits);
  const why = `goes behind the next snapshot: after ${limits.snapshotEveryRecords} records or ${units} bytes`;
  const name =
    records === 1
      ? "1 record since the last snapshot"
      : `${records} records since the last snapshot`;
  const about = { job: "", day: "", name, ageMs: -1, bytes: unitsSinceSnapshot } as const;
  return { kind: "journal", ...about, goes: false, why };
}

function totalsOf(items: readonly GcItem[]): GcTotals {
  const totals = { goes: 0, goesBytes: 0, stays: 0, staysBytes: 0 };
  for (const { goes, bytes } of items) {
    if (goes) totals.goes++;
    else totals.stays++;
    if (goes) totals.goesBytes += bytes;
    else totals.staysBytes += bytes;
  }
  return totals;
}
