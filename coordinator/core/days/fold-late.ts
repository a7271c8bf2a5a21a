/** What facts about late files do to the account of a job's days. Part of `fold`: total, deciding nothing. */
import { byClock, type LateAccount, type LateFile } from "../../../shared/kernel/late.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { DeskRecord } from "../durable.ts";
import type { Fact } from "../facts.ts";

type Of<Kind extends Fact["kind"]> = Extract<Fact, { kind: Kind }>;

export function foldLateBegan(desk: DeskRecord, { wallMs }: Of<"lateBegan">): void {
  desk.late ??= { sinceMs: wallMs, total: 0, files: [], days: {} };
  desk.changes++;
}

export function foldLateFound(desk: DeskRecord, fact: Of<"lateFound">): void {
  const { day, source, digest, revision, wallMs } = fact;
  const late = desk.late ?? { sinceMs: wallMs, total: 0, files: [], days: {} };
  const found = fact.files.map(
    (file): LateFile => ({ day, source, file, seenMs: wallMs, revision }),
  );
  const told = { ...late.days[day]?.[source], digest };
  const days = { ...late.days, [day]: { ...late.days[day], [source]: told } };
  const total = late.total + found.length;
  desk.late = newestOf({ ...late, total, days, files: [...late.files, ...found] });
  desk.changes++;
}

/** Of the files that are no longer named the newest one is remembered. */
function newestOf(late: LateAccount): LateAccount {
  const over = late.files.slice(0, Math.max(0, late.files.length - limits.lateFilesKept));
  const days: Record<string, LateAccount["days"][string]> = { ...late.days };
  for (const { day, source, file } of over) {
    const { digest = "", last = file } = days[day]?.[source] ?? {};
    const told = { digest, last: byClock(last, file) < 0 ? file : last };
    days[day] = { ...days[day], [source]: told };
  }
  return { ...late, days: lastDays(days), files: late.files.slice(over.length) };
}

/** No look goes further back: the account is written whole each time, and must not grow for ever. */
function lastDays(days: LateAccount["days"]): LateAccount["days"] {
  const over = Object.keys(days).length - limits.lateDaysBackMax;
  if (over <= 0) return days;
  return Object.fromEntries(Object.entries(days).sort(byDay).slice(over));
}

function byDay([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function foldLateRead(desk: DeskRecord, fact: Of<"lateRead">): void {
  const { late } = desk;
  if (late === undefined) return;
  const isRead = ({ day, source, readBy }: LateFile) =>
    day === fact.day && source === fact.source && readBy === undefined;
  const files = late.files.map((one) => (isRead(one) ? { ...one, readBy: fact.revision } : one));
  desk.late = { ...late, files };
  desk.changes++;
}
