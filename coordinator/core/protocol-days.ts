/**
 * What a leader asks about days that run by themselves, and what is said about them by people. Part of the protocol
 * (protocol.ts): each ask has an `id` and is answered once.
 */
import type { BackfillAction } from "../../shared/kernel/backfill.ts";
import type {
  CalendarQuestion,
  CalendarStart,
  DayMark,
  DeskDocument,
  SourceLook,
  SourceToSee,
} from "../../shared/kernel/days.ts";
import type { AcknowledgeWish } from "../../shared/kernel/delivery.ts";
import type { Day } from "../../shared/kernel/time.ts";
import type { AskId, ReplyId } from "./protocol.ts";

export type DaysAsk =
  /** The starts of a job between two moments (epoch milliseconds) → `calendar`. */
  | ({ readonly kind: "planCalendar"; readonly id: AskId } & CalendarQuestion)
  /** Inputs.look → `looked`. Nothing there is an answer, too. */
  | {
      readonly kind: "lookAtDay";
      readonly id: AskId;
      readonly day: Day;
      readonly sources: readonly SourceToSee[];
    }
  /** Store.saveDesk → `ok`. */
  | {
      readonly kind: "saveDesk";
      readonly id: AskId;
      readonly epoch: number;
      readonly job: string;
      readonly desk: DeskDocument;
    };

export type DaysAnswer =
  /** In order of their starts, one for each data date. */
  | { readonly kind: "calendar"; readonly starts: readonly CalendarStart[] }
  /** In the order asked. */
  | { readonly kind: "looked"; readonly sources: readonly SourceLook[] };

/** From callers; each is answered by one Tell `reply` after what it says is on storage. */
export type DaysMessage =
  | {
      readonly kind: "markDay";
      readonly reply: ReplyId;
      readonly job: string;
      readonly day: Day;
      readonly mark: DayMark;
      readonly reason: string;
    }
  /** Upstream has delivered a day; no source: all of the job's. */
  | {
      readonly kind: "delivered";
      readonly reply: ReplyId;
      readonly job: string;
      readonly day: Day;
      readonly source: string;
    }
  | {
      readonly kind: "pauseBacklog";
      readonly reply: ReplyId;
      readonly job: string;
      readonly paused: boolean;
      readonly reason: string;
    }
  | { readonly kind: "backfill"; readonly reply: ReplyId; readonly action: BackfillAction }
  /** A consumer has a dataset's day. */
  | { readonly kind: "acknowledge"; readonly reply: ReplyId; readonly wish: AcknowledgeWish };
