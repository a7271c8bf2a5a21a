/**
 * File patterns of sources: `*`, `?` and `[abc]` inside one path part, nothing more. It lists folders, never opens
 * files. A pattern is relative to the storage root and can't name anything above it.
 */
import type { Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { fail } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";

/** Fills `{day}` in. Absolute paths, `..`, `.` and NUL are `pathForbidden`; `**` is `jobInvalid`. */
export function patternParts(pattern: string, day: string): readonly string[] {
  const filled = pattern.replaceAll("{day}", day);
  if (filled.includes("\0")) throw fail("pathForbidden", "path: a NUL character is not allowed");
  if (filled.startsWith("/") || /^[A-Za-z]:/.test(filled) || filled.includes("\\")) {
    throw fail("pathForbidden", `path ${filled}: must be relative to the storage root`);
  }
  const parts = filled.split("/").filter((part) => part !== "");
  if (parts.some((part) => part === ".." || part === ".")) {
    throw fail("pathForbidden", `path ${filled}: "." and ".." are not allowed`);
  }
  if (parts.some((part) => part.includes("**"))) {
    throw fail("jobInvalid", `path ${filled}: "**" is not supported; name each folder level`);
  }
  if (parts.length === 0) throw fail("jobInvalid", "path: empty");
  return parts;
}

/** Relative paths of everything that the parts match below `root`, in path order. */
export async function expand(root: string, parts: readonly string[]): Promise<readonly string[]> {
  let found: string[] = [""];
  for (const [index, part] of parts.entries()) {
    const next: string[] = [];
    for (const folder of found) {
      next.push(...(await matches(root, folder, part, index === parts.length - 1)));
      if (next.length > limits.filesPerDayMax) {
        throw fail(
          "limitExceeded",
          `path ${parts.join("/")}: more than ${limits.filesPerDayMax} files; merge files`,
        );
      }
    }
    found = next;
  }
  return found.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
}

/** Would a pattern's parts name this path, if there were such a file? */
export function pathMatcher(parts: readonly string[]): (path: string) => boolean {
  const wanted = parts.map(partPattern);
  return (path) => {
    const names = path.split("/");
    return (
      names.length === wanted.length && wanted.every((part, index) => part.test(names[index] ?? ""))
    );
  };
}

async function matches(
  root: string,
  folder: string,
  part: string,
  last: boolean,
): Promise<string[]> {
  const below = (name: string): string => (folder === "" ? name : `${folder}/${name}`);
  if (!/[*?[]/.test(part) && !last) return [below(part)];
  const wanted = partPattern(part);
  return (await entries(join(root, folder), below("")))
    .filter((entry) => wanted.test(entry.name) && (last || !entry.isFile()))
    .map((entry) => below(entry.name));
}

async function entries(path: string, shown: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (code === "ENOENT" || code === "ENOTDIR") return [];
    if (code === "EACCES" || code === "EPERM") {
      throw fail("storageDenied", `folder ${shown}: permission denied; check owner and mode`, {
        errno: code,
      });
    }
    throw fail(
      "storageFailed",
      `folder ${shown}: cannot be listed (${code}); see the system's log`,
      { errno: code },
    );
  }
}

/** A wildcard does not match a leading dot, as in a shell. */
function partPattern(part: string): RegExp {
  let source = /^[*?[]/.test(part) ? "^(?!\\.)" : "^";
  for (let i = 0; i < part.length; i++) {
    const char = part.charAt(i);
    const close = char === "[" ? part.indexOf("]", i + 2) : -1;
    if (char === "*") source += ".*";
    else if (char === "?") source += ".";
    else if (close > 0) {
      const body = part.slice(i + 1, close).replace(/[\\\]^]/g, "\\$&");
      source += body.startsWith("!") ? `[^${body.slice(1)}]` : `[${body}]`;
      i = close;
    } else source += char.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  }
  try {
    return new RegExp(`${source}$`, "u");
  } catch (error) {
    const text = `path part ${part}: its brackets hold no possible set; write [abc] or [a-z]`;
    throw fail("jobInvalid", text, undefined, error);
  }
}
