/**
 * Looks at what lies in the folders of a day before anybody runs it: nothing there, empty files and a control file that
 * is not there yet are what was seen, not errors. It opens no file but control files.
 */
import { ruleFilePath } from "../kernel/control-file.ts";
import type { SourceLook, SourceToSee } from "../kernel/days.ts";
import { DaymillError, fail, fromUnknown } from "../kernel/failure.ts";
import type { ReadyRule, SourceSpec } from "../kernel/job.ts";
import { type Day, isDay } from "../kernel/time.ts";
import type { FileFingerprint } from "../kernel/work.ts";
import { type ControlMemory, fileAt, readControl } from "./inputs-control.ts";
import { listed } from "./inputs-files.ts";
import { pathMatcher, patternParts } from "./inputs-glob.ts";

/** One look per source, in their order. `badRequest`: the day is no date. */
export async function lookAtDay(
  root: string,
  sources: readonly SourceToSee[],
  day: Day,
  memory: ControlMemory,
): Promise<readonly SourceLook[]> {
  if (!isDay(day)) throw fail("badRequest", "day: must be a calendar date YYYY-MM-DD");
  const looks: SourceLook[] = [];
  // One after the other: a look is in no hurry, and a run may be reading the same disks.
  for (const { source, rule } of sources) {
    looks.push(await lookAt(root, source, rule, day, memory));
  }
  return looks;
}

async function lookAt(
  root: string,
  source: SourceSpec,
  rule: ReadyRule | undefined,
  day: Day,
  memory: ControlMemory,
): Promise<SourceLook> {
  // First what says that the files are there, then the files: one that comes in between is only seen early.
  const said = await values(() => saidOf(root, source, rule, day, memory));
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
  memory: ControlMemory,
): Promise<Pick<SourceLook, "announced" | "isMarked" | "problem">> {
  if (rule?.by !== "manifest" && rule?.by !== "marker") return {};
  const path = ruleFile(source, rule.value, day);
  if (rule.by === "marker") return { isMarked: (await fileAt(root, path)) !== undefined };
  return readControl(root, source, path, day, memory);
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

function newestMs(files: readonly FileFingerprint[]): number {
  let newest = 0;
  for (const { mtimeNs } of files) {
    newest = Math.max(newest, Number(BigInt(mtimeNs) / 1_000_000n));
  }
  return newest;
}
