/**
 * What a leader asks of storage. Part of `Ask` (protocol.ts): each has an `id` and is answered once. `epoch` is the
 * leadership that asks; a fenced one gets the failure `storageFenced`.
 */
import type { JobSpec } from "../../shared/kernel/job.ts";
import type {
  DayOfJob,
  RevisionOfDay,
  RunManifest,
  RunRequest,
} from "../../shared/kernel/manifest.ts";
import type { Day } from "../../shared/kernel/time.ts";
import type { AskId } from "./protocol.ts";

export type StorageAsk =
  /** Store.readJobs, readRequests, readManifests, readSnapshot, readDesks → `stored`. */
  | { readonly kind: "readStorage"; readonly id: AskId; readonly epoch: number }
  /** Store.saveSnapshot → `ok`. */
  | {
      readonly kind: "saveSnapshot";
      readonly id: AskId;
      readonly epoch: number;
      readonly sequence: number;
      readonly texts: readonly string[];
    }
  /** Store.checkViews → `ok`, or the failure `conflict`. */
  | {
      readonly kind: "checkViews";
      readonly id: AskId;
      readonly job: string;
      readonly day: Day;
      readonly datasets: readonly string[];
    }
  /** Store.saveJob → `ok`. */
  | {
      readonly kind: "saveJob";
      readonly id: AskId;
      readonly epoch: number;
      readonly job: JobSpec;
      readonly digest: string;
    }
  /** Store.saveRequest → `ok`. */
  | {
      readonly kind: "saveRequest";
      readonly id: AskId;
      readonly epoch: number;
      readonly request: RunRequest;
    }
  /** Store.dropRequest → `ok`. */
  | {
      readonly kind: "dropRequest";
      readonly id: AskId;
      readonly epoch: number;
      readonly run: string;
    }
  /** Store.listStaging; measured: Store.stagingBytes of each, too → `staging`. */
  | { readonly kind: "listStaging"; readonly id: AskId; readonly isMeasured?: true }
  /** Store.listStaged of each → `staged`. */
  | { readonly kind: "listStaged"; readonly id: AskId; readonly runs: readonly string[] }
  /**
   * Store.arrange → `arranged`. The staged files must stay readable where they are (hard links): after a takeover
   * the next leader arranges the same files again under its own epoch.
   */
  | {
      readonly kind: "arrange";
      readonly id: AskId;
      readonly epoch: number;
      readonly run: RevisionOfDay;
      /**
       * `dataset` is `_rejects` for reject files: arranged like the others, never published. `staged` may be a file of
       * an earlier revision of the day: it is carried over.
       */
      readonly files: readonly { readonly dataset: string; readonly staged: string }[];
    }
  /** Store.commit → `manifest` (what is there afterwards, ours or another's). */
  | {
      readonly kind: "commit";
      readonly id: AskId;
      readonly epoch: number;
      readonly manifest: RunManifest;
    }
  /** Store.readManifest → `revision`. */
  | { readonly kind: "readRevision"; readonly id: AskId; readonly run: RevisionOfDay }
  /** Store.publish → `ok`. */
  | {
      readonly kind: "publish";
      readonly id: AskId;
      readonly epoch: number;
      readonly manifest: RunManifest;
    }
  /** Store.release → `manifest`: as it reads now, `committed` when it could be released. No manifest: `unknownRun`. */
  | {
      readonly kind: "release";
      readonly id: AskId;
      readonly epoch: number;
      readonly run: RevisionOfDay;
      readonly wallMs: number;
    }
  /** Store.rebuildViews → `ok`. */
  | { readonly kind: "rebuildViews"; readonly id: AskId; readonly epoch: number }
  /** Store.dropStaging → `ok`. */
  | {
      readonly kind: "dropStaging";
      readonly id: AskId;
      readonly epoch: number;
      readonly run: string;
    }
  /** Store.listRevisions → `revisions`. */
  | {
      readonly kind: "listRevisions";
      readonly id: AskId;
      readonly from: DayOfJob | undefined;
      readonly daysMax: number;
    }
  /** Store.dropRevision → `ok`. */
  | {
      readonly kind: "dropRevision";
      readonly id: AskId;
      readonly epoch: number;
      readonly run: RevisionOfDay;
      readonly arrangedBy: number;
      readonly datasets: readonly string[] | "all";
    };
