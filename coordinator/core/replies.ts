/**
 * What callers may ask, what they are replied, and what executors are told. Part of the protocol (protocol.ts), which
 * gives them out together with everything else.
 */

import type { AlertsStatus, Silence } from "../../shared/kernel/alert.ts";
import type { BackfillStatus } from "../../shared/kernel/backfill.ts";
import type { BacklogStatus } from "../../shared/kernel/days.ts";
import type { DeliveryStatus } from "../../shared/kernel/delivery.ts";
import type { Failure } from "../../shared/kernel/failure.ts";
import type { GcReport } from "../../shared/kernel/gc.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import type { LateStatus } from "../../shared/kernel/late.ts";
import type { ExecutorStatus, RunStatus } from "../../shared/kernel/status.ts";
import type { Day } from "../../shared/kernel/time.ts";
import type { Delivery, Work } from "../../shared/kernel/work.ts";
import type { RoleName } from "./protocol.ts";

/** Reads. They are answered from saved state only: the answer leaves after what it shows is in the journal. */
export type Question =
  | { readonly kind: "status" }
  | { readonly kind: "run"; readonly run: string }
  /** Newest first; `job` empty = all. */
  | { readonly kind: "runs"; readonly job: string; readonly limit: number }
  | { readonly kind: "executors" }
  | { readonly kind: "job"; readonly name: string }
  /** The newest days of a job with their states, newest first; `days` 0 = those of its window. */
  | { readonly kind: "backlog"; readonly job: string; readonly days: number }
  /** Newest first; `job` empty = of all jobs. */
  | { readonly kind: "backfills"; readonly job: string }
  /** Files that came for days before the job's window, newest first. */
  | { readonly kind: "late"; readonly job: string }
  /** Newest day first; `job` empty = of all jobs, `days` 0 = those of the window. */
  | { readonly kind: "deliveries"; readonly job: string; readonly days: number }
  /** Open alerts, or those that have ended; `job` empty = all. */
  | { readonly kind: "alerts"; readonly which: "open" | "history"; readonly job: string }
  /** Where the committed (or the named) revision of a dataset's day is; `revision` 0 = the committed one. */
  | {
      readonly kind: "dataset";
      readonly dataset: string;
      readonly day: Day;
      readonly revision: number;
    };

export type ExecutorCommand =
  | { readonly kind: "welcome"; readonly coordinator: string }
  /** Final unless the failure's class is retryable; `leader` is `host:port` or empty. */
  | { readonly kind: "refused"; readonly failure: Failure; readonly leader: string }
  /** `work_json` is `workText(work)`, `delivery_json` the canonical JSON of `delivery`. */
  | {
      readonly kind: "runTask";
      readonly attemptId: string;
      readonly work: Work;
      readonly delivery: Delivery;
    }
  | { readonly kind: "cancelTask"; readonly attemptId: string; readonly reason: string }
  | { readonly kind: "reportAck"; readonly attemptId: string }
  | { readonly kind: "drainNow"; readonly reason: string };

export type Reply =
  | { readonly kind: "submitted"; readonly run: string; readonly created: boolean }
  | { readonly kind: "cancelled"; readonly state: string }
  | { readonly kind: "released"; readonly run: string }
  | { readonly kind: "draining" }
  /** What was said about days is in force and on storage. */
  | { readonly kind: "said" }
  | { readonly kind: "backlog"; readonly backlog: BacklogStatus }
  | { readonly kind: "backfills"; readonly backfills: readonly BackfillStatus[] }
  | { readonly kind: "late"; readonly late: LateStatus }
  | { readonly kind: "gc"; readonly report: GcReport }
  | { readonly kind: "deliveries"; readonly deliveries: readonly DeliveryStatus[] }
  | { readonly kind: "alerts"; readonly alerts: AlertsStatus }
  /** In force and on storage. */
  | { readonly kind: "silenced"; readonly silence: Silence }
  /** `leader` is `host:port`, empty when nobody leads as far as we know. */
  | { readonly kind: "status"; readonly role: RoleName; readonly leader: string }
  | { readonly kind: "run"; readonly run: RunStatus }
  | { readonly kind: "runs"; readonly runs: readonly RunStatus[] }
  | { readonly kind: "executors"; readonly executors: readonly ExecutorStatus[] }
  | { readonly kind: "job"; readonly job: JobSpec; readonly digest: string }
  | {
      readonly kind: "dataset";
      readonly job: string;
      readonly day: Day;
      readonly revision: number;
    }
  /** `leader` is set on `notLeader`: `host:port` for the trailer `daymill-leader`. */
  | { readonly kind: "failed"; readonly failure: Failure; readonly leader: string };
