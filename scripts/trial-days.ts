/**
 * Days for trials: the same lines under many names, so that one day has to be made only.
 */
import { copyFileSync, linkSync, mkdirSync, readdirSync } from "node:fs";
import path from "node:path";

export const firstDay = "2026-01-15";

/** The n-th day from the first one on. */
export function dayOf(index: number): string {
  return new Date(Date.parse(firstDay) + index * 86_400_000).toISOString().slice(0, 10);
}

/** The first day's lines under another day's name. Copies: a further link to a file would be a change of it. */
export function copyDay(root: string, day: string): void {
  eachFile(root, day, copyFileSync);
}

/** The same without taking up room; only as long as nobody has looked at any of these days yet. */
export function linkDay(root: string, day: string): void {
  eachFile(root, day, linkSync);
}

function eachFile(root: string, day: string, put: (file: string, to: string) => void): void {
  const folder = (of: string) => path.join(root, "raw/ipdr", `day=${of}`);
  const from = folder(firstDay);
  for (const entry of readdirSync(from, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const to = path.join(folder(day), path.relative(from, file));
    mkdirSync(path.dirname(to), { recursive: true });
    put(file, to);
  }
}
