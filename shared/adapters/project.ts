/**
 * Where this project lies on disk: the folder of the package.json named daymill. Works from the sources and from dist.
 * It never looks at the environment and never changes the working directory.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { fail } from "../kernel/failure.ts";

let known: string | undefined;

/** Absolute path of the project's folder, found by walking up from this file, else from the working directory. */
export function projectRoot(): string {
  known ??= walkUp(dirname(fileURLToPath(import.meta.url))) ?? walkUp(process.cwd()) ?? undefined;
  if (known === undefined) {
    throw fail(
      "internal",
      "Daymill's own folder (package.json named daymill) was not found above this program or the " +
        "working directory; run it from a complete checkout or install",
    );
  }
  return known;
}

/** Absolute path of the folder that holds the `.proto` files. */
export function protoDir(): string {
  return join(projectRoot(), "proto");
}

/** The version in package.json, e.g. `0.1.0`. */
export function projectVersion(): string {
  const parsed: unknown = JSON.parse(readFileSync(join(projectRoot(), "package.json"), "utf8"));
  const version = (parsed as { version?: unknown }).version;
  return typeof version === "string" ? version : "unknown";
}

function walkUp(start: string): string | undefined {
  for (let folder = start; ; folder = dirname(folder)) {
    if (isDaymill(join(folder, "package.json"))) return folder;
    if (dirname(folder) === folder) return undefined;
  }
}

function isDaymill(path: string): boolean {
  if (!existsSync(path)) return false;
  const parsed: unknown = JSON.parse(readFileSync(path, "utf8"));
  return (parsed as { name?: unknown }).name === "daymill";
}
