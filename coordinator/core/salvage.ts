/**
 * What a run that failed had made: the finished tasks of stages that make models, kept for the day's next run, which so
 * goes on from the model that failed. A task is taken over when its work and every row that it reads are the same. Its
 * files stay in the failed run's staging folder, and its exchanges' streams stay, until the day is made or given up.
 * Decided by the end of a run (the fold below); what is no longer named here is removed by the looks at space.
 */
import { type Failure, isStorageRefusal } from "../../shared/kernel/failure.ts";
import {
  type Durable,
  isStaged,
  type Kept,
  liveRuns,
  type Run,
  type Stage,
  streamsOf,
  type TaskResult,
} from "./durable.ts";
import type { PlannedExchange } from "./facts.ts";
import { KeptOutputs } from "./kept-outputs.ts";

/** Where outputs for a stage's tasks may lie that other runs made; empty: nowhere. */
export function keptScope({ scope, salvage }: Pick<Stage, "scope" | "salvage">): string {
  return scope ?? salvage ?? "";
}

/** Salvaged work of a day, by scope. */
export function salvagedOf(durable: Durable, job: string, day: string): Map<string, Kept> {
  return new Map(
    [...durable.kept].filter(
      ([, kept]) => kept.isSalvage === true && kept.job === job && kept.day === day,
    ),
  );
}

// --- at the end of a run: part of `fold` ------------------------------------------------------

/** The run failed or was cancelled. What it did not come to use of an earlier one stays for the next. */
export function foldSalvaged(durable: Durable, run: Run, { code }: Failure): void {
  const isRoomShort = isStorageRefusal(code);
  const ours = new Set(run.stages.flatMap(({ salvage }) => salvage ?? []));
  for (const [scope] of salvagedOf(durable, run.job, run.day)) {
    // The job has another form now. A run of some models says nothing of the others.
    const isOther = run.select === undefined && run.stages.length > 0 && !ours.has(scope);
    if (isOther || isRoomShort) durable.kept.delete(scope);
  }
  if (isRoomShort) return;
  for (const stage of run.stages) salvageStage(durable, run, stage);
}

function salvageStage(
  durable: Durable,
  run: Run,
  { salvage: scope, startedMs, tasks }: Stage,
): void {
  if (scope === undefined || startedMs === 0) return;
  const outputs = new KeptOutputs();
  for (const { result } of tasks) {
    if (result?.mapKey !== undefined) outputs.set(result.mapKey, result);
  }
  outputs.close();
  // What lay there and was not taken is of other input.
  durable.kept.delete(scope);
  if (outputs.size === 0) return;
  const exchanges = [...run.exchanges.values()].filter((one) => one.scope === scope);
  const { job, day } = run;
  durable.kept.set(scope, { job, day, source: "", exchanges, outputs, isSalvage: true });
}

/** The day is made, or its files are in a revision's folder: nobody goes on from a failed run of it. */
export function foldSalvageUsed(durable: Durable, run: Run): void {
  const ours = new Set(run.stages.flatMap(({ salvage }) => salvage ?? []));
  for (const scope of salvagedOf(durable, run.job, run.day).keys()) {
    if (run.select === undefined || ours.has(scope)) durable.kept.delete(scope);
  }
}

// --- before a run goes on from it -------------------------------------------------------------

/** Runs whose staging holds files that tasks of this run may take over, or have. */
export function stagingsOf(durable: Durable, run: Run): readonly string[] {
  const runs = new Set<string>();
  const add = (result: TaskResult) => {
    for (const id of stagedIn(result)) if (id !== run.id) runs.add(id);
  };
  for (const { salvage, tasks } of run.stages) {
    if (salvage === undefined) continue;
    for (const result of durable.kept.get(salvage)?.outputs.values() ?? []) add(result);
    for (const { result } of tasks) if (result !== undefined) add(result);
  }
  return [...runs].sort();
}

/** Runs in whose staging folders files of a result lie. */
function stagedIn(result: TaskResult): readonly string[] {
  return filesOf(result).filter(isStaged).map(runOf);
}

/** Whose staging folder a staged file is in: `staging/<run>/…`. */
export function runOf(path: string): string {
  return path.split("/")[1] ?? "";
}

export function filesOf({ files, rejectsFile, lateFile }: TaskResult): readonly string[] {
  const side = [rejectsFile, lateFile].filter((path) => path !== undefined);
  return [...files.map(({ path }) => path), ...side];
}

// --- what must stay ---------------------------------------------------------------------------

/** What the end of a run may leave to nobody: taken down before it is decided, for an ended run names nothing. */
export interface AtStake {
  readonly exchanges: readonly PlannedExchange[];
  /** Whose staging folders. */
  readonly runs: readonly string[];
}

export function atStake(durable: Durable, run: Run): AtStake {
  const salvaged = [...salvagedOf(durable, run.job, run.day).values()];
  const scopes = new Set(run.stages.map(({ salvage }) => salvage));
  // What scans send is kept anyway, and has its own times (expired-outputs.ts).
  const own = [...run.exchanges.values()].filter(({ scope }) => !scope || scopes.has(scope));
  const staged = salvaged.flatMap(({ outputs }) => outputs.values().flatMap(stagedIn));
  return {
    exchanges: [...own, ...salvaged.flatMap(({ exchanges }) => exchanges)],
    runs: [...new Set([run.id, ...stagingsOf(durable, run), ...staged])],
  };
}

/** Streams of what was at stake that nobody stands on now. */
export function unwantedStreams(durable: Durable, { exchanges }: AtStake): readonly string[] {
  const gone = exchanges.filter(({ scope }) => !scope || !durable.kept.has(scope));
  // Two runs of a day are live where a damaged journal shows one of them that has its manifest.
  const used = liveRuns(durable).flatMap((run) => streamsOf({ exchanges: run.exchanges.values() }));
  const inUse = new Set(used);
  return [...new Set(streamsOf({ exchanges: gone }))].filter((stream) => !inUse.has(stream));
}

/** Does somebody still want what an ended run has in staging? */
export function isStagingWanted(durable: Durable, id: string): boolean {
  const folder = `staging/${id}/`;
  for (const { isSalvage, outputs } of durable.kept.values()) {
    if (isSalvage === true && outputs.keysOf(`"${folder}`).length > 0) return true;
  }
  return liveRuns(durable).some(({ stages }) =>
    stages.some(
      ({ salvage, tasks }) =>
        salvage !== undefined &&
        tasks.some(
          ({ result }) => result && filesOf(result).some((path) => path.startsWith(folder)),
        ),
    ),
  );
}
