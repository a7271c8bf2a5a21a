/**
 * A small file system of its own (tmpfs) that can be filled to the last byte and emptied again.
 * Needs the right to mount; without it `unavailable`, and the scenario is skipped aloud.
 */
import { execFileSync } from "node:child_process";
import { closeSync, openSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { skip } from "./scenario.ts";

const blockBytes = 64 * 1024;

export class Mount {
  readonly #folder: string;
  readonly #ballast: string;
  readonly #atExit = () => this.undo();
  #mounted = true;

  private constructor(folder: string) {
    this.#folder = folder;
    this.#ballast = join(folder, "ballast");
    process.once("exit", this.#atExit);
  }

  static make(folder: string, bytes: number): Mount {
    try {
      const args = ["-t", "tmpfs", "-o", `size=${bytes},mode=0755`, "daymill-chaos", folder];
      execFileSync("mount", args, { stdio: ["ignore", "ignore", "pipe"] });
    } catch (error) {
      const said = String((error as { stderr?: unknown }).stderr ?? error).trim();
      throw skip(`a file system cannot be mounted here: ${said}`, error);
    }
    return new Mount(folder);
  }

  /** Writes until not one byte more fits; gives the bytes written. */
  fill(): number {
    const file = openSync(this.#ballast, "w");
    let written = 0;
    try {
      for (let size = blockBytes; size >= 1; ) {
        try {
          written += writeSync(file, Buffer.alloc(size, 1));
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
          size = Math.floor(size / 2);
        }
      }
    } finally {
      closeSync(file);
    }
    return written;
  }

  empty(): void {
    rmSync(this.#ballast, { force: true });
  }

  undo(): void {
    if (!this.#mounted) return;
    this.#mounted = false;
    process.off("exit", this.#atExit);
    // Lazily: a process that is just ending may still have a file open there.
    execFileSync("umount", ["-l", this.#folder], { stdio: "ignore" });
  }
}
