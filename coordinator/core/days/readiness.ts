/**
 * Is a day's input all there? Judged from looks, per source and for the day, by the rules of the job. Pure: the same
 * looks at the same time give the same verdict, and with the same files more time never makes a day less ready.
 * When a run may start is not decided here: a day can be ready before its start.
 */
import { classOf, type Failure } from "../../../shared/kernel/failure.ts";
import type { ReadyRule } from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { FileFingerprint } from "../../../shared/kernel/work.ts";
import { announcedTwins } from "./announced.ts";
import { type Finding, find, type Readiness } from "./readiness-rules.ts";
import { type SeenSource, settlesAtMs } from "./seen.ts";

export interface SourceInQuestion {
  readonly source: string;
  readonly rule: ReadyRule | undefined;
  /** undefined: nobody has looked yet. */
  readonly seen: SeenSource | undefined;
  /** Somebody upstream said that all is there: only a control file can still contradict. */
  readonly isDelivered: boolean;
}

/** All times are epoch milliseconds. */
export interface DayInQuestion {
  readonly sources: readonly SourceInQuestion[];
  readonly startMs: number;
  readonly nowMs: number;
}

/** The first ones in path order, and how many there are. */
export interface NamedPaths {
  readonly total: number;
  readonly paths: readonly string[];
}

export interface SourceVerdict {
  readonly source: string;
  readonly state: Readiness;
  /** For people; begins with the source's name. */
  readonly reason: string;
  /** How many files there should be at least; absent: nothing says so. */
  readonly expected?: number;
  /** How many of those are there and whole; without `expected`, how many files there are. */
  readonly present: number;
  /** How many of the expected ones are not there, or not whole. */
  readonly lacking: number;
  /** Announced, not there. */
  readonly missing: NamedPaths;
  /** Announced, but there with another size. */
  readonly doubtful: NamedPaths;
  /** There, not announced. They are read, too. */
  readonly extra: number;
  /** Safe to be mapped before the day is ready, in path order. */
  readonly final: readonly FileFingerprint[];
  /**
   * The next moment at which the verdict may be another one with the same files. Absent: it is ready, or only a look can
   * change it.
   */
  readonly judgeAtMs?: number;
  /**
   * It waits, and the next look may say otherwise of the same files: some were not seen twice as they are, or this look
   * failed of something that passes by itself.
   */
  readonly awaitsLook: boolean;
  /** Why nothing can be said of the source: somebody has to act. */
  readonly problem?: Failure;
}

export interface DayVerdict {
  readonly state: Readiness;
  /** Of the sources that decided it. */
  readonly reason: string;
  readonly sources: readonly SourceVerdict[];
  readonly judgeAtMs?: number;
}

/** The day is as ready as its least ready source. */
export function judgeReadiness(day: DayInQuestion): DayVerdict {
  const sources = day.sources.map((source) => judgeSource(source, day));
  const states = new Set(sources.map(({ state }) => state));
  const state = states.has("waiting") ? "waiting" : states.has("gaps") ? "gaps" : "ready";
  const times = sources.flatMap(({ judgeAtMs }) => judgeAtMs ?? []);
  return {
    state,
    reason: sources
      .filter((source) => source.state === state)
      .map(({ reason }) => reason)
      .join(". "),
    sources,
    ...(times.length === 0 ? {} : { judgeAtMs: Math.min(...times) }),
  };
}

function judgeSource(question: SourceInQuestion, { startMs, nowMs }: DayInQuestion): SourceVerdict {
  const { source, rule, seen, isDelivered } = question;
  if (seen === undefined) return notSeen(source);
  const { files } = seen.look;
  const settles = settlesAtMs(seen);
  const isSettled = ({ path }: FileFingerprint) => (settles.get(path) ?? Infinity) <= nowMs;
  const settled = isDelivered ? files : files.filter(isSettled);
  const found = find(rule, { seen, files, settled, isDelivered, startMs, nowMs });
  const { tally, counted, problem } = found;
  const isSeenTwice = isDelivered || files.every(({ path }) => settles.has(path));
  const mayPass = problem === undefined ? !isSeenTwice : classOf(problem.code).retryable;
  const judgeAtMs = found.state === "ready" ? Infinity : nextMs(nowMs, found, settles);
  return {
    source,
    state: found.state,
    reason: `${source}: ${found.reason}`,
    ...(counted === undefined ? {} : { expected: counted.expected }),
    present: counted?.present ?? files.length,
    lacking: counted === undefined ? 0 : Math.max(0, counted.expected - counted.present),
    missing: named(tally?.missing ?? []),
    doubtful: named(tally?.doubtful ?? []),
    extra: tally?.extra.length ?? 0,
    final: problem === undefined ? finalFiles(seen, settled, found) : [],
    ...(judgeAtMs === Infinity ? {} : { judgeAtMs }),
    awaitsLook: found.state === "waiting" && mayPass,
    ...(problem === undefined ? {} : { problem }),
  };
}

function notSeen(source: string): SourceVerdict {
  const none = named([]);
  const reason = `${source}: not looked at yet`;
  return {
    source,
    state: "waiting",
    reason,
    present: 0,
    lacking: 0,
    missing: none,
    doubtful: none,
    extra: 0,
    final: [],
    awaitsLook: true,
  };
}

/** Nothing will change them any more: announced with this size, or left alone for some time. None that is dropped as a twin. */
function finalFiles(
  { look }: SeenSource,
  settled: readonly FileFingerprint[],
  { tally }: Finding,
): readonly FileFingerprint[] {
  const whole = new Set([...settled, ...(tally?.whole ?? [])].map(({ path }) => path));
  for (const path of tally?.doubtful ?? []) whole.delete(path);
  for (const { path } of announcedTwins(look.files, look.announced ?? [])) whole.delete(path);
  return look.files.filter(({ path }) => whole.has(path));
}

/** Infinity: time alone changes nothing. */
function nextMs(nowMs: number, found: Finding, settles: ReadonlyMap<string, number>): number {
  let next = Infinity;
  for (const time of [found.changesAtMs ?? Infinity, ...settles.values()]) {
    if (time > nowMs) next = Math.min(next, time);
  }
  return next;
}

function named(paths: readonly string[]): NamedPaths {
  return { total: paths.length, paths: paths.slice(0, limits.missingFilesNamedMax) };
}
