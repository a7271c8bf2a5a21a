/**
 * Files that were delivered twice: the later one's rows don't count. Two files of one source and day are the same when
 * their stored bytes are. That is known before they are read where a control file says so or an earlier run of the day
 * found it out, else when every file of the source was read once (drop-duplicates.ts). Values only.
 *
 * Which one is the later? Not the one with the later mtime: a copy may keep the time of its original, and a restored
 * or moved file gets any. What an earlier run of the day cut comes before what is new, so that a late copy costs its own
 * map work and never the kept output of its original; then goes the order of the paths.
 */
import { type Failure, failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { sha256Hex } from "../../shared/kernel/sha256.ts";
import { type FileFingerprint, sameFile } from "../../shared/kernel/work.ts";
import type { DroppedFile, Run, Stage } from "./durable.ts";
import type { ListedSource } from "./protocol.ts";
import { isComplete } from "./stage-graph.ts";

/** A file that was read and is to be left out, and the task that read it. */
export interface FoundDuplicate extends DroppedFile {
  readonly task: number;
}

interface Content {
  readonly file: FileFingerprint;
  /** Those that read it: one, or one for each row range of a Parquet file. */
  readonly tasks: number[];
  /** Cut by an earlier run of the day. */
  readonly isFormer: boolean;
  /** Hash of the whole, or those of the ranges with their bounds. */
  readonly parts: string[];
  records: number;
}

/**
 * Files of a scan that is done whose content is an earlier one's: for each task that read one, with the file that counts
 * as its twin. Files without a record are all alike and add nothing; they stay. Large Parquet files are compared
 * range by range, so two of them are the same where they were cut alike.
 */
export function findDuplicates(stage: Stage): readonly FoundDuplicate[] {
  const contents = contentsOf(stage);
  const firsts = new Map<string, Content>();
  for (const content of contents) {
    const hash = hashOf(content);
    const first = firsts.get(hash);
    if (first === undefined || precedes(content, first)) firsts.set(hash, content);
  }
  if (firsts.size === contents.length) return [];
  return contents.flatMap((content) => {
    const { file, tasks } = content;
    const contentSha256 = hashOf(content);
    const twin = firsts.get(contentSha256)?.file;
    if (twin === undefined || twin.path === file.path) return [];
    return tasks.map((task) => ({ task, file, twin, contentSha256 }));
  });
}

function hashOf({ parts: [first = "", ...others] }: Content): string {
  return others.length === 0 ? first : sha256Hex([first, ...others].sort().join(" "));
}

/** Of all files with a record whose content is known, in the order of the tasks. */
function contentsOf({ splits, tasks, former = 0 }: Stage): readonly Content[] {
  const byPath = new Map<string, Content>();
  // Older outputs of ranges don't have it.
  const unknown = new Set<string>();
  tasks.forEach(({ result }, task) => {
    const range = splits[task]?.rows;
    for (const { file, contentSha256, rows, rejects } of result?.accounts ?? []) {
      if (contentSha256 === "") unknown.add(file.path);
      const bounds = range === undefined ? "" : `${file.size}:${range.from}-${range.to}:`;
      const isFormer = task < former;
      const known = byPath.get(file.path) ?? { file, tasks: [], isFormer, parts: [], records: 0 };
      byPath.set(file.path, known);
      known.tasks.push(task);
      known.parts.push(`${bounds}${contentSha256}`);
      known.records += rows + rejects;
    }
  });
  return [...byPath.values()].filter(({ file, records }) => records > 0 && !unknown.has(file.path));
}

function precedes(one: Content, other: Content): boolean {
  if (one.isFormer !== other.isFormer) return one.isFormer;
  return one.file.path < other.file.path;
}

/**
 * Listed files that are left out without being read: what the day's last run left out, as long as both files are what
 * they were, and what the control file says (`listed.twins`). The twin of each is listed and stays.
 */
export function knownDuplicates(
  listed: ListedSource,
  remembered: readonly DroppedFile[],
): readonly DroppedFile[] {
  const { files, twins = [] } = listed;
  if (remembered.length + twins.length === 0) return [];
  const byPath = new Map(files.map((file) => [file.path, file]));
  const isSame = (was: FileFingerprint) => {
    const is = byPath.get(was.path);
    return is !== undefined && sameFile(is, was);
  };
  const dropped = new Map<string, DroppedFile>();
  const counting = new Set<string>();
  const drop = (one: DroppedFile) => {
    const [path, twin] = [one.file.path, one.twin.path];
    // Whatever is said, never both of two files, and never one on the word of a file that is left out itself.
    if (path === twin || dropped.has(path) || dropped.has(twin) || counting.has(path)) return;
    dropped.set(path, one);
    counting.add(twin);
  };
  for (const one of remembered) {
    // A control file says it again, or has changed its mind.
    if (one.by === undefined && isSame(one.file) && isSame(one.twin)) drop(one);
  }
  for (const { path, twin, contentSha256 } of twins) {
    const [file, other] = [byPath.get(path), byPath.get(twin)];
    if (file === undefined || other === undefined) continue;
    drop({ file, twin: other, contentSha256, by: "control" });
  }
  return [...dropped.values()];
}

/** The listing without what is left out. */
export function withoutDropped(
  listed: ListedSource,
  dropped: readonly DroppedFile[],
): ListedSource {
  if (dropped.length === 0) return listed;
  const paths = new Set(dropped.map(({ file }) => file.path));
  const isCounted = (_: unknown, index: number) => !paths.has(listed.files[index]?.path ?? "");
  const { rows } = listed;
  return {
    ...listed,
    files: listed.files.filter(isCounted),
    ...(rows === undefined ? {} : { rows: rows.filter(isCounted) }),
  };
}

/** The source that a scan of the run reads; empty for any other stage. */
export function sourceOf(run: Run, stage: number): string {
  const input = run.plan.stages[stage]?.input;
  return input?.kind === "scan" ? input.source : "";
}

/** What a run says of its duplicates: the first ones by name. The same for any order in which they were found. */
export function duplicateWarnings(run: Run): readonly string[] {
  return run.stages.flatMap((stage, index) => {
    const { dropped = [] } = stage;
    const sorted = [...dropped].sort((a, b) => (a.file.path < b.file.path ? -1 : 1));
    const texts = sorted.slice(0, limits.filesNamedMax).map(({ file, twin, by }) => {
      const why = by === "control" ? "is by its control file the same as" : "holds the bytes of";
      return `duplicate file: ${file.path} ${why} ${twin.path}; its rows do not count`;
    });
    const rest = sorted.length - texts.length;
    if (rest === 0) return texts;
    return [...texts, `duplicate files: ${rest} more of source ${sourceOf(run, index)}`];
  });
}

/**
 * A control file's word is proved where it can be: the file that counts was read, and must have the content that was
 * said of both. Else rows would be missing. Undefined as long as nothing is wrong.
 */
export function wrongTwins(run: Run): Failure | undefined {
  for (const stage of run.stages) {
    const said = stage.dropped?.filter(({ by }) => by === "control") ?? [];
    if (said.length === 0 || !isComplete(stage)) continue;
    // A row range's hash is of a part.
    const accounts = stage.tasks.flatMap(({ result }, task) =>
      stage.splits[task]?.rows === undefined ? (result?.accounts ?? []) : [],
    );
    const contents = new Map(accounts.map(({ file, contentSha256 }) => [file.path, contentSha256]));
    for (const { file, twin, contentSha256 } of said) {
      const read = contents.get(twin.path) ?? "";
      if (read === "" || read === contentSha256) continue;
      return failure(
        "inputMalformed",
        `file ${twin.path} does not have the checksum that the control file gives it and ${file.path}: ` +
          "deliver the right file or control file, or set duplicates: keep for the source",
        { file: twin.path },
      );
    }
  }
  return undefined;
}
