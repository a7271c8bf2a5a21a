/**
 * Files of a source's day to splits, one per map task. Deterministic: the same files, sizes and former splits give
 * the same cut. Former splits of the day stay as they are, so that their outputs can be used again; new files form
 * new ones. CSV, gzip and Arrow files are never cut (no byte ranges); Parquet files are cut by row ranges.
 */
import type { SourceFormat } from "../../shared/kernel/job.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { type FileFingerprint, type Split, sameFile } from "../../shared/kernel/work.ts";
import type { ListedSource } from "./protocol.ts";

export interface CutOptions {
  readonly format: SourceFormat;
  /** Bytes of plain text (or of Parquet) that one task should read. */
  readonly splitBytes: number;
  /** Slots of the cluster at the time: with fewer splits than slots some would stand idle. */
  readonly slots: number;
  /** How this source of this day was cut before. */
  readonly former: readonly Split[];
}

/** A gzip file of records holds about this many times its size. */
const gzipRatio = 4;
/** Tasks per slot to aim for, so that a slow one leaves the others something to do. */
const splitsPerSlot = 2;
/** Row ranges are cut at multiples of DuckDB's row group size. */
const rowGroupRows = 122_880;

interface Item {
  readonly file: FileFingerprint;
  readonly bytes: number;
  readonly rows: number | undefined;
}

export function cutSource(listed: ListedSource, options: CutOptions): readonly Split[] {
  const items = listed.files.map((file, index) => ({
    file,
    bytes: plainBytes(file, options.format),
    rows: listed.rows?.[index],
  }));
  const { kept, rest } = keepFormer(items, options.former);
  const total = items.reduce((sum, item) => sum + item.bytes, 0);
  const share = Math.ceil(total / (Math.max(1, options.slots) * splitsPerSlot));
  const target = Math.max(1, Math.min(options.splitBytes, share));
  return [...kept, ...cutNew(rest, target, options.format)];
}

/** What there is to read of a file, about. */
export function plainBytes({ size }: FileFingerprint, format: SourceFormat): number {
  return format === "csv.gz" ? size * gzipRatio : size;
}

/** Former splits whose files are still there, without those that vanished; and the files in none of them. */
function keepFormer(
  items: readonly Item[],
  former: readonly Split[],
): { kept: Split[]; rest: Item[] } {
  const byPath = new Map(items.map((item) => [item.file.path, item]));
  const changed = changedParquet(byPath, former);
  const taken = new Set<string>();
  const kept: Split[] = [];
  for (const split of former) {
    const files: FileFingerprint[] = [];
    for (const { path } of split.files) {
      const item = byPath.get(path);
      if (item === undefined || changed.has(path)) continue;
      files.push(item.file);
      taken.add(path);
    }
    if (files.length > 0) kept.push({ ...split, files: files.slice() });
  }
  return { kept, rest: items.filter((item) => !taken.has(item.file.path)) };
}

/** Row ranges hold for exactly the file that they were cut from: any range of a changed file voids them all. */
function changedParquet(
  byPath: ReadonlyMap<string, Item>,
  former: readonly Split[],
): ReadonlySet<string> {
  const changed = new Set<string>();
  for (const { files, rows } of former) {
    const [was] = files;
    if (rows === undefined || was === undefined) continue;
    const is = byPath.get(was.path)?.file;
    if (is !== undefined && !sameFile(is, was)) changed.add(was.path);
  }
  return changed;
}

function cutNew(items: readonly Item[], target: number, format: CutOptions["format"]): Split[] {
  const splits: Split[] = [];
  let files: FileFingerprint[] = [];
  let bytes = 0;
  const flush = () => {
    // A copy takes the room of its members: a list that grew has room for sixteen more, in each of 50,000 splits.
    if (files.length > 0) splits.push({ files: files.slice() });
    files = [];
    bytes = 0;
  };
  for (const item of items) {
    if (format === "parquet" && item.rows !== undefined && item.bytes > target) {
      splits.push(...cutRows(item.file, item.rows, Math.ceil(item.bytes / target)));
      continue;
    }
    // Before, not after: a file that would take the group far over its target begins the next one.
    if (bytes > 0 && bytes + item.bytes / 2 > target) flush();
    files.push(item.file);
    bytes += item.bytes;
    if (bytes >= target || files.length >= limits.filesPerSplitMax) flush();
  }
  flush();
  return splits;
}

function cutRows(file: FileFingerprint, rows: number, pieces: number): Split[] {
  const groups = Math.max(1, Math.ceil(rows / rowGroupRows));
  const step = Math.max(1, Math.floor(groups / pieces)) * rowGroupRows;
  const splits: Split[] = [];
  for (let from = 0; from < rows; from += step) {
    splits.push({ files: [file], rows: { from, to: Math.min(rows, from + step) } });
  }
  return splits.length > 1 ? splits : [{ files: [file] }];
}
