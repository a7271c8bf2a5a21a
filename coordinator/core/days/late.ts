/**
 * Looks for files that came for days before the backlog window: slowly, a few days at a time, from the window back. A file
 * counts as late when it is newer than what the day was made from. It is written down, told once and left alone: the day
 * is not opened again. What is known of it lies in the account of the job's days, so the next leader tells nothing twice.
 */
import { inputDigest } from "../../../shared/kernel/input-files.ts";
import { byClock, clockMs, type LateAccount, type LateFile } from "../../../shared/kernel/late.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { type Day, daysBefore } from "../../../shared/kernel/time.ts";
import { type FileFingerprint, sameFile } from "../../../shared/kernel/work.ts";
import { type DayRecord, dayKey } from "../durable.ts";
import type { Answered } from "../state.ts";
import { ask, decide, log, publish, type Turn } from "../turn.ts";
import { isBeingMade } from "./earlier.ts";
import { recordOf } from "./fold-days.ts";
import { jobNamed, type NamedJob, scheduledJobs } from "./jobs.ts";
import { keepAccount } from "./said.ts";
import { windowFrom } from "./window.ts";

/** One look at the clock of a leader: some days of one job, the jobs in turns. */
export function lateTick(turn: Turn): void {
  const { late } = turn.state.desk;
  for (const [key, { job, day }] of late.soon) {
    late.soon.delete(key);
    if (isBeforeWindow(turn, job, day)) lookAtDays(turn, job, [day]);
  }
  if (turn.at < late.nextAt) return;
  late.nextAt = turn.at + limits.lateLookEveryMs;
  const jobs = scheduledJobs(turn.state.durable).map(({ spec }) => spec.name);
  const job = jobs.find((name) => !late.looked.has(name)) ?? jobs[0];
  if (job === undefined) return;
  if (late.looked.has(job)) late.looked.clear();
  late.looked.add(job);
  const from = windowFrom(turn, job);
  if (from === undefined || from === "not known yet") return;
  const back = late.back.get(job) ?? 0;
  const next = back + limits.lateDaysPerLookMax;
  late.back.set(job, next >= limits.lateDaysBackMax ? 0 : next);
  const days = Array.from({ length: limits.lateDaysPerLookMax }, (_, index) =>
    daysBefore(from, back + index + 1),
  );
  lookAtDays(turn, job, days);
}

/** Nobody makes the day again by itself. Of a window that is not known yet nobody can say so. */
function isBeforeWindow(turn: Turn, job: string, day: Day): boolean {
  const from = windowFrom(turn, job);
  return from !== undefined && from !== "not known yet" && day < from;
}

function lookAtDays(turn: Turn, name: string, days: readonly Day[]): void {
  const job = jobNamed(turn.state.durable, name);
  if (job === undefined) return;
  begin(turn, job);
  const sources = job.spec.sources.map((source) => ({ source }));
  for (const day of days) {
    ask(turn, { kind: "lookAtDay", day, sources }, { kind: "lateLook", job: name, day });
  }
}

function begin(turn: Turn, { spec }: NamedJob): void {
  if (turn.state.durable.desks.get(spec.name)?.late !== undefined) return;
  decide(turn, { kind: "lateBegan", job: spec.name, wallMs: turn.wall });
  keepAccount(turn, spec.name, {});
}

export function lateLookAnswered(
  turn: Turn,
  { job, day }: { readonly job: string; readonly day: Day },
  { answer }: Answered,
): void {
  if (answer.kind === "failed") {
    const { code, message } = answer.failure;
    log(turn, "warn", `late files can't be looked for: ${message}`, { job, day, code });
  }
  // The job may have a longer window by now. A run that is under way reads them: what it has not read is seen after it.
  if (answer.kind !== "looked" || !isBeforeWindow(turn, job, day)) return;
  if (isBeingMade(turn, job, day)) return;
  for (const { source, files, problem } of answer.sources) {
    const account = turn.state.durable.desks.get(job)?.late;
    if (account === undefined) return;
    if (problem === undefined) sourceSeen(turn, { job, day, source, account }, files);
    else log(turn, "warn", `late files can't be looked for: ${problem.message}`, { job, day });
  }
}

interface Place {
  readonly job: string;
  readonly day: Day;
  readonly source: string;
  readonly account: LateAccount;
}

function sourceSeen(turn: Turn, place: Place, files: readonly FileFingerprint[]): void {
  const { job, day, source, account } = place;
  const record = recordOf(turn.state.durable, job, day);
  const digest = inputDigest(files);
  if (record?.made?.digests[source] === digest) {
    allRead(turn, place, record.made.revision);
    return;
  }
  if (files.length === 0 || account.days[day]?.[source]?.digest === digest) return;
  const from = sinceMs(turn, place, record);
  const clear = newLateFiles(place, files, from);
  // Something is different. The clock of a file server may lag behind ours.
  const fresh =
    clear.length > 0 ? clear : newLateFiles(place, files, from - limits.lateClockSkewMs);
  if (fresh.length === 0) return;
  const told = fresh.slice(0, limits.lateFilesPerLookMax);
  const revision = record?.committed ?? 0;
  decide(turn, {
    kind: "lateFound",
    job,
    day,
    source,
    files: told,
    digest: told.length === fresh.length ? digest : "",
    revision,
    wallMs: turn.wall,
  });
  for (const { path, size } of told) {
    publish(turn, { job, day }, "file.late", { source, file: path, bytes: size, revision });
  }
  keepAccount(turn, job, {});
}

/** The committed revision was made from exactly what lies there. */
function allRead(turn: Turn, { job, day, source, account }: Place, revision: number): void {
  const isOpen = (one: LateFile) =>
    one.day === day && one.source === source && one.readBy === undefined;
  if (!account.files.some(isOpen)) return;
  decide(turn, { kind: "lateRead", job, day, source, revision });
  keepAccount(turn, job, {});
}

/** Files that are older were there when the day was made, or before anybody looked. */
function sinceMs(turn: Turn, { job, day, account }: Place, record: DayRecord | undefined): number {
  const { made, committed = 0 } = record ?? {};
  const begunMs = made?.begunMs ?? made?.wallMs ?? 0;
  if (made !== undefined || committed === 0) return Math.max(account.sinceMs, begunMs);
  // The journal that knew what the day was made from is lost: files count from the first look since then.
  const { firstSeen } = turn.state.desk.late;
  const first = firstSeen.get(dayKey(job, day)) ?? turn.wall;
  firstSeen.set(dayKey(job, day), first);
  return Math.max(account.sinceMs, first);
}

/** Those that nobody was told of, oldest first. */
function newLateFiles(
  { day, source, account }: Place,
  files: readonly FileFingerprint[],
  fromMs: number,
): readonly FileFingerprint[] {
  const listed = new Map(
    account.files.flatMap((one) =>
      one.day === day && one.source === source ? [[one.file.path, one.file] as const] : [],
    ),
  );
  const last = account.days[day]?.[source]?.last;
  const isNew = (file: FileFingerprint) => {
    const known = listed.get(file.path);
    const isTold = last !== undefined && byClock(file, last) <= 0;
    const isRecent = clockMs(file) >= fromMs;
    return isRecent && !isTold && !(known && sameFile(known, file));
  };
  return files.filter(isNew).sort(byClock);
}
