/**
 * A real file system of a few pages, mounted for one test. Only root may mount: elsewhere the tests that need it are
 * skipped, and say so.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmdirSync } from "node:fs";
import { open, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface SmallDisk {
  readonly path: string;
  /** Takes all the room there is; gives how to give it back. */
  fill(): Promise<() => Promise<void>>;
  /** Mount options, e.g. `ro` or `size=8m`. */
  remount(options: string): void;
  unmount(): void;
}

export function smallDisk(size: string): SmallDisk {
  const path = mkdtempSync(join(tmpdir(), "daymill-disk-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "daymill-test", path]);
  return {
    path,
    async fill() {
      const filler = join(path, "filler");
      const file = await open(filler, "w");
      try {
        for (;;) await file.appendFile(Buffer.alloc(4096, 1));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      } finally {
        await file.close();
      }
      return () => unlink(filler);
    },
    remount: (options) => void execFileSync("mount", ["-o", `remount,${options}`, path]),
    unmount() {
      execFileSync("umount", [path]);
      rmdirSync(path);
    },
  };
}

/** Can this process mount? When not, a line says what is not tested. */
export function canMount(what: string): boolean {
  try {
    smallDisk("64k").unmount();
    return true;
  } catch {
    console.warn(`NOT TESTED here, for want of the right to mount a small disk (root): ${what}`);
    return false;
  }
}
