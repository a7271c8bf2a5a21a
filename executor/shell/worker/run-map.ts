/**
 * One map task: a split's files to rows, the stage's SQL, its outputs. Everything it does follows from the work's
 * bytes; the delivery only says where the result goes.
 */
import { type MapWork, mapKey } from "../../../shared/kernel/work.ts";
import type { Attempt } from "./attempt.ts";
import { loadDimensions } from "./dimensions.ts";
import { openRejects, stageRejects } from "./rejects.ts";
import type { WorkResult } from "./result.ts";
import { dropScan, scanSplit } from "./scan.ts";
import { runStage } from "./stage-program.ts";

/** Errors: `input…`, `sqlFailed`, `valueOverflow`, `outOfMemory`, `storage…`, exchange errors, `cancelled`. */
export async function runMap(attempt: Attempt, work: MapWork): Promise<WorkResult> {
  await openRejects(attempt.engine);
  // First, while the rejects are empty: what is in there then belongs to a dimension.
  await loadDimensions(attempt, work);
  const { accounts, lateFile } = await scanSplit(attempt, work);
  const rejectsFile = await stageRejects(attempt);
  const { outputs, files } = await runStage(attempt, {
    stage: work.stage,
    exchanges: work.exchanges,
    producer: mapKey(work),
    first: attempt.delivery.task === 0,
    release: () => dropScan(attempt, work.source),
  });
  return {
    outputs,
    files,
    accounts,
    rowsIn: accounts.reduce((sum, account) => sum + account.lines, 0),
    bytesIn: accounts.reduce(
      (sum, { file, plainBytes }) => sum + Math.min(file.size, plainBytes),
      0,
    ),
    ...(rejectsFile === undefined ? {} : { rejectsFile }),
    ...(lateFile === undefined ? {} : { lateFile }),
  };
}
