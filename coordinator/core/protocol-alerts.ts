/**
 * What a leader asks about alerts, what people say about them, and what the shell says of channels. Part of the protocol
 * (protocol.ts): each ask has an `id` and is answered once.
 */
import type { AlertAction, AlertDocument, Notice } from "../../shared/kernel/alert.ts";
import type { AskId, ReplyId } from "./protocol.ts";

export type AlertsAsk =
  /** AlertSender.send → `ok`, or `failed` with `detail.retryAfterMs` where the receiver says when to try again. */
  | { readonly kind: "sendNotice"; readonly id: AskId; readonly notice: Notice }
  /** AlertSender.heartbeat → `ok`. */
  | { readonly kind: "sendHeartbeat"; readonly id: AskId }
  /** Store.saveAlerts → `ok`. */
  | {
      readonly kind: "saveAlerts";
      readonly id: AskId;
      readonly epoch: number;
      readonly document: AlertDocument;
    };

/** From callers; answered by one Tell `reply`, where something is remembered after it is on storage. */
export interface AlertMessage {
  readonly kind: "alert";
  readonly reply: ReplyId;
  readonly action: AlertAction;
}

/** AlertSender.watchChannels: a breaker has opened or closed. */
export interface ChannelMessage {
  readonly kind: "channelChanged";
  readonly channel: string;
  readonly state: "working" | "resting" | "probing";
  readonly reason: string;
}
