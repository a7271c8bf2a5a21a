/**
 * The rules that say when a source's files are all there: a control file, a marker, a number of files, a quiet time, or
 * none. Each finds a state and says why in words for people.
 */
import { type Failure, failure } from "../../../shared/kernel/failure.ts";
import type { ReadyRule } from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { durationMs, utcText } from "../../../shared/kernel/time.ts";
import type { FileFingerprint } from "../../../shared/kernel/work.ts";
import { type AnnouncedTally, tallyAnnounced } from "./announced.ts";
import { quietSinceMs, type SeenSource } from "./seen.ts";
import { filesText } from "./words.ts";

/** `gaps`: not all is there, but enough after the grace time; what runs on it is provisional. */
export type Readiness = "waiting" | "ready" | "gaps";

/** One source as its rule looks at it. Times are epoch milliseconds. */
export interface Case {
  readonly seen: SeenSource;
  readonly files: readonly FileFingerprint[];
  /** Those that are taken for whole: nobody has written to them for some time. */
  readonly settled: readonly FileFingerprint[];
  readonly isDelivered: boolean;
  readonly startMs: number;
  readonly nowMs: number;
}

export interface Finding {
  readonly state: Readiness;
  readonly reason: string;
  readonly tally?: AnnouncedTally;
  /** How many files there should be at least, and how many of those are there and whole. */
  readonly counted?: { readonly expected: number; readonly present: number };
  /** When the finding may change with the same files; it may lie in the past. */
  readonly changesAtMs?: number;
  readonly problem?: Failure;
}

/** What is enough of the expected files, and from when on. */
interface Grace {
  readonly share: number;
  /** Infinity: only all of them are. */
  readonly endsMs: number;
}

export function find(rule: ReadyRule | undefined, one: Case): Finding {
  const { problem } = one.seen.look;
  if (problem !== undefined) return { state: "waiting", reason: problem.message, problem };
  if (one.isDelivered && rule?.by !== "manifest") return delivered(one);
  switch (rule?.by) {
    case undefined:
      return atStart(one);
    case "manifest":
      return byManifest(rule, one);
    case "marker":
      return byMarker(rule, one);
    case "count":
      return byCount(rule, one);
    case "quiet":
      return byQuiet(rule, one);
  }
}

function delivered({ files }: Case): Finding {
  if (files.length > 0) {
    return { state: "ready", reason: `declared delivered, ${filesText(files.length)}` };
  }
  const reason =
    "declared delivered, but there is no file; deliver it or correct the source's path";
  return { state: "waiting", reason };
}

function atStart({ files, startMs, nowMs }: Case): Finding {
  const count = filesText(files.length);
  if (nowMs < startMs) {
    const reason = `${count} so far; no rule says when all are there, so what is there at ${utcText(startMs)} counts`;
    return { state: "waiting", reason, ...(files.length === 0 ? {} : { changesAtMs: startMs }) };
  }
  if (files.length === 0) return { state: "waiting", reason: "no file yet" };
  return {
    state: "ready",
    reason: `${count} at the start of the day's run; no rule asks for more`,
  };
}

function byManifest(rule: ReadyRule, one: Case): Finding {
  const { files, seen, settled, isDelivered, nowMs } = one;
  const { announced } = seen.look;
  if (announced === undefined) {
    const first = isDelivered ? "declared delivered, but there is" : "there is";
    const reason =
      `${first} no control file ${rule.value} yet, so nobody knows how many files there should be; ` +
      `${filesText(files.length)} so far`;
    return { state: "waiting", reason };
  }
  const quiet = new Set(settled.map(({ path }) => path));
  const tally = tallyAnnounced(files, announced, ({ path }) => quiet.has(path));
  const counted = { expected: announced.length, present: tally.whole.length };
  const text = tallyText(tally, counted);
  if (counted.present === counted.expected) return { state: "ready", reason: text, tally, counted };
  const grace = graceOf(rule, one);
  const written = tally.doubtful.filter((path) => !quiet.has(path));
  if (isEnough(grace, counted) && nowMs >= grace.endsMs) {
    if (written.length === 0) {
      return { state: "gaps", reason: `${text}; ${enoughText(grace)}`, tally, counted };
    }
    // A file that is being written must not be read: the run would fail over it.
    const reason = `${text}; enough is there, but ${written[0]} may still be written to`;
    return { state: "waiting", reason, tally, counted };
  }
  const reason = `${text}; ${waitText(grace, counted, nowMs)}`;
  return { state: "waiting", reason, tally, counted, ...graceEnd(grace, counted) };
}

function byMarker({ value }: ReadyRule, { seen, files }: Case): Finding {
  const count = filesText(files.length);
  if (seen.look.isMarked !== true) {
    return { state: "waiting", reason: `there is no marker ${value} yet; ${count} so far` };
  }
  if (files.length > 0) return { state: "ready", reason: `the marker ${value} is there, ${count}` };
  const reason = `the marker ${value} is there, but no file; deliver it or correct the source's path`;
  return { state: "waiting", reason };
}

function byCount(rule: ReadyRule, one: Case): Finding {
  const { files, settled, nowMs } = one;
  const expected = /^[1-9]\d{0,8}$/.test(rule.value) ? Number(rule.value) : undefined;
  if (expected === undefined) return badRule(rule, "a whole number of files, 1 or more");
  const counted = { expected, present: settled.length };
  const text = `${files.length} of at least ${filesText(expected)}`;
  const quiet = new Set(settled.map(({ path }) => path));
  const written = files.filter(({ path }) => !quiet.has(path));
  if (written.length > 0) {
    const seconds = limits.fileSettledMs / 1_000;
    const reason = `${text}; ${written.length} not seen unchanged for ${seconds} s, first ${written[0]?.path}`;
    return { state: "waiting", reason, counted };
  }
  if (settled.length >= expected) return { state: "ready", reason: text, counted };
  const grace = graceOf(rule, one);
  if (isEnough(grace, counted) && nowMs >= grace.endsMs) {
    return { state: "gaps", reason: `${text}; ${enoughText(grace)}`, counted };
  }
  const reason = `${text}; ${waitText(grace, counted, nowMs)}`;
  return { state: "waiting", reason, counted, ...graceEnd(grace, counted) };
}

function byQuiet(rule: ReadyRule, { seen, files, startMs, nowMs }: Case): Finding {
  const lasts = durationMs(rule.value);
  if (lasts === undefined) return badRule(rule, "a duration such as 30m");
  if (files.length === 0) return { state: "waiting", reason: "no file yet" };
  const sinceMs = quietSinceMs(seen);
  const changesAtMs = Math.max(startMs, sinceMs + lasts);
  const text = `${filesText(files.length)}, unchanged since ${utcText(sinceMs)}`;
  if (nowMs >= changesAtMs) return { state: "ready", reason: text };
  const why =
    changesAtMs === startMs ? "the start of the day's run" : `${rule.value} without a change`;
  const reason = `${text}; waits until ${utcText(changesAtMs)}: ${why}`;
  return { state: "waiting", reason, changesAtMs };
}

function badRule({ by, value }: ReadyRule, wanted: string): Finding {
  const reason = `the rule ${by} says ${JSON.stringify(value)}: give ${wanted}`;
  return { state: "waiting", reason, problem: failure("jobInvalid", reason) };
}

// --- enough, though not all

function graceOf({ completeness, grace }: ReadyRule, { startMs }: Case): Grace {
  const lasts = grace === undefined ? undefined : durationMs(grace);
  const share = completeness ?? 1;
  return { share, endsMs: lasts === undefined || share >= 1 ? Infinity : startMs + lasts };
}

type Counted = NonNullable<Finding["counted"]>;

/** Whole files that are enough; never none: a run has to have something to read. */
function needed({ share }: Grace, { expected }: Counted): number {
  // The product of a share like 0.07 may lie a hair above the whole number that is meant.
  return Math.max(1, Math.ceil(share * expected - 1e-9));
}

function isEnough(grace: Grace, counted: Counted): boolean {
  return counted.present >= needed(grace, counted);
}

/** The end of the grace time changes the finding only where enough is there. */
function graceEnd(grace: Grace, counted: Counted): Pick<Finding, "changesAtMs"> {
  return isEnough(grace, counted) ? { changesAtMs: grace.endsMs } : {};
}

function enoughText({ share, endsMs }: Grace): string {
  return `goes on without the rest: ${percent(share)} is enough since ${utcText(endsMs)}`;
}

function waitText(grace: Grace, counted: Counted, nowMs: number): string {
  if (grace.endsMs === Infinity) return "waits for the rest";
  const enough = `${needed(grace, counted)} (${percent(grace.share)})`;
  if (nowMs >= grace.endsMs) return `waits for at least ${enough}`;
  return `waits for the rest until ${utcText(grace.endsMs)}, then ${enough} would be enough`;
}

// --- words

function tallyText(tally: AnnouncedTally, { expected, present }: Counted): string {
  const { missing, doubtful, extra } = tally;
  return [
    `${present} of ${expected} announced files`,
    ...(missing.length === 0 ? [] : [`${missing.length} missing, first ${missing[0]}`]),
    ...(doubtful.length === 0
      ? []
      : [`${doubtful.length} still growing or damaged, first ${doubtful[0]}`]),
    ...(extra.length === 0 ? [] : [`${extra.length} more that were not announced, also read`]),
  ].join("; ");
}

function percent(share: number): string {
  return `${Math.round(share * 1_000) / 10} %`;
}
