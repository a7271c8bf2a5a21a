/** The messages of proto/daymill/v1/alerts.proto as TypeScript. Words are texts here: a newer peer may send others. */
import type * as kernel from "../kernel/alert.ts";
import type { Stamp } from "../kernel/status.ts";

export interface AlertStatus
  extends Required<Omit<kernel.AlertStatus, "rule" | "severity" | "state">> {
  readonly rule: string;
  readonly severity: string;
  /** open | silenced | inhibited | quiet | ended */
  readonly state: string;
}

export interface Silence extends Omit<kernel.Silence, "rule"> {
  /** Empty: every rule. */
  readonly rule: string;
}

export interface ChannelStatus extends Omit<kernel.ChannelStatus, "kind"> {
  readonly kind: string;
}

export interface ListAlertsRequest {
  /** open | history */
  readonly which: string;
  readonly job: string;
}
export interface ListAlertsReply {
  readonly stamp: Stamp | null;
  readonly isConfigured: boolean;
  readonly alerts: readonly AlertStatus[];
  readonly silences: readonly Silence[];
  readonly channels: readonly ChannelStatus[];
}
export interface SilenceAlertsRequest extends Omit<kernel.SilenceWish, "rule"> {
  readonly rule: string;
}
export interface SilenceAlertsReply {
  readonly stamp: Stamp | null;
  readonly silence: Silence | null;
}
export interface UnsilenceAlertsRequest {
  readonly id: string;
}
export interface TestChannelRequest {
  readonly channel: string;
}
