/**
 * Control files: what an upstream says will come for a day of one source. JSON, written whole (under another name, then
 * renamed):
 *
 *     { "day": "2026-01-15", "files": [ { "file": "gw=1/2026-01-15T0015.csv", "bytes": 74210, "records": 501, "sha256": "…" } ] }
 *
 * Only `file` must be there. `bytes` and `sha256` are of the file as stored, `day` must be the day where it is given,
 * other members are free. A name is taken relative to the storage root when it matches the source's path as it stands,
 * else relative to the control file's folder.
 */
import type { AnnouncedFile } from "./days.ts";
import { type Failure, failure } from "./failure.ts";
import { limits } from "./limits.ts";
import type { Day } from "./time.ts";

/** Fits into a look as it is. */
export type ControlReading =
  | { readonly announced: readonly AnnouncedFile[] }
  | { readonly problem: Failure };

export interface ControlContext {
  /** Of the control file, relative to the storage root. */
  readonly path: string;
  readonly day: Day;
  /** The source's path as the job has it, for messages. */
  readonly sourcePath: string;
  /** Would the source read this path? */
  readonly isOfSource: (path: string) => boolean;
}

/**
 * Where a rule's file lies, `{day}` still in it: one with a slash below the storage root, a bare name in the folder of
 * the source's files (above the first folder that is a wildcard).
 */
export function ruleFilePath(sourcePath: string, value: string): string {
  if (value.includes("/")) return value;
  const folders = sourcePath.split("/").slice(0, -1);
  const wildcard = folders.findIndex((folder) => /[*?[]/.test(folder));
  return [...(wildcard < 0 ? folders : folders.slice(0, wildcard)), value].join("/");
}

/** What the text announces, in path order; anything damaged, half-written or meant for another day is a problem. */
export function readControlFile(text: string, context: ControlContext): ControlReading {
  try {
    return { announced: announcedIn(text, context) };
  } catch (error) {
    if (error instanceof Unusable) return { problem: problemOf(context.path, error.message) };
    throw error;
  }
}

export function problemOf(path: string, what: string): Failure {
  return failure("inputMalformed", `control file ${path}: ${what}`, { file: path });
}

class Unusable extends Error {}

function announcedIn(text: string, context: ControlContext): readonly AnnouncedFile[] {
  const { day, files } = members(parsed(text), "the file");
  if (day !== undefined && day !== context.day) {
    const shown = typeof day === "string" ? day.slice(0, 40) : "something else";
    throw new Unusable(
      `it is for ${shown}, not ${context.day}; deliver the day's own, or write {day} into its path`,
    );
  }
  if (!Array.isArray(files)) {
    throw new Unusable("there is no list `files`; it must name the day's files");
  }
  if (files.length === 0) {
    throw new Unusable("it announces no file; deliver it again when it names the day's files");
  }
  if (files.length > limits.filesPerDayMax) {
    throw new Unusable(`${files.length} files, more than ${limits.filesPerDayMax}; merge files`);
  }
  const byPath = new Map<string, AnnouncedFile>();
  files.forEach((value: unknown, index) => {
    const file = announced(value, `files[${index}]`, context);
    const other = byPath.get(file.path);
    if (other !== undefined && !isEqual(other, file)) {
      throw new Unusable(`it names ${file.path} twice, with different values; correct it`);
    }
    byPath.set(file.path, file);
  });
  return [...byPath.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const said = error instanceof Error ? error.message : "";
    const end = text.trimEnd().length;
    const at = /position (\d+)/.exec(said)?.[1];
    const isCut = /end of JSON|Unterminated/.test(said) || (at !== undefined && Number(at) >= end);
    const lines = text.slice(0, at === undefined ? end : Number(at)).split("\n").length;
    throw new Unusable(
      isCut
        ? "it ends in the middle: it is still being written, or was cut; write it under another name " +
            "and rename it, or deliver it again"
        : `it is no JSON${at === undefined ? "" : ` (line ${lines})`}; deliver it again`,
    );
  }
}

function members(value: unknown, what: string): Readonly<Record<string, unknown>> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as Readonly<Record<string, unknown>>;
  }
  throw new Unusable(`${what} is no object; see the format in docs/readiness.md`);
}

function announced(value: unknown, where: string, context: ControlContext): AnnouncedFile {
  const entry = members(value, where);
  const bytes = whole(entry, "bytes", where);
  const records = whole(entry, "records", where);
  const { sha256 } = entry;
  if (sha256 !== undefined && !(typeof sha256 === "string" && /^[0-9a-fA-F]{64}$/.test(sha256))) {
    throw new Unusable(`${where}: sha256 must be 64 hexadecimal digits`);
  }
  return {
    path: pathOf(entry["file"], where, context),
    ...(bytes === undefined ? {} : { bytes }),
    ...(sha256 === undefined ? {} : { sha256: sha256.toLowerCase() }),
    ...(records === undefined ? {} : { records }),
  };
}

function whole(
  entry: Readonly<Record<string, unknown>>,
  name: string,
  where: string,
): number | undefined {
  const value = entry[name];
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new Unusable(`${where}: ${name} must be a whole number, 0 or more`);
}

function pathOf(name: unknown, where: string, context: ControlContext): string {
  if (typeof name !== "string" || name === "") {
    throw new Unusable(`${where}: file must be the name of a file`);
  }
  const parts = name.split("/");
  if (name.startsWith("/") || /[\\\0]/.test(name) || parts.some((part) => part === "..")) {
    throw new Unusable(
      `${where}: the name must be relative, below the storage root, without "..", backslash or NUL`,
    );
  }
  const plain = parts.filter((part) => part !== "" && part !== ".").join("/");
  if (context.isOfSource(plain)) return plain;
  const beside = [...context.path.split("/").slice(0, -1), plain].join("/");
  if (context.isOfSource(beside)) return beside;
  // It would be waited for in vain: no look can ever show it.
  throw new Unusable(
    `${where}: the source's path ${context.sourcePath} does not match ${beside}; ` +
      "correct the name or the path",
  );
}

function isEqual(one: AnnouncedFile, other: AnnouncedFile): boolean {
  return one.bytes === other.bytes && one.sha256 === other.sha256 && one.records === other.records;
}
