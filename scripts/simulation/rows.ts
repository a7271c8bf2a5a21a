/**
 * Rows of the simulation are texts that say where they come from. A scan makes one per file and partition, an
 * exchange carries them by partition, a reduce takes what its group holds, a dataset's file lists what reached it.
 * So a row that is lost, doubled or of the wrong version shows up as a text missing, doubled or different.
 * `expectedRows` is the plain oracle: the same without tasks, attempts, streams or executors.
 */
import { must } from "../../shared/kernel/assert.ts";
import type { ExchangePlan, JobPlan, StagePlan } from "../../shared/kernel/plan.ts";
import type { FileFingerprint } from "../../shared/kernel/work.ts";

/** Names what is in a file: its path and version, or those of the file that it was delivered as once more. */
export function contentOf({ path, mtimeNs }: FileFingerprint): string {
  const [, folder, version, name] = /^(.*\/)[a-z]+-again-(\d+)-of-(.+)\.csv$/.exec(path) ?? [];
  return version === mtimeNs ? `${folder}${name}` : `${path}@${mtimeNs}`;
}

/** Of files that hold the same, one. */
export function countingOf(files: readonly FileFingerprint[]): readonly FileFingerprint[] {
  return [...new Map(files.map((file) => [contentOf(file), file])).values()];
}

/** The path of a file that is delivered once more, in that version: before or after all others of its folder. */
export function pathOfCopy(file: FileFingerprint, version: number, isFirst: boolean): string {
  const content = contentOf(file);
  const name = content.lastIndexOf("/") + 1;
  const begin = isFirst ? "a" : "z";
  return `${content.slice(0, name)}${begin}-again-${version}-of-${content.slice(name)}.csv`;
}

/** What a scan makes of a file: a row for every partition of any exchange (they have equal P). */
export function rowsOfFile(file: FileFingerprint, partitions: number): readonly string[] {
  const name = contentOf(file);
  return Array.from({ length: partitions }, (_, partition) => `${name}#${partition}`);
}

/** Lines of a file that a scan puts aside, by what the file is called: none, a rejected one, a late one, or both. */
export function asideOfFile(file: FileFingerprint): {
  readonly rejects: readonly string[];
  readonly late: readonly string[];
} {
  const name = contentOf(file);
  // Rows of earlier days are all taken.
  const kind = file.path.startsWith("revisions/") ? 0 : hashOf(name) % 4;
  return {
    rejects: kind === 1 || kind === 3 ? [`${name}!rejected`] : [],
    late: kind >= 2 ? [`${name}!late`] : [],
  };
}

/** Where a row goes in an exchange: scanned ones spread evenly, others by their hash; all to 0 without a key. */
export function partitionOf(text: string, { keys, partitions }: ExchangePlan): number {
  if (keys.length === 0) return 0;
  return hashOf(unsigned(text)) % partitions;
}

/**
 * A row on its way through an exchange bears the mark of the work that made it and, in seeds whose sums differ from
 * attempt to attempt as sums of DOUBLE do, of the attempt. Then readers must not take one attempt's rows here and
 * another's there. `producer` is a map key, or run, stage and task.
 */
export function markOf(producer: string, attemptId: string, isUnstable: boolean): string {
  return `~${hashOf(producer).toString(36)}.${isUnstable ? hashOf(attemptId) % 100_000 : 0}`;
}

/** The row without any mark. */
export function unsigned(text: string): string {
  const end = text.indexOf("~");
  return end < 0 ? text : text.slice(0, end);
}

/** Two attempts of one work of which rows were taken; undefined when all agree. */
export function mixedAttempts(rows: readonly string[]): string | undefined {
  const marks = new Map<string, string>();
  for (const row of rows) {
    for (const mark of row.split("~").slice(1)) {
      const work = mark.slice(0, mark.lastIndexOf("."));
      const known = marks.get(work);
      if (known === undefined) marks.set(work, mark);
      else if (known !== mark) return `${known} and ${mark}`;
    }
  }
  return undefined;
}

/** FNV-1a, 32 bits, with a last mixing so that its low bits differ too. */
export function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  }
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** Does not depend on the order of the rows, and a doubled row changes it. */
export function checksumOf(texts: readonly string[]): string {
  let sum = 0;
  for (const text of texts) sum += hashOf(text);
  return String(sum);
}

/** What a stage that reads several exchanges makes of a row: which one it came from must not be lost. */
export function readFrom(exchange: string, text: string, inputs: readonly string[]): string {
  return inputs.length === 1 ? text : `${exchange}<${text}`;
}

/** Rows per file that a scan makes: the largest P of what the stage writes, at least 1. */
export function rowsPerFile(stage: StagePlan, exchanges: readonly ExchangePlan[]): number {
  const written = stage.outputs.flatMap((output) =>
    output.kind === "exchange" ? exchanges.filter(({ id }) => id === output.exchange) : [],
  );
  return Math.max(1, ...written.map(({ partitions }) => partitions));
}

/** Sorted rows of each dataset of a plan, from the files of its sources. What was delivered twice counts once. */
export function expectedRows(
  plan: JobPlan,
  files: ReadonlyMap<string, readonly FileFingerprint[]>,
): ReadonlyMap<string, readonly string[]> {
  const exchanges = new Map<string, string[]>(plan.exchanges.map(({ id }) => [id, []]));
  const datasets = new Map<string, string[]>(plan.datasets.map(({ model }) => [model, []]));
  for (const stage of plan.stages) {
    const { input } = stage;
    const rows =
      input.kind === "scan"
        ? countingOf(files.get(input.source) ?? []).flatMap((file) =>
            rowsOfFile(file, rowsPerFile(stage, plan.exchanges)),
          )
        : input.exchanges.flatMap((id) =>
            must(exchanges.get(id), "it is planned").map((text) =>
              readFrom(id, text, input.exchanges),
            ),
          );
    for (const output of stage.outputs) {
      const target =
        output.kind === "exchange" ? exchanges.get(output.exchange) : datasets.get(output.model);
      must(target, "outputs are planned").push(...rows);
    }
  }
  return new Map([...datasets].map(([model, rows]) => [model, rows.sort()]));
}
