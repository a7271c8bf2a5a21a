/**
 * Leaves duplicates (duplicates.ts) out of a run. A scan is judged when its last task is done and before anybody reads its
 * rows: only then are all contents known, so what is decided follows from the set of files alone, never from the order in
 * which tasks end. A split that loses a file is read again without it; what its task gave first never counts. This costs
 * a run with duplicates a second, short round of map tasks, and no other run anything.
 */
import { withHistory } from "../../shared/kernel/history.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { findDuplicates, sourceOf } from "./duplicates.ts";
import type { DroppedFile, Run, Stage } from "./durable.ts";
import { purgeNow } from "./losers.ts";
import { isComplete } from "./stage-graph.ts";
import { decide, log, publish, type Turn, tell } from "./turn.ts";

/** As of how many changes of its results a scan was judged. */
const judged = new WeakMap<Stage, number>();

/**
 * Leaves duplicates out of scans that have just become complete, which then are not: call it before anything is done
 * about that. Judged again after a takeover, with the same outcome.
 */
export function dropDuplicates(turn: Turn, run: Run): void {
  if (run.state !== "running" && run.state !== "checking") return;
  if (run.ending !== undefined || run.isGathering === true) return;
  run.stages.forEach((stage, index) => {
    const { changes = 0 } = stage;
    if (stage.kind !== "scan" || !isComplete(stage) || judged.get(stage) === changes) return;
    judged.set(stage, changes);
    if (keepsDuplicates(turn, run, index)) return;
    const files = findDuplicates(stage);
    if (files.length === 0) return;
    const tasks = new Set(files.map(({ task }) => task));
    const results = [...tasks].flatMap((task) => stage.tasks[task]?.result ?? []);
    decide(turn, { kind: "filesDropped", run: run.id, stage: index, files });
    // What an earlier run has kept may be another's, too: if it is nobody's, it is found after the run.
    const own = results.flatMap((one) => (one.executor === "" ? [] : [one.attemptId]));
    purgeNow(turn, run, index, own);
    tellDropped(turn, run, index, files);
    tell(turn, { kind: "runChanged", run: run.id });
  });
}

function keepsDuplicates(turn: Turn, run: Run, stage: number): boolean {
  const job = turn.state.durable.jobs.get(run.jobDigest);
  return (job && withHistory(job, run.plan))?.duplicates?.[sourceOf(run, stage)] === "keep";
}

/** Says so aloud: the first ones by name, and how many there are. */
export function tellDropped(
  turn: Turn,
  run: Run,
  stage: number,
  files: readonly DroppedFile[],
): void {
  if (files.length === 0) return;
  const source = sourceOf(run, stage);
  const about = { run: run.id, source };
  for (const { file, twin, contentSha256, by = "content" } of files.slice(
    0,
    limits.filesNamedMax,
  )) {
    const pair = { file: file.path, twin: twin.path };
    publish(turn, run, "file.dropped", { ...about, ...pair, contentSha256, by });
    log(turn, "warn", "duplicate file dropped", { ...about, ...pair });
  }
  log(turn, "warn", "duplicate files were left out", { ...about, files: files.length });
}
