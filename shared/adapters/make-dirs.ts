/**
 * A folder with its parents. Not Node's own: on a read-only file system `mkdir` with `recursive` says ENOENT, and a
 * storage that has to be mounted writable would look like a file that is missing (Node 20.20).
 */
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** Gives the first folder that was not there; undefined when all were. Errors are the system's own. */
export async function makeDirs(path: string, mode = 0o777): Promise<string | undefined> {
  try {
    await mkdir(path, mode);
    return path;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST" && (await stat(path)).isDirectory()) return undefined;
    if (code !== "ENOENT" || dirname(path) === path) throw error;
  }
  const first = await makeDirs(dirname(path), mode);
  const second = await makeDirs(path, mode);
  return first ?? second;
}
