/**
 * Looks at what lies in the sources of a job's days: when, and what of it is news. A look says what is there now; only
 * what it changes in the verdict is remembered, so a folder that nobody touches costs the journal nothing.
 */
import { inputDigest } from "../../../shared/kernel/input-files.ts";
import type { JobSpec, ReadyRule } from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { Day } from "../../../shared/kernel/time.ts";
import { type DayRecord, dayKey } from "../durable.ts";
import type { Answered } from "../state.ts";
import { ask, decide, log, type Turn } from "../turn.ts";
import type { InputKnown } from "./day.ts";
import { sameInput } from "./day.ts";
import { isOver, type Look, type Span } from "./desk-state.ts";
import { jobNamed } from "./jobs.ts";
import { type DayVerdict, judgeReadiness } from "./readiness.ts";
import { seeSource } from "./seen.ts";

/** Nobody has looked, or somebody says that there is something to see. */
const nothingDue: Span = { fromMs: 0, untilMs: 0 };

export interface DayToSee {
  readonly job: JobSpec;
  readonly record: DayRecord;
}

/** Asks for the looks that are due, as long as no more than `most` are under way: first who has waited for longest. */
export function lookAround(
  turn: Turn,
  days: readonly DayToSee[],
  most: number = limits.looksAtOnceMax,
): void {
  const { looks } = turn.state.desk;
  let free = most;
  for (const { isUnderWay } of looks.values()) if (isUnderWay) free--;
  const due = days.filter(({ record: { job, day } }) => {
    const look = looks.get(dayKey(job, day));
    return look === undefined || (!look.isUnderWay && isOver(look.due, turn.wall));
  });
  // A day that nobody waits for has time, but not without end: however many others there are, its turn comes.
  const rank = ({ record }: DayToSee) =>
    (looks.get(dayKey(record.job, record.day))?.due.untilMs ?? 0) +
    (isOpen(record) ? 0 : limits.lookWhenDoneEveryMs);
  const byNeed = [...due].sort((a, b) => rank(a) - rank(b));
  for (const { job, record } of byNeed.slice(0, Math.max(0, free))) look(turn, job, record);
}

/** Files are waited for, or some of them. Also of a day that failed: what it read may have been mended. */
function isOpen({ committed, made }: DayRecord): boolean {
  return committed === 0 || (made?.missing ?? 0) > 0;
}

function look(turn: Turn, job: JobSpec, record: DayRecord): void {
  const key = dayKey(record.job, record.day);
  const { looks } = turn.state.desk;
  const known: Look = looks.get(key) ?? { isUnderWay: false, due: nothingDue, seen: new Map() };
  looks.set(key, known);
  known.isUnderWay = true;
  known.due = nextLook(turn, record);
  const sources = job.sources.map((source) => {
    const rule = job.ready?.[source.name];
    return { source, ...(rule === undefined ? {} : { rule }) };
  });
  ask(turn, { kind: "lookAtDay", day: record.day, sources }, { kind: "look", key });
}

function nextLook({ wall }: Turn, record: DayRecord): Span {
  const everyMs = isOpen(record) ? limits.lookEveryMs : limits.lookWhenDoneEveryMs;
  return { fromMs: wall, untilMs: wall + everyMs };
}

/** Somebody says that there is something to see. Of a day before the window that may be late files (late.ts). */
export function lookSoon(turn: Turn, job: string, day: string): void {
  const { looks, late } = turn.state.desk;
  const known = looks.get(dayKey(job, day));
  if (known !== undefined) known.due = nothingDue;
  late.soon.set(dayKey(job, day), { job, day });
}

export function lookAnswered(turn: Turn, key: string, { answer }: Answered): void {
  const record = turn.state.durable.days.get(key);
  const known = turn.state.desk.looks.get(key);
  if (known === undefined) return;
  known.isUnderWay = false;
  const job = record && jobNamed(turn.state.durable, record.job);
  if (record === undefined || job === undefined) return;
  // Counted from now on: what a look found that took long is as new. Said meanwhile: it may have come too early.
  if (known.due !== nothingDue) known.due = nextLook(turn, record);
  if (answer.kind === "failed") {
    const { code, message } = answer.failure;
    const about = { job: record.job, day: record.day, code };
    log(turn, "warn", `the input of a day can't be looked at: ${message}`, about);
    delete known.verdict;
    return;
  }
  if (answer.kind !== "looked") return;
  for (const look of answer.sources) {
    known.seen.set(look.source, seeSource(known.seen.get(look.source), look, turn.wall));
  }
  const sources = new Set(job.spec.sources.map(({ name }) => name));
  for (const name of known.seen.keys()) if (!sources.has(name)) known.seen.delete(name);
  const { verdict, input } = inputKnown(turn, job.spec, record, known);
  known.verdict = verdict;
  if (verdict.judgeAtMs !== undefined) {
    known.due = { ...known.due, untilMs: Math.min(known.due.untilMs, verdict.judgeAtMs) };
  }
  if (isNews(record.input, input)) {
    decide(turn, { kind: "inputSeen", job: record.job, day: record.day, input });
  }
}

/** What was seen of days that nobody asks about any more goes: a look has all files of its day. */
export function forgetLooks({ state }: Turn, inUse: ReadonlySet<string>): void {
  const { looks } = state.desk;
  for (const [key, { isUnderWay }] of looks) if (!isUnderWay && !inUse.has(key)) looks.delete(key);
}

function inputKnown(
  turn: Turn,
  job: JobSpec,
  record: DayRecord,
  { seen }: Look,
): { readonly verdict: DayVerdict; readonly input: InputKnown } {
  const verdict = judgeReadiness({
    sources: job.sources.map(({ name }) => ({
      source: name,
      rule: ruleOn(record.day, job.ready?.[name]),
      seen: seen.get(name),
      isDelivered: record.delivered?.[name] !== undefined,
    })),
    startMs: record.plan?.startMs ?? 0,
    nowMs: turn.wall,
  });
  const looks = [...seen.values()].map(({ look: one }) => one);
  const files = looks.flatMap((one) => one.files);
  const missing = verdict.sources.flatMap((one) => one.missing.paths);
  const settled = verdict.sources.reduce((sum, one) => sum + one.final.length, 0);
  const input: InputKnown = {
    digests: Object.fromEntries(looks.map((one) => [one.source, inputDigest(one.files)])),
    files: files.length,
    bytes: files.reduce((sum, { size }) => sum + size, 0),
    verdict: verdict.state,
    isSettled: settled >= files.length,
    reason: verdict.reason,
    missing: missing.slice(0, limits.missingFilesNamedMax),
    missingTotal: verdict.sources.reduce((sum, one) => sum + one.lacking, 0),
    wallMs: turn.wall,
  };
  return { verdict, input };
}

/** People are told the file of the day, not the pattern. */
function ruleOn(day: Day, rule: ReadyRule | undefined): ReadyRule | undefined {
  return rule && { ...rule, value: rule.value.replaceAll("{day}", day) };
}

/** Would anybody be told, or decide, otherwise? The time of the look is no news. */
function isNews(known: InputKnown | undefined, input: InputKnown): boolean {
  if (known === undefined) return true;
  return (
    !sameInput(known.digests, input.digests) ||
    known.verdict !== input.verdict ||
    known.isSettled !== input.isSettled ||
    known.reason !== input.reason ||
    known.missingTotal !== input.missingTotal
  );
}
