/**
 * Looks at what lies in the folders of a day before anybody runs it: nothing there, empty files and a control file that
 * is not there yet are what was seen, not errors. It opens control files only.
 */
import { type FileHandle, open, stat } from "node:fs/promises";
import { problemOf, readControlFile, ruleFilePath } from "../kernel/control-file.ts";
import type { SourceLook, SourceToSee } from "../kernel/days.ts";
import { DaymillError, fail, fromUnknown } from "../kernel/failure.ts";
import type { ReadyRule, SourceSpec } from "../kernel/job.ts";
import { limits } from "../kernel/limits.ts";
import { type Day, isDay } from "../kernel/time.ts";
import type { FileFingerprint } from "../kernel/work.ts";
import { fileError, insideRoot, listed } from "./inputs-files.ts";
import { pathMatcher, patternParts } from "./inputs-glob.ts";

/** One look per source, in their order. `badRequest`: the day is no date. */
export async function lookAtDay(
  root: string,
  sources: readonly SourceToSee[],
  day: Day,
): Promise<readonly SourceLook[]> {
  if (!isDay(day)) throw fail("badRequest", "day: must be a calendar date YYYY-MM-DD");
  const looks: SourceLook[] = [];
  // One after the other: a look is in no hurry, and a run may be reading the same disks.
  for (const { source, rule } of sources) looks.push(await lookAt(root, source, rule, day));
  return looks;
}

async function lookAt(
  root: string,
  source: SourceSpec,
  rule: ReadyRule | undefined,
  day: Day,
): Promise<SourceLook> {
  // First what says that the files are there, then the files: one that comes in between is only seen early.
  const said = await values(() => saidOf(root, source, rule, day));
  const found = await values(async () => {
    const files = await listed(root, source.path, day, "left out");
    return { files, newestMs: newestMs(files) };
  });
  return { source: source.name, files: [], newestMs: 0, ...said, ...found };
}

/** Errors of a look are part of what was seen. */
async function values<Seen extends object>(
  look: () => Promise<Seen>,
): Promise<Seen | Pick<SourceLook, "problem">> {
  try {
    return await look();
  } catch (error) {
    if (error instanceof DaymillError) return { problem: fromUnknown(error) };
    throw error;
  }
}

async function saidOf(
  root: string,
  source: SourceSpec,
  rule: ReadyRule | undefined,
  day: Day,
): Promise<Pick<SourceLook, "announced" | "isMarked" | "problem">> {
  if (rule?.by !== "manifest" && rule?.by !== "marker") return {};
  const path = ruleFile(source, rule.value, day);
  if (rule.by === "marker") return { isMarked: (await fileAt(root, path)) !== undefined };
  const absolute = await fileAt(root, path);
  const bytes = absolute === undefined ? undefined : await contentOf(absolute, path);
  if (bytes === undefined) return {};
  const text = textOf(bytes);
  if (text === undefined) return { problem: problemOf(path, "it is no UTF-8; deliver it again") };
  const isOfSource = pathMatcher(patternParts(source.path, day));
  return readControlFile(text, { path, day, sourcePath: source.path, isOfSource });
}

/** The rule's file for the day, relative to the root. What would make every day ready, or be read as records, is refused. */
export function ruleFile(source: SourceSpec, value: string, day: Day): string {
  const pattern = ruleFilePath(source.path, value);
  const refuse = (what: string) => fail("jobInvalid", `source ${source.name}: ${pattern} ${what}`);
  if (!pattern.includes("{day}")) {
    throw refuse("would speak for every day; write its path with {day} in it");
  }
  const parts = patternParts(pattern, day);
  if (parts.some((part) => /[*?[]/.test(part))) {
    throw refuse("has a wildcard; name the one file that says that the day is there");
  }
  const path = parts.join("/");
  if (pathMatcher(patternParts(source.path, day))(path)) {
    throw refuse(`matches the source's path ${source.path}, too, and would be read as records`);
  }
  return path;
}

/** Absolute path of a regular file below the root; undefined when there is nothing. */
async function fileAt(root: string, path: string): Promise<string | undefined> {
  try {
    const absolute = await insideRoot(root, path);
    const stats = await stat(absolute);
    // Before it is opened: a pipe would never answer.
    if (!stats.isFile()) throw fail("inputMalformed", `${path}: it is no regular file`);
    return absolute;
  } catch (error) {
    return undefinedWhereGone(error, path);
  }
}

/** The bytes of a control file; what another process writes meanwhile is left for the next look. */
async function contentOf(absolute: string, path: string): Promise<Buffer | undefined> {
  try {
    const handle = await open(absolute, "r");
    try {
      return await boundedContent(handle, path);
    } finally {
      await handle.close();
    }
  } catch (error) {
    return undefinedWhereGone(error, path);
  }
}

async function boundedContent(handle: FileHandle, path: string): Promise<Buffer> {
  const { size } = await handle.stat();
  if (size > limits.controlFileBytesMax) {
    throw fail(
      "limitExceeded",
      `control file ${path}: ${size} bytes, more than ${limits.controlFileBytesMax}; name fewer files`,
      { file: path },
    );
  }
  const bytes = Buffer.alloc(size);
  let filled = 0;
  while (filled < size) {
    const { bytesRead } = await handle.read(bytes, filled, size - filled, filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

function undefinedWhereGone(error: unknown, path: string): undefined {
  const known = fileError(error, path);
  if (known.failure.code === "inputMissing") return undefined;
  throw known;
}

function textOf(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

function newestMs(files: readonly FileFingerprint[]): number {
  let newest = 0;
  for (const { mtimeNs } of files) {
    newest = Math.max(newest, Number(BigInt(mtimeNs) / 1_000_000n));
  }
  return newest;
}
