/**
 * Looks at input files for the planner and checks them for the worker: lists, fingerprints, realpath inside the root.
 * It never reads rows. What identifies a file's bytes is size, times and inode, taken with nanoseconds.
 */
import type { BigIntStats } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { DaymillError, type FailureCode, fail } from "../kernel/failure.ts";
import { type DimensionSpec, isDelimited, type SourceSpec } from "../kernel/job.ts";
import { isDay } from "../kernel/time.ts";
import type { FileFingerprint } from "../kernel/work.ts";
import type { Inputs } from "../ports.ts";
import { parquetRowCounts } from "./duckdb-parquet.ts";
import { expand, patternParts } from "./inputs-glob.ts";

/** File system calls in flight at a time: libuv has four threads. */
const statsAtOnce = 16;

/** The real `Inputs` over a storage root (absolute path). */
export function openInputs(root: string): Inputs {
  return {
    listSource: (source, day) => listSource(root, source, day),
    parquetRows: (files) =>
      parquetRowCounts(
        files.map((file) => ({ absolute: join(root, file.path), shown: file.path })),
      ),
    dimension: (spec, day) => dimension(root, spec, day),
  };
}

async function listSource(
  root: string,
  source: SourceSpec,
  day: string,
): Promise<readonly FileFingerprint[]> {
  const files = await listed(root, source.path, day);
  if (files.length === 0) {
    throw fail(
      "inputMissing",
      `source ${source.name}: no file matches ${filled(source.path, day)} below the storage root; deliver the day's files or correct the path`,
      { source: source.name, day },
    );
  }
  const empty = files.find((file) => file.size === 0);
  if (empty !== undefined && (!source.allowEmptyFiles || !isDelimited(source.format))) {
    throw fail(
      "inputEmpty",
      `source ${source.name}: file ${empty.path} has no bytes; deliver it again, or set allow_empty_files`,
      { source: source.name, file: empty.path },
    );
  }
  return files;
}

async function dimension(root: string, spec: DimensionSpec, day: string): Promise<FileFingerprint> {
  const files = await listed(root, spec.path, day);
  const [file] = files;
  if (file === undefined) {
    throw fail(
      "inputMissing",
      `dimension ${spec.name}: no file ${filled(spec.path, day)} below the storage root; deliver it or correct the path`,
      { dimension: spec.name },
    );
  }
  if (files.length > 1) {
    throw fail(
      "jobInvalid",
      `dimension ${spec.name}: ${spec.path} matches ${files.length} files; a dimension is one, name it`,
    );
  }
  if (file.size === 0) {
    throw fail(
      "inputEmpty",
      `dimension ${spec.name}: file ${file.path} has no bytes; deliver it again`,
      { file: file.path },
    );
  }
  return file;
}

function filled(pattern: string, day: string): string {
  return pattern.replaceAll("{day}", day);
}

async function listed(
  root: string,
  pattern: string,
  day: string,
): Promise<readonly FileFingerprint[]> {
  if (!isDay(day)) throw fail("badRequest", "day: must be a calendar date YYYY-MM-DD");
  const paths = await expand(root, patternParts(pattern, day));
  const realRoot = await rootPath(root);
  const files: FileFingerprint[] = [];
  for (let from = 0; from < paths.length; from += statsAtOnce) {
    const some = paths.slice(from, from + statsAtOnce);
    const seen = await Promise.all(some.map((path) => regularFile(root, realRoot, path)));
    for (const file of seen) if (file !== undefined) files.push(file);
  }
  return files;
}

async function rootPath(root: string): Promise<string> {
  try {
    return await realpath(root);
  } catch (error) {
    throw fileError(error, root);
  }
}

/** undefined for folders and devices: a pattern may meet them, but they are not input. */
async function regularFile(
  root: string,
  realRoot: string,
  path: string,
): Promise<FileFingerprint | undefined> {
  try {
    await assertInside(root, realRoot, path);
    const stats = await stat(join(root, path), { bigint: true });
    return stats.isFile() ? fingerprintOf(path, stats) : undefined;
  } catch (error) {
    throw fileError(error, path);
  }
}

async function assertInside(root: string, realRoot: string, path: string): Promise<string> {
  const real = await realpath(join(root, path));
  if (real !== realRoot && !real.startsWith(realRoot.endsWith(sep) ? realRoot : realRoot + sep)) {
    throw fail(
      "pathForbidden",
      `file ${path}: its link leads out of the storage root; deliver the file itself, or link to a place below the root`,
    );
  }
  return real;
}

/** Real absolute path of a file below the root. Errors: `pathForbidden`, `inputMissing`, `storage…`. */
export async function insideRoot(root: string, path: string): Promise<string> {
  patternParts(path, "");
  try {
    return await assertInside(root, await rootPath(root), path);
  } catch (error) {
    throw fileError(error, path);
  }
}

/** What identifies the bytes of an open or named file. */
export function fingerprintOf(path: string, stats: BigIntStats): FileFingerprint {
  return {
    path,
    size: Number(stats.size),
    mtimeNs: String(stats.mtimeNs),
    ctimeNs: String(stats.ctimeNs),
    inode: String(stats.ino),
  };
}

type Cause = readonly [code: FailureCode, text: string];

const gone: Cause = [
  "inputMissing",
  "is not there (any more); bring it back, or see who removes it",
];
const full: Cause = ["storageFull", "no space left on the device; free some"];
const denied: Cause = ["storageDenied", "permission denied; check owner and mode"];
const causes: Readonly<Record<string, Cause>> = {
  ENOENT: gone,
  ENOTDIR: gone,
  ELOOP: ["pathForbidden", "links in a circle; deliver the file itself"],
  ENOSPC: full,
  EDQUOT: full,
  EROFS: ["storageReadOnly", "the file system is read-only; mount it writable"],
  EACCES: denied,
  EPERM: denied,
};

/** A file system error about `path` in our words; `DaymillError`s pass through. */
export function fileError(error: unknown, path: string): DaymillError {
  if (error instanceof DaymillError) return error;
  const errno = error instanceof Error && "code" in error ? String(error.code) : "unknown";
  const other: Cause = ["storageFailed", `input or output failed (${errno}); see the system's log`];
  const [code, text] = causes[errno] ?? other;
  return fail(code, `file ${path}: ${text}`, { file: path, errno }, error);
}
