/** Tests that a page or a list names: is there a file, and in it a test of that title? */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { projectRoot } from "../../shared/adapters/project.ts";

/** "" where there is no such file. */
export function sourceOf(path: string): string {
  const file = join(projectRoot(), path);
  return existsSync(file) ? readFileSync(file, "utf8") : "";
}

/** Without a title the file is enough. */
export function isThere(path: string, title?: string): boolean {
  const text = sourceOf(path);
  return text !== "" && (title === undefined || text.includes(`"${title}"`));
}
