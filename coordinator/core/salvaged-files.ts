/**
 * Are the files of salvaged work still there? Asked before a run goes on from them: somebody may have tidied up in staging.
 * Work whose files are not all there is done again.
 */
import type { Run, TaskResult } from "./durable.ts";
import { filesOf, runOf } from "./salvage.ts";
import { decide, log, type Turn } from "./turn.ts";

/** `runs`: in whose staging folders was looked; `paths`: all that lies there. */
export function filesSeen(turn: Turn, run: Run, runs: readonly string[], paths: readonly string[]) {
  if (run.state !== "running" || run.ending !== undefined) return;
  const there = new Set(paths);
  const asked = new Set(runs);
  const isWhole = (result: TaskResult) =>
    filesOf(result).every((path) => there.has(path) || !asked.has(runOf(path)));
  run.stages.forEach((stage, index) => {
    if (stage.salvage === undefined) return;
    stage.tasks.forEach(({ result }, task) => {
      if (result === undefined || isWhole(result)) return;
      const { attemptId } = result;
      log(turn, "warn", "files of a failed run have gone: the task runs again", { run: run.id });
      decide(turn, { kind: "outputDropped", run: run.id, stage: index, task, attemptId });
    });
    const outputs = [...(turn.state.durable.kept.get(stage.salvage)?.outputs ?? [])];
    const mapKeys = outputs.filter(([, result]) => !isWhole(result)).map(([key]) => key);
    if (mapKeys.length === 0) return;
    decide(turn, { kind: "keptSuperseded", scope: stage.salvage, mapKeys });
  });
}
