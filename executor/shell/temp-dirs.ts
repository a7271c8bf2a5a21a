/**
 * The folder for an executor's temporary files. Named by host, process and incarnation, so that a start can remove
 * what a killed predecessor on this host left, and nothing else.
 */
import { mkdirSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fail } from "../../shared/kernel/failure.ts";

interface Owner {
  readonly host: string;
  readonly pid: number;
  readonly incarnation: number;
}

/**
 * Makes the folder, absolute, mode 0700; removes those of dead processes of this host first. In a container every start
 * may have the same number: a folder of our own is a predecessor's.
 */
export function makeBaseDir(workDir: string, owner: Owner): string {
  const prefix = `daymill-executor-${owner.host}-`;
  try {
    mkdirSync(workDir, { recursive: true });
    for (const name of readdirSync(workDir)) {
      if (!name.startsWith(prefix)) continue;
      const pid = Number(/^(\d+)-[0-9a-f]+$/.exec(name.slice(prefix.length))?.[1] ?? Number.NaN);
      const isLeft = pid === owner.pid || (Number.isInteger(pid) && !lives(pid));
      if (isLeft) removeBaseDir(join(workDir, name));
    }
    const baseDir = join(workDir, `${prefix}${owner.pid}-${owner.incarnation.toString(16)}`);
    mkdirSync(baseDir, { mode: 0o700 });
    return baseDir;
  } catch (error) {
    const text = `the folder for temporary files ${workDir} cannot be used: ${String(error)}; choose another --work-dir`;
    throw fail("storageFailed", text, { path: workDir }, error);
  }
}

/** Removes it with all that is inside; what cannot be removed stays for the next start. */
export function removeBaseDir(baseDir: string): void {
  try {
    rmSync(baseDir, { recursive: true, force: true });
  } catch {
    // A folder of another user, or a file system that went away: not worth failing a start or an exit.
  }
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
