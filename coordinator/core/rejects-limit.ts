/**
 * Does a day have too many rejected lines? Judged per source as soon as all of its files are read, before anything
 * is reduced for nothing. Pure; also sums up the line accounting of a source for its manifest.
 */
import { type Failure, failure } from "../../shared/kernel/failure.ts";
import { inputDigest } from "../../shared/kernel/input-files.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { ManifestSource } from "../../shared/kernel/manifest.ts";
import type { FileAccount } from "../../shared/kernel/work.ts";
import type { Run, Stage } from "./durable.ts";
import { isComplete } from "./stage-graph.ts";

export function rejectsOverLimit(job: JobSpec, run: Run): Failure | undefined {
  for (const source of job.sources) {
    const stage = scanOf(run, source.name);
    if (stage === undefined || !isComplete(stage)) continue;
    const { lines, rejects } = stage.sums;
    if (rejects <= source.rejectsMaxShare * lines) continue;
    if (source.history !== undefined) return misfits(source.name, stage);
    // What was kept of the lines goes with the run's staging folder: the message names where they stand.
    return failure(
      "rejectsOverLimit",
      `source ${source.name}: ${rejects} of ${lines} lines were rejected, more than the allowed ` +
        `share ${source.rejectsMaxShare}; most of them in ${worstFiles(stage)}; correct the columns ` +
        "or the files, or raise rejects.max_share: a committed day keeps its rejected lines with reasons",
      { source: source.name, rejects, lines },
    );
  }
  return undefined;
}

/** Rows of earlier days are all taken, or the run would be of other days than it says. */
function misfits(table: string, stage: Stage): Failure {
  const { lines, rejects } = stage.sums;
  const message =
    `table ${table}: ${rejects} of ${lines} rows of earlier days do not fit its columns; most of them in ` +
    `${worstFiles(stage)}; make those days again (daymill submit --rerun), or say the columns as the files have them`;
  return failure("rejectsOverLimit", message, { source: table, rejects, lines });
}

/** The files with the most rejected lines, and how many of theirs. */
function worstFiles(stage: Stage): string {
  const files = new Map<string, { lines: number; rejects: number }>();
  // A Parquet file cut into row ranges has one account per range.
  for (const { file, lines, rejects } of stage.tasks.flatMap(
    (task) => task.result?.accounts ?? [],
  )) {
    const sum = files.get(file.path) ?? { lines: 0, rejects: 0 };
    files.set(file.path, { lines: sum.lines + lines, rejects: sum.rejects + rejects });
  }
  return [...files]
    .filter(([, { rejects }]) => rejects > 0)
    .sort(([a, one], [b, other]) => other.rejects - one.rejects || (a < b ? -1 : 1))
    .slice(0, limits.rejectFilesNamedMax)
    .map(([path, { lines, rejects }]) => `${path} (${rejects} of ${lines})`)
    .join(", ");
}

/** Line accounting of each scanned source over all of its files. */
export function sourceAccounts(job: JobSpec, run: Run): readonly ManifestSource[] {
  return job.sources.flatMap((source) => {
    const stage = scanOf(run, source.name);
    if (stage === undefined) return [];
    // A Parquet file cut into row ranges has one account per range: it is one file.
    const accounts = stage.tasks.flatMap((task) => task.result?.accounts ?? []);
    const files = new Map(accounts.map((account) => [account.file.path, account.file]));
    const dropped = stage.dropped ?? [];
    return [
      {
        source: source.name,
        files: files.size,
        lines: sum(accounts, (one) => one.lines),
        rows: sum(accounts, (one) => one.rows),
        rejects: sum(accounts, (one) => one.rejects),
        blank: sum(accounts, (one) => one.blank),
        bytes: [...files.values()].reduce((total, file) => total + file.size, 0),
        duplicates: dropped.length,
        inputDigest: inputDigest([...files.values(), ...dropped.map(({ file }) => file)]),
      },
    ];
  });
}

function scanOf(run: Run, source: string): Stage | undefined {
  return run.stages.find((stage, index) => {
    const input = run.plan.stages[index]?.input;
    return stage.kind === "scan" && input?.kind === "scan" && input.source === source;
  });
}

function sum(accounts: readonly FileAccount[], of: (account: FileAccount) => number): number {
  return accounts.reduce((total, account) => total + of(account), 0);
}
