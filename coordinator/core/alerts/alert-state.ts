/** What the leader knows of alerts for as long as it leads: what is found now, what is being sent, how channels do. */
import type { Finding, Silence } from "../../../shared/kernel/alert.ts";
import type { Instant } from "../../../shared/kernel/time.ts";
import type { Span } from "../days/desk-state.ts";
import type { ReplyId } from "../protocol.ts";

export interface AlertDesk {
  nextAt: Instant;
  /** When this leadership began, and whether there was another one before. */
  ledAt: Instant;
  ledMs: number;
  isSuccessor: boolean;
  /** By key, as of the last look. */
  found: ReadonlyMap<string, Finding>;
  /** Keys of what is found or open and not told: another alert says why it is so. */
  inhibited: ReadonlySet<string>;
  /** What is found and not open: since when, wall clock. */
  readonly coming: Map<string, number>;
  /** Open alerts that are not found: since when. */
  readonly gone: Map<string, Instant>;
  /** By channel: the message that is being sent. */
  readonly sending: Map<string, string>;
  /** By id of a message: tries that failed, and when the next one is due. */
  readonly tries: Map<string, { readonly failed: number; readonly at: Instant }>;
  /** By name; nothing is known of one that was not sent anything. */
  readonly channels: Map<string, ChannelHealth>;
  /** Messages decided under this leadership: the next one's number. */
  notices: number;
  heartbeatAt: Instant;
  isBeating: boolean;
  /** When warnings wait, wall clock; asked for ahead. No spans: not answered yet. */
  quiet: { readonly asked: Span; readonly spans: readonly Span[] | undefined };
  /** The account on storage is being written: who waits for that, and who for the next write. */
  saving: { readonly waiters: readonly Waiter[]; readonly next: readonly Waiter[] } | undefined;
  /** Of the account that was written last, or is being written. */
  savedChanges: number;
}

/** What an unanswered question about alerts is for. */
export type AlertPurpose =
  /** A message to a channel, by its id. */
  | { readonly kind: "notice"; readonly channel: string; readonly notice: string }
  /** One that only tries the channel. */
  | { readonly kind: "test"; readonly channel: string; readonly reply: ReplyId }
  | { readonly kind: "heartbeat" }
  /** The book on storage. */
  | { readonly kind: "book"; readonly changes: number }
  | { readonly kind: "quietHours" };

/** Somebody who is told when what they said is on storage. */
export interface Waiter {
  readonly to: ReplyId;
  /** Absent: they are told that it is so, and nothing more. */
  readonly silence?: Silence;
}

export interface ChannelHealth {
  /** Tries that failed since the last one that did not. */
  readonly failures: number;
  readonly reason: string;
  /** As the shell says: its breaker. Absent: it has said nothing. */
  readonly breaker?: string;
  /** The last message that was given up or refused, until one is taken. */
  readonly lost?: string;
}

export function purposeOf(of: AlertPurpose) {
  return { kind: "alerts", of } as const;
}

export function emptyAlerts(): AlertDesk {
  return {
    nextAt: 0,
    ledAt: 0,
    ledMs: 0,
    isSuccessor: false,
    found: new Map(),
    inhibited: new Set(),
    coming: new Map(),
    gone: new Map(),
    sending: new Map(),
    tries: new Map(),
    channels: new Map(),
    notices: 0,
    heartbeatAt: 0,
    isBeating: false,
    quiet: { asked: { fromMs: 0, untilMs: 0 }, spans: undefined },
    saving: undefined,
    savedChanges: 0,
  };
}
