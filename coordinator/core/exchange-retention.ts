/**
 * What may go of the exchange, and why: streams that nobody stands on, kept map outputs that are over their time, and,
 * above the budget, kept outputs from the oldest day on. One judgement for the leader's own looks and for `daymill gc`.
 * Streams of a live run are never touched.
 */
import { isExchangeStream } from "../../shared/kernel/exchange-names.ts";
import type { Day } from "../../shared/kernel/time.ts";
import { type DayRecord, type Durable, dayKey, liveRuns, streamsOf } from "./durable.ts";

const dayMs = 86_400_000;

export interface ExchangeContext {
  readonly cluster: string;
  /** Streams of a run that has no plan yet have no name: they might be among those of nobody. */
  readonly isPlanning: boolean;
  /** What may stay, given what is there now. */
  readonly bytesMax: (bytes: number) => number;
  readonly backlogDays: (job: string) => number;
  readonly windowFrom: (job: string) => Day | "not known yet" | undefined;
  readonly wallMs: number;
}

/** `nobody`: no run and no kept output is in it. `live`: a live run's. */
export interface ExchangeVerdict {
  readonly of: "nobody" | "live" | "kept";
  /** Of kept outputs. */
  readonly scope: string;
  readonly job: string;
  readonly day: Day | "";
  readonly source: string;
  readonly streams: readonly string[];
  readonly bytes: number;
  /** Since the last run of the day has ended; -1 = not known. */
  readonly ageMs: number;
  /** `room`: it is of use, but the exchange is short of it. */
  readonly goes: false | "unused" | "old" | "room";
  readonly why: string;
}

export interface ExchangeJudgement {
  readonly verdicts: readonly ExchangeVerdict[];
  /** Bytes of live runs and kept outputs that stay. */
  readonly left: number;
}

export function judgeExchange(
  durable: Durable,
  usage: readonly { readonly stream: string; readonly bytes: number }[],
  context: ExchangeContext,
): ExchangeJudgement {
  const bytes = new Map<string, number>();
  for (const one of usage) {
    if (isExchangeStream(context.cluster, one.stream)) bytes.set(one.stream, one.bytes);
  }
  const inUse = new Set(liveRuns(durable).map(({ job, day }) => dayKey(job, day)));
  const kept = keptVerdicts(durable, bytes, inUse, context);
  const live = liveVerdicts(durable, bytes, new Set(kept.flatMap(({ streams }) => streams)));
  const known = new Set([...kept, ...live].flatMap(({ streams }) => streams));
  const unknown = [...bytes].filter(([stream]) => !known.has(stream));
  const all = [...kept, ...live];
  const total = all.reduce((sum, one) => sum + one.bytes, 0);
  const before = all.reduce((sum, one) => sum + (one.goes === false ? one.bytes : 0), 0);
  const mayGo = kept.filter(({ job, day }) => !inUse.has(dayKey(job, day)));
  const { gone, left } = madeRoom(mayGo, before, context.bytesMax(total));
  return {
    verdicts: [
      ...unknown.map(([stream, held]) => nobodys(stream, held, context.isPlanning)),
      ...kept.map((one) =>
        gone.has(one) ? ({ ...one, goes: "room", why: shortOfRoom } as const) : one,
      ),
      ...live,
    ],
    left,
  };
}

function nobodys(stream: string, bytes: number, isPlanning: boolean): ExchangeVerdict {
  const about = { of: "nobody", scope: "", job: "", day: "", source: "", ageMs: -1 } as const;
  const stays = { goes: false, why: "a run is being planned: it may be its" } as const;
  const goes = { goes: "unused", why: "no run and no kept output is in it" } as const;
  return { ...about, streams: [stream], bytes, ...(isPlanning ? stays : goes) };
}

function keptVerdicts(
  durable: Durable,
  bytes: ReadonlyMap<string, number>,
  inUse: ReadonlySet<string>,
  context: ExchangeContext,
): readonly ExchangeVerdict[] {
  return [...durable.kept].map(([scope, kept]) => {
    const { job, day, source } = kept;
    const key = dayKey(job, day);
    const streams = streamsOf(kept);
    const held = streams.reduce((sum, stream) => sum + (bytes.get(stream) ?? 0), 0);
    const ageMs = ageOf(durable.days.get(key), context.wallMs);
    const about = { of: "kept", scope, job, day, source, streams, bytes: held, ageMs } as const;
    if (inUse.has(key)) return { ...about, goes: false, why: "a run of the day is under way" };
    const from = context.windowFrom(job);
    if (from !== undefined && day >= from) {
      const why = from === "not known yet" ? "the window of the job is not known yet" : inWindow;
      return { ...about, goes: false, why };
    }
    const days = context.backlogDays(job);
    const isOld = ageMs > days * dayMs;
    if (isOld) return { ...about, goes: "old", why: `older than backlog.days ${days}` };
    return { ...about, goes: false, why: `not older than backlog.days ${days}` };
  });
}

const inWindow = "in the backlog window";

function ageOf(record: DayRecord | undefined, wallMs: number): number {
  const last = Math.max(record?.made?.wallMs ?? -1, record?.failed?.wallMs ?? -1);
  return last < 0 ? -1 : Math.max(0, wallMs - last);
}

function liveVerdicts(
  durable: Durable,
  bytes: ReadonlyMap<string, number>,
  kept: ReadonlySet<string>,
): readonly ExchangeVerdict[] {
  return liveRuns(durable).flatMap((run): readonly ExchangeVerdict[] => {
    const streams = streamsOf({ exchanges: run.exchanges.values() });
    const own = streams.filter((stream) => !kept.has(stream));
    if (own.length === 0) return [];
    const held = own.reduce((sum, stream) => sum + (bytes.get(stream) ?? 0), 0);
    const { id, job, day } = run;
    const about = { of: "live", scope: "", job, day, source: "", ageMs: -1 } as const;
    return [{ ...about, streams: own, bytes: held, goes: false, why: `${id} is under way` }];
  });
}

const shortOfRoom = "the exchange is short of room, and the oldest day goes first";

/** Oldest day first, of the window too: without them files are read again, and nothing else. */
function madeRoom(mayGo: readonly ExchangeVerdict[], before: number, bytesMax: number) {
  let left = before;
  const gone = new Set<ExchangeVerdict>();
  const oldestFirst = [...mayGo].sort((a, b) => (a.day < b.day ? -1 : a.day > b.day ? 1 : 0));
  for (const one of oldestFirst) {
    if (left <= bytesMax) break;
    // Those that hold nothing are no help.
    if (one.goes !== false || one.bytes === 0) continue;
    left -= one.bytes;
    gone.add(one);
  }
  return { gone, left };
}
