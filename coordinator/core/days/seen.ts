/**
 * What looks tell when they are put in a row: since when files are as they are. Clocks of file systems can't be trusted
 * alone (copies keep old times, servers have other clocks), so a file has also been seen.
 */
import type { SourceLook } from "../../../shared/kernel/days.ts";
import { filesDifference, isSameSet } from "../../../shared/kernel/input-files.ts";
import { clockMs } from "../../../shared/kernel/late.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { type FileFingerprint, sameFile } from "../../../shared/kernel/work.ts";

/** The newest look at a source's day and what the looks before it say of it. Plain data; times are epoch milliseconds. */
export interface SeenSource {
  readonly look: SourceLook;
  readonly atMs: number;
  /** When these files were seen exactly so for the first time. */
  readonly sinceMs: number;
  /** An earlier look showed other files: something came, changed or went at `sinceMs` or shortly before it. */
  readonly hasChanged: boolean;
  /** Files that an earlier look showed, and since when at the latest. Absent after the first look. */
  readonly before?: { readonly files: readonly FileFingerprint[]; readonly sinceMs: number };
}

/** Puts a new look behind those before it. */
export function seeSource(
  seen: SeenSource | undefined,
  look: SourceLook,
  atMs: number,
): SeenSource {
  if (seen === undefined || isBlind(seen.look)) {
    return { look, atMs, sinceMs: atMs, hasChanged: false };
  }
  // A folder that could not be listed has not lost its files.
  if (isBlind(look)) {
    const { files, newestMs } = seen.look;
    return { ...seen, look: { ...look, files, newestMs }, atMs };
  }
  const before = { files: seen.look.files, sinceMs: seen.sinceMs };
  if (isSameSet(filesDifference(seen.look.files, look.files))) {
    // The list that is known stays: what was made of it, such as its digest, is found again.
    return { ...seen, look: { ...look, files: seen.look.files }, atMs, before };
  }
  return { look, atMs, sinceMs: atMs, hasChanged: true, before };
}

function isBlind({ problem, files }: SourceLook): boolean {
  return problem !== undefined && files.length === 0;
}

/** Since when nothing came, changed or went. 0 = there is no file and never was. */
export function quietSinceMs(seen: SeenSource): number {
  if (seen.hasChanged) return seen.sinceMs;
  let newest = 0;
  for (const file of seen.look.files) newest = Math.max(newest, clockMs(file));
  // A time after the first look that showed the file so is the wrong time of somebody's clock.
  return Math.min(newest, seen.sinceMs);
}

/** When each file of the look is taken for whole at the earliest; absent in it: only another look can tell. */
export function settlesAtMs(seen: SeenSource): ReadonlyMap<string, number> {
  const { before } = seen;
  if (before === undefined) return new Map();
  const was = new Map(before.files.map((file) => [file.path, file]));
  const times = new Map<string, number>();
  for (const file of seen.look.files) {
    const former = was.get(file.path);
    if (former === undefined || !sameFile(former, file)) continue;
    times.set(file.path, Math.min(clockMs(file), before.sinceMs) + limits.fileSettledMs);
  }
  return times;
}
