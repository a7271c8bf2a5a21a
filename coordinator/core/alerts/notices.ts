/**
 * Which messages go out: for each channel and group, what it does not know yet. New alerts wait a moment for others of
 * their group; changes of a group come one interval apart; what stays open is repeated; what has ended is said. While a
 * message of a group waits for its channel there is no other one: the next one tells what is true then.
 */
import {
  type Alert,
  type AlertConfig,
  isForPrograms,
  type Notice,
  type OpenAlert,
  type Severity,
  severities,
  severityOf,
  type Told,
} from "../../../shared/kernel/alert.ts";
import { channelsFor } from "../../../shared/kernel/alert-routes.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { decide, epochOf, type Turn } from "../turn.ts";
import { type AlertBook, toldKey } from "./book.ts";
import { asTold } from "./life.ts";
import { mutingOf } from "./muting.ts";
import { giveUpOldest } from "./outbox.ts";
import { isQuiet } from "./quiet.ts";
import { isWorse } from "./rules.ts";

/** One channel and one group, and the open alerts that it is to know of. */
interface Circle {
  readonly channel: string;
  readonly group: string;
  /** Nobody has silenced or inhibited them. */
  readonly heard: OpenAlert[];
}

export function decideNotices(turn: Turn, book: AlertBook, config: AlertConfig): void {
  const waiting = new Set([...book.waiting.values()].map(toldKey));
  for (const circle of circlesOf(turn, book, config)) {
    if (waiting.has(toldKey(circle))) continue;
    const notice = noticeFor(turn, book, config, circle);
    if (notice !== undefined) queue(turn, book, config, circle, notice);
  }
}

function circlesOf(turn: Turn, book: AlertBook, config: AlertConfig): Iterable<Circle> {
  const circles = new Map<string, Circle>();
  const circle = (about: Pick<Told, "channel" | "group">): Circle => {
    const known = circles.get(toldKey(about));
    if (known !== undefined) return known;
    const made = { channel: about.channel, group: about.group, heard: [] };
    circles.set(toldKey(about), made);
    return made;
  };
  const { inhibited } = turn.state.alerts;
  const now = {
    silences: book.silences,
    inhibited,
    isQuiet: isQuiet(turn),
    nowMs: turn.wall,
  };
  for (const alert of book.open.values()) {
    if (mutingOf(alert, now) !== undefined) continue;
    for (const channel of channelsFor(config, alert)) {
      circle({ channel, group: alert.group }).heard.push(alert);
    }
  }
  const names = new Set(config.channels.map(({ name }) => name));
  for (const told of book.told.values()) if (names.has(told.channel)) circle(told);
  return circles.values();
}

interface Wanted {
  readonly kind: Notice["kind"];
  readonly alerts: readonly Alert[];
  readonly told: Readonly<Record<string, Severity>>;
}

function noticeFor(
  turn: Turn,
  book: AlertBook,
  config: AlertConfig,
  circle: Circle,
): Wanted | undefined {
  const told = book.told.get(toldKey(circle));
  const known = told?.alerts ?? {};
  const { gone } = turn.state.alerts;
  const isNews = ({ key, severity }: OpenAlert) => {
    const as = known[key];
    // One that has gone again is not worth a message, unless it comes back.
    return as === undefined ? !gone.has(key) : isWorse(severity, as);
  };
  const news = circle.heard.filter(isNews);
  const ended = endedOf(turn, book, known);
  const others = circle.heard.filter((one) => known[one.key] !== undefined && !news.includes(one));
  const isDue = isChangeDue(turn, config, told, news);
  if (news.length > 0 && isDue) return wanted(turn, "opened", known, { news, ended, others });
  if (ended.length > 0 && isDue) {
    const left = Object.keys(known).length - ended.length;
    return wanted(turn, left > 0 ? "repeated" : "resolved", known, { news: [], ended, others });
  }
  // A program may take for over what it does not hear of again: each alert comes as often as one alone would.
  const isToldAll = isProgram(config, circle.channel);
  const parts = isToldAll ? Math.ceil(others.length / limits.alertsPerNoticeMax) : 1;
  const everyMs = others.length === 0 ? 0 : config.repeatMs[severityOf(others)] / parts;
  if (told === undefined || everyMs === 0 || passedMs(turn, told.lastMs) < everyMs) {
    return undefined;
  }
  const inOrder = isToldAll ? longestUntold(known) : worstFirst;
  return wanted(turn, "repeated", known, { news: [], ended: [], others }, inOrder);
}

function isProgram({ channels }: AlertConfig, channel: string): boolean {
  return channels.some(({ name, kind }) => name === channel && isForPrograms(kind));
}

/** What the channel believes to be open and is not. In quiet hours it is told later that a warning is over. */
function endedOf(
  turn: Turn,
  book: AlertBook,
  known: Readonly<Record<string, Severity>>,
): readonly Alert[] {
  const isNight = isQuiet(turn);
  return Object.entries(known).flatMap(([key, severity]) => {
    if (book.open.has(key) || (isNight && severity !== "critical")) return [];
    const alert = book.ended.findLast((one) => one.key === key);
    return alert === undefined ? [] : [{ ...alert, severity }];
  });
}

/** A group that the channel knows nothing open of waits for company, any other one for its turn. */
function isChangeDue(
  turn: Turn,
  { groupWaitMs, groupIntervalMs }: AlertConfig,
  told: Told | undefined,
  news: readonly OpenAlert[],
): boolean {
  const sinceMs = told === undefined ? Infinity : passedMs(turn, told.lastMs);
  const isKnown = Object.keys(told?.alerts ?? {}).length > 0;
  if (isKnown || sinceMs < groupIntervalMs) return sinceMs >= groupIntervalMs;
  return passedMs(turn, Math.min(...news.map((alert) => alert.sinceMs))) >= groupWaitMs;
}

/** What is yet to come was said by a clock that has been put back, or by another leader's: nobody waits for it. */
function passedMs({ wall }: Turn, ms: number): number {
  return ms > wall ? Infinity : wall - ms;
}

function wanted(
  turn: Turn,
  kind: Notice["kind"],
  known: Readonly<Record<string, Severity>>,
  of: {
    readonly news: readonly OpenAlert[];
    readonly ended: readonly Alert[];
    readonly others: readonly OpenAlert[];
  },
  inOrder = worstFirst,
): Wanted {
  const told = { ...known };
  for (const { key } of of.ended) delete told[key];
  for (const { key, severity } of [...of.news, ...of.others]) told[key] = severity;
  const shown = (alerts: readonly OpenAlert[]) => alerts.map((one) => asTold(turn, one));
  const [news, others] = [worstFirst(shown(of.news)), inOrder(shown(of.others))];
  return { kind, told, alerts: [...news, ...worstFirst(of.ended), ...others] };
}

function worstFirst(alerts: readonly Alert[]): readonly Alert[] {
  const rank = ({ severity }: Alert) => severities.indexOf(severity);
  return [...alerts].sort((a, b) => rank(b) - rank(a) || a.sinceMs - b.sinceMs);
}

/** `known`: in the order in which they were told. */
function longestUntold(known: Readonly<Record<string, Severity>>): typeof worstFirst {
  const place = new Map(Object.keys(known).map((key, index) => [key, index]));
  const of = ({ key }: Alert) => place.get(key) ?? 0;
  return (alerts) => [...alerts].sort((a, b) => of(a) - of(b));
}

function queue(
  turn: Turn,
  book: AlertBook,
  config: AlertConfig,
  { channel, group }: Circle,
  wanted: Wanted,
): void {
  if (book.waiting.size >= limits.noticesWaitingMax) giveUpOldest(turn, book);
  const { kind, alerts } = wanted;
  const shown = alerts.slice(0, limits.alertsPerNoticeMax);
  const left = isProgram(config, channel) ? alerts.slice(shown.length) : [];
  const known = book.told.get(toldKey({ channel, group }))?.alerts ?? {};
  const told = lastTold(toldOf(wanted, known, left), shown);
  const number = ++turn.state.alerts.notices;
  const notice: Notice = {
    // An epoch is one leadership's: no other one ever gives this id.
    id: `${turn.state.config.cluster}-e${epochOf(turn)}-n${number}`,
    channel,
    group,
    kind,
    alerts: shown,
    omitted: alerts.length - shown.length,
    decidedMs: turn.wall,
  };
  decide(turn, { kind: "noticeQueued", notice, told });
}

/** What there was no room for is told by the next message: until then all is as the receiver knows it. */
function toldOf(
  { told }: Wanted,
  known: Readonly<Record<string, Severity>>,
  left: readonly Alert[],
): Readonly<Record<string, Severity>> {
  const result = { ...told };
  for (const { key } of left) {
    const as = known[key];
    if (as === undefined) delete result[key];
    else result[key] = as;
  }
  return result;
}

/** What a message shows was told last. */
function lastTold(
  told: Readonly<Record<string, Severity>>,
  shown: readonly Alert[],
): Readonly<Record<string, Severity>> {
  const keys = new Set(shown.map(({ key }) => key));
  const isShown = ([key]: readonly [string, Severity]) => keys.has(key);
  const entries = Object.entries(told);
  const before = entries.filter((one) => !isShown(one));
  return Object.fromEntries([...before, ...entries.filter(isShown)]);
}
