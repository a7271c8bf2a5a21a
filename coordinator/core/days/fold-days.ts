/**
 * What facts about days do to durable state: opened, looked at, marked, made, failed. Part of `fold`: in place, total,
 * deciding nothing.
 */
import { unreachable } from "../../../shared/kernel/assert.ts";
import type { DeskDocument } from "../../../shared/kernel/days.ts";
import type { Failure } from "../../../shared/kernel/failure.ts";
import type { JobSpec } from "../../../shared/kernel/job.ts";
import { definitionOf } from "../../../shared/kernel/job-day.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { type DayRecord, type DeskRecord, type Durable, dayKey, type Run } from "../durable.ts";
import type { Fact } from "../facts.ts";
import { pinnedUpstream, rowsOf } from "../history.ts";
import { type DayMade, type DayMemory, type InputKnown, otherFiles, sameInput } from "./day.ts";
import {
  foldBackfillDays,
  foldBackfillMarked,
  foldBackfillStarted,
  withoutTaken,
} from "./fold-backfills.ts";
import { foldLateBegan, foldLateFound, foldLateRead } from "./fold-late.ts";

const kinds = [
  "dayOpened",
  "inputSeen",
  "dayMarked",
  "dayDelivered",
  "deliveryAcknowledged",
  "backlogPaused",
  "deskFound",
  "dayWarned",
  "backfillStarted",
  "backfillMarked",
  "backfillDays",
  "lateBegan",
  "lateFound",
  "lateRead",
] as const;

export type DaysFact = Extract<Fact, { kind: (typeof kinds)[number] }>;

export function isDaysFact(fact: Fact): fact is DaysFact {
  return (kinds as readonly string[]).includes(fact.kind);
}

type RecordOf = (durable: Durable, job: string, day: string) => DayRecord;

export function foldDays(durable: Durable, recordOf: RecordOf, fact: DaysFact): void {
  switch (fact.kind) {
    case "dayOpened":
      recordOf(durable, fact.job, fact.day).plan = fact.plan;
      return;
    case "inputSeen":
      foldInputSeen(recordOf(durable, fact.job, fact.day), fact.input);
      return;
    case "dayMarked":
      foldMarked(recordOf(durable, fact.job, fact.day), fact);
      deskOf(durable, fact.job).changes++;
      return;
    case "dayDelivered": {
      const record = recordOf(durable, fact.job, fact.day);
      const said = fact.sources.map((source) => [source, fact.wallMs] as const);
      record.delivered = { ...record.delivered, ...Object.fromEntries(said) };
      deskOf(durable, fact.job).changes++;
      return;
    }
    case "deliveryAcknowledged":
      foldAcknowledged(recordOf(durable, fact.job, fact.day), fact);
      forgetAcknowledged(durable, fact.job);
      deskOf(durable, fact.job).changes++;
      return;
    case "backlogPaused": {
      const desk = deskOf(durable, fact.job);
      if (fact.paused) desk.paused = { reason: fact.reason, wallMs: fact.wallMs };
      else delete desk.paused;
      desk.changes++;
      return;
    }
    case "deskFound":
      foldDeskFound(durable, recordOf, fact.job, fact.desk);
      return;
    case "dayWarned": {
      const record = recordOf(durable, fact.job, fact.day);
      if (!record.warned?.includes(fact.what))
        record.warned = [...(record.warned ?? []), fact.what];
      if (fact.isPassedOver) record.passedOver = [...(record.passedOver ?? []), fact.what];
      return;
    }
    case "backfillStarted":
      foldBackfillStarted(deskOf(durable, fact.job), fact.backfill);
      return;
    case "backfillMarked":
      foldBackfillMarked(deskOf(durable, fact.job), fact);
      return;
    case "backfillDays":
      foldBackfillDays(deskOf(durable, fact.job), fact);
      // A day that is looked at has a place for what is seen there.
      for (const day of Object.keys(fact.days)) recordOf(durable, fact.job, day);
      return;
    case "lateBegan":
      foldLateBegan(deskOf(durable, fact.job), fact);
      return;
    case "lateFound":
      foldLateFound(deskOf(durable, fact.job), fact);
      return;
    case "lateRead":
      foldLateRead(deskOf(durable, fact.job), fact);
      return;
    default:
      unreachable(fact);
      return;
  }
}

function foldMarked(day: DayMemory, fact: Extract<DaysFact, { kind: "dayMarked" }>): void {
  const said = { reason: fact.reason, wallMs: fact.wallMs };
  switch (fact.mark) {
    case "held":
      day.held = said;
      return;
    case "released":
      delete day.held;
      delete day.skipped;
      return;
    case "skipped":
      day.skipped = said;
      return;
    case "wanted":
      day.wanted = said;
      return;
    default:
      unreachable(fact.mark);
      return;
  }
}

export function deliveryKey(name: { readonly consumer: string; readonly dataset: string }): string {
  return `${name.consumer}/${name.dataset}`;
}

function foldAcknowledged(
  day: DayMemory,
  fact: Extract<DaysFact, { kind: "deliveryAcknowledged" }>,
): void {
  const { revision, wallMs, by } = fact;
  const key = deliveryKey(fact);
  const known = day.acknowledged?.[key];
  if (known !== undefined && known.revision >= revision) return;
  const before = known && { before: { revision: known.revision, wallMs: known.wallMs } };
  day.acknowledged = { ...day.acknowledged, [key]: { revision, wallMs, by, ...before } };
}

/** The account is written whole each time: it must not grow for ever. */
function forgetAcknowledged(durable: Durable, job: string): void {
  const days = daysOf(durable, job).filter(({ acknowledged }) => acknowledged !== undefined);
  for (const old of days.slice(limits.deliveryDaysMax)) delete old.acknowledged;
}

function deskOf(durable: Durable, job: string): DeskRecord {
  const known = durable.desks.get(job);
  if (known !== undefined) return known;
  const desk: DeskRecord = { changes: 0 };
  durable.desks.set(job, desk);
  return desk;
}

/** Older than what is known: nothing. Days that it does not name have nothing said about them any more. */
function foldDeskFound(
  durable: Durable,
  recordOf: RecordOf,
  job: string,
  document: DeskDocument,
): void {
  const desk = deskOf(durable, job);
  if (document.changes <= desk.changes) return;
  desk.changes = document.changes;
  if (document.paused === undefined) delete desk.paused;
  else desk.paused = document.paused;
  if (document.backfills === undefined) delete desk.backfills;
  else desk.backfills = document.backfills;
  if (document.late !== undefined) desk.late = document.late;
  for (const record of durable.days.values()) {
    if (record.job !== job) continue;
    delete record.held;
    delete record.skipped;
    delete record.wanted;
    delete record.delivered;
    delete record.acknowledged;
  }
  for (const [day, said] of Object.entries(document.days)) {
    Object.assign(recordOf(durable, job, day), said);
  }
}

/** The account of a job's days for storage. */
export function deskDocument(durable: Durable, job: string): DeskDocument {
  const { changes, paused, backfills, late } = durable.desks.get(job) ?? { changes: 0 };
  const days: Record<string, DeskDocument["days"][string]> = {};
  for (const record of durable.days.values()) {
    if (record.job !== job) continue;
    const { held, skipped, wanted, delivered, acknowledged } = record;
    const said = {
      ...(held === undefined ? {} : { held }),
      ...(skipped === undefined ? {} : { skipped }),
      ...(wanted === undefined ? {} : { wanted }),
      ...(delivered === undefined ? {} : { delivered }),
      ...(acknowledged === undefined ? {} : { acknowledged }),
    };
    if (Object.keys(said).length > 0) days[record.day] = said;
  }
  return {
    changes,
    ...(paused === undefined ? {} : { paused }),
    days,
    ...(backfills === undefined ? {} : { backfills: backfills.map(withoutTaken) }),
    ...(late === undefined ? {} : { late }),
  };
}

/** A look that finds what the day was made from agrees with its listing: what it finds from now on is news again. */
function foldInputSeen(day: DayRecord, input: InputKnown): void {
  day.input = input;
  if (day.made?.answers === undefined || otherFiles(day.made.digests, input.digests)) return;
  const { answers: _, ...made } = day.made;
  day.made = made;
}

/** Absent where a look has found the run's own files by now: both see the same. */
function answersOf(day: DayRecord, { answers, digests }: Run): Pick<DayMade, "answers"> {
  if (answers === undefined) return {};
  const isAgreed = digests !== undefined && day.input && !otherFiles(digests, day.input.digests);
  return isAgreed ? {} : { answers };
}

/** `job`: what the run was made from, where it is still known. */
export function foldDayMade(
  day: DayRecord,
  run: Run,
  job: JobSpec | undefined,
  wallMs: number,
): void {
  const rows = rowsOf(day, run, job);
  day.made = {
    revision: run.revision,
    begunMs: run.createdMs,
    digests: run.digests ?? day.input?.digests ?? {},
    jobDigest: run.jobDigest,
    ...(job === undefined ? {} : { definition: definitionOf(job, run.day) }),
    ...answersOf(day, run),
    missing: run.missing ?? 0,
    upstream: { ...run.upstream, ...pinnedUpstream(run) },
    ...(rows === undefined ? {} : { rows }),
    wallMs,
  };
  delete day.failed;
}

export function foldDayFailed(day: DayMemory, run: Run, why: Failure, wallMs: number): void {
  const digests = run.digests ?? day.input?.digests ?? {};
  const { failed } = day;
  const isSame =
    failed !== undefined &&
    failed.jobDigest === run.jobDigest &&
    sameInput(failed.digests, digests);
  day.failed = {
    run: run.id,
    code: why.code,
    message: why.message,
    times: isSame ? failed.times + 1 : 1,
    digests,
    jobDigest: run.jobDigest,
    ...(run.history === undefined ? {} : { upstream: pinnedUpstream(run) }),
    wallMs,
  };
}

export function foldGathered(day: DayMemory, { jobDigest, revision }: Run): void {
  const { from, to } = day.gathered ?? {};
  const goesOn = from !== undefined && to === revision - 1;
  day.gathered = { jobDigest, from: goesOn ? from : revision, to: revision };
}

/** The days of a job that are remembered, newest first. */
export function daysOf(durable: Durable, job: string): DayRecord[] {
  const days = [...durable.days.values()].filter((record) => record.job === job);
  return days.sort((a, b) => (a.day < b.day ? 1 : -1));
}

export function recordOf(durable: Durable, job: string, day: string): DayRecord | undefined {
  return durable.days.get(dayKey(job, day));
}
