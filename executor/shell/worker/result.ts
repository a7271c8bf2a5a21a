/** What each kind of work hands back before time and memory are added (run-work.ts). Values only. */
import type { Failure } from "../../../shared/kernel/failure.ts";
import type { ExchangeOutput, FileAccount, StagedFile } from "../../../shared/kernel/work.ts";

export interface WorkResult {
  readonly outputs: readonly ExchangeOutput[];
  readonly files: readonly StagedFile[];
  readonly accounts: readonly FileAccount[];
  readonly rowsIn: number;
  readonly bytesIn: number;
  /** Relative to the storage root. */
  readonly rejectsFile?: string;
  readonly lateFile?: string;
  readonly checkValue?: string | null;
  readonly checkFailure?: Failure;
}
