/**
 * The book of alerts: which are open, which messages wait, what each channel was told last, who does not want to hear.
 * Part of durable state, changed by `fold` only: in place, total, deciding nothing. Open alerts, messages and silences
 * lie on storage as well (`AlertDocument`): the journal alone may be lost.
 */

import type {
  Alert,
  AlertDocument,
  Notice,
  OpenAlert,
  Severity,
  Silence,
  Told,
} from "../../../shared/kernel/alert.ts";
import { unreachable } from "../../../shared/kernel/assert.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import type { Durable } from "../durable.ts";

export interface AlertBook {
  changes: number;
  /** By key. */
  readonly open: Map<string, OpenAlert>;
  /** The last ones, oldest first. */
  ended: readonly Alert[];
  /** By id, in the order in which they were decided. */
  readonly waiting: Map<string, Notice>;
  /** By `toldKey`. */
  readonly told: Map<string, Told>;
  silences: readonly Silence[];
}

/** What became of a message. `refused`: trying again is of no use; `givenUp`: it was tried for long enough. */
export type NoticeOutcome = "sent" | "refused" | "givenUp";

/** Members of `Fact` (facts.ts). */
export type AlertsFact =
  /** A rule found something new, or what is open has become worse. */
  | { readonly kind: "alertOpened"; readonly alert: OpenAlert }
  /** Its rule does not find it any more. `cause`: another reason why it is over. */
  | {
      readonly kind: "alertEnded";
      readonly key: string;
      readonly cause?: string;
      readonly wallMs: number;
    }
  /** Somebody is to be told; `told`: what the channel knows of the group then. */
  | {
      readonly kind: "noticeQueued";
      readonly notice: Notice;
      readonly told: Readonly<Record<string, Severity>>;
    }
  | {
      readonly kind: "noticeDone";
      readonly id: string;
      readonly outcome: NoticeOutcome;
      readonly wallMs: number;
    }
  /** One that matches the same gives way. */
  | { readonly kind: "silenced"; readonly silence: Silence; readonly wallMs: number }
  | { readonly kind: "unsilenced"; readonly id: string; readonly wallMs: number }
  /** What storage knows: the journal that knew it is lost. */
  | { readonly kind: "alertsFound"; readonly document: AlertDocument };

const kinds: ReadonlySet<string> = new Set([
  "alertOpened",
  "alertEnded",
  "noticeQueued",
  "noticeDone",
  "silenced",
  "unsilenced",
  "alertsFound",
] satisfies AlertsFact["kind"][]);

export function isAlertsFact(fact: { readonly kind: string }): fact is AlertsFact {
  return kinds.has(fact.kind);
}

export function emptyBook(): AlertBook {
  return {
    changes: 0,
    open: new Map(),
    ended: [],
    waiting: new Map(),
    told: new Map(),
    silences: [],
  };
}

export function toldKey({ channel, group }: Pick<Told, "channel" | "group">): string {
  return `${channel}|${group}`;
}

export function foldAlerts(durable: Durable, fact: AlertsFact): void {
  durable.alerts ??= emptyBook();
  const book = durable.alerts;
  if (fact.kind === "alertsFound") {
    foldFound(book, fact.document);
    return;
  }
  book.changes++;
  switch (fact.kind) {
    case "alertOpened":
      book.open.set(fact.alert.key, fact.alert);
      return;
    case "alertEnded":
      foldEnded(book, fact);
      return;
    case "noticeQueued":
      foldQueued(book, fact);
      return;
    case "noticeDone":
      foldDone(book, fact);
      return;
    case "silenced":
      book.silences = [
        ...book.silences.filter(
          (one) => one.untilMs > fact.wallMs && !sameMatch(one, fact.silence),
        ),
        fact.silence,
      ];
      return;
    case "unsilenced":
      book.silences = book.silences.filter(({ id }) => id !== fact.id);
      return;
    default:
      unreachable(fact);
      return;
  }
}

/** Do both match the same alerts? */
export function sameMatch(
  a: Pick<Silence, "rule" | "job" | "day" | "subject">,
  b: Pick<Silence, "rule" | "job" | "day" | "subject">,
): boolean {
  return a.rule === b.rule && a.job === b.job && a.day === b.day && a.subject === b.subject;
}

function foldEnded(
  book: AlertBook,
  { key, cause, wallMs }: Extract<AlertsFact, { kind: "alertEnded" }>,
): void {
  const open = book.open.get(key);
  if (open === undefined) return;
  book.open.delete(key);
  const { group: _, ...alert } = open;
  const ended: Alert = { ...alert, ...(cause === undefined ? {} : { cause }), endedMs: wallMs };
  keepEnded(book, [...book.ended, ended]);
}

/** The last ones, and the end of what some channel still believes open: it is to be told. */
function keepEnded(book: AlertBook, all: readonly Alert[]): void {
  let over = all.length - limits.alertsEndedKept;
  const believed = over > 0 ? believedOpen(book) : new Set<string>();
  const last = new Map(all.map(({ key }, index) => [key, index]));
  book.ended = all.filter(({ key }, index) => {
    if (over <= 0 || (believed.has(key) && last.get(key) === index)) return true;
    over--;
    return false;
  });
}

function believedOpen({ told }: AlertBook): ReadonlySet<string> {
  return new Set([...told.values()].flatMap(({ alerts }) => Object.keys(alerts)));
}

function foldQueued(
  book: AlertBook,
  { notice, told }: Extract<AlertsFact, { kind: "noticeQueued" }>,
): void {
  const { id, channel, group, decidedMs } = notice;
  book.waiting.set(id, notice);
  // Groups that nobody has open any more, and whose last message is long ago.
  for (const [key, one] of book.told) {
    const isOver = Object.keys(one.alerts).length === 0;
    if (isOver && decidedMs - one.lastMs > limits.committedShownMs) book.told.delete(key);
  }
  book.told.set(toldKey(notice), { channel, group, lastMs: decidedMs, alerts: told });
}

/** What was given up was told to nobody: what is open is told anew, and of what is over it is still to be said. */
function foldDone(
  book: AlertBook,
  { id, outcome }: Extract<AlertsFact, { kind: "noticeDone" }>,
): void {
  const notice = book.waiting.get(id);
  if (notice === undefined) return;
  book.waiting.delete(id);
  if (outcome !== "givenUp") return;
  const known = book.told.get(toldKey(notice));
  if (known?.lastMs !== notice.decidedMs) return;
  const untold = Object.entries(known.alerts).filter(([key]) => !book.open.has(key));
  const ended = notice.alerts.filter(({ endedMs }) => endedMs !== undefined);
  const over = [...untold, ...ended.map(({ key, severity }) => [key, severity] as const)];
  book.told.set(toldKey(notice), { ...known, alerts: Object.fromEntries(over) });
}

// --- on storage and in snapshots ----------------------------------------------------------------

/** Older than what is known: nothing. */
function foldFound(book: AlertBook, document: AlertDocument): void {
  if (document.changes <= book.changes) return;
  const { changes, open, ended, waiting, told, silences } = bookOf(document);
  book.changes = changes;
  book.silences = silences;
  refill(book.open, open);
  refill(book.waiting, waiting);
  refill(book.told, told);
  const known = book.ended.filter(({ key }) => !ended.some((one) => one.key === key));
  keepEnded(book, [...known, ...ended]);
}

function refill<Value>(map: Map<string, Value>, from: ReadonlyMap<string, Value>): void {
  map.clear();
  for (const [key, value] of from) map.set(key, value);
}

/** For storage: alerts that have ended, and that everybody knows to have ended, are left out. */
export function alertDocument(book: AlertBook): AlertDocument {
  const believed = believedOpen(book);
  return { ...storedBook(book), ended: book.ended.filter(({ key }) => believed.has(key)) };
}

/** With all ended alerts that are remembered. */
export type StoredBook = AlertDocument;

export function storedBook(book: AlertBook): StoredBook {
  return {
    changes: book.changes,
    open: [...book.open.values()],
    ended: book.ended,
    waiting: [...book.waiting.values()],
    told: [...book.told.values()],
    silences: book.silences,
  };
}

/** The exact inverse. */
export function bookOf({ changes, open, ended, waiting, told, silences }: StoredBook): AlertBook {
  return {
    changes,
    open: new Map(open.map((alert) => [alert.key, alert])),
    ended,
    waiting: new Map(waiting.map((notice) => [notice.id, notice])),
    told: new Map(told.map((one) => [toldKey(one), one])),
    silences,
  };
}
