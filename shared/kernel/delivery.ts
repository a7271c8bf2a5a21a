/**
 * Words for deliveries: who takes a job's datasets, what each of them has acknowledged, and what that makes of a
 * dataset's day. Plain values; the coordinator's core decides, gRPC carries, the command line prints.
 */
import type { Day } from "./time.ts";

/** Somebody who takes datasets and says so: BI, segmentation, operations. */
export interface ConsumerSpec {
  readonly name: string;
  /** Models of the job, in the order of the job file. */
  readonly datasets: readonly string[];
}

/** A consumer has this revision of a dataset's day. */
export interface Acknowledged {
  readonly revision: number;
  /** When it said so first, epoch milliseconds. */
  readonly wallMs: number;
  /** The person or program, as their client says; empty: nobody said. */
  readonly by: string;
  /** What it had acknowledged before: then this one is a restatement. */
  readonly before?: Pick<Acknowledged, "revision" | "wallMs">;
}

/** By `consumer/dataset`. */
export type Acknowledgements = Readonly<Record<string, Acknowledged>>;

/** A revision of a day that readers saw, or see. */
export interface ShownRevision {
  readonly revision: number;
  /** When it was committed, epoch milliseconds; 0 = not known. */
  readonly wallMs: number;
  /** Dataset → revision that made its files: a run of some models carries the others over. */
  readonly datasets: Readonly<Record<string, number>>;
}

/** What a consumer is to acknowledge. `revision`: the day's, as the consumer has read it. */
export interface AcknowledgeWish {
  /** Empty: the one job that gives this consumer the dataset. */
  readonly job: string;
  readonly consumer: string;
  readonly dataset: string;
  readonly day: Day;
  readonly revision: number;
  readonly by: string;
}

/** A dataset's day and one of its consumers, as people are shown them. Times are epoch milliseconds, 0 = none. */
export interface DeliveryStatus {
  readonly job: string;
  readonly consumer: string;
  readonly dataset: string;
  readonly day: Day;
  /** Revision of the day that made the files which readers see of the dataset. */
  readonly revision: number;
  /** `restatement`: the consumer acknowledged an earlier one. */
  readonly kind: "first delivery" | "restatement";
  readonly state: "outstanding" | "acknowledged";
  /** Of a restatement: the revision that it replaces, and when that was acknowledged. */
  readonly replaces: number;
  readonly replacedMs: number;
  readonly committedMs: number;
  readonly acknowledgedMs: number;
  /** Who acknowledged it. */
  readonly by: string;
  /** From the commit to the acknowledgement, or until now; 0 = not known. */
  readonly openMs: number;
}
