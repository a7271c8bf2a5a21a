/**
 * File operations that survive a power cut and respect the fence: everything new is made inside the leader's own
 * folder, made durable there, and reaches its place by link or rename. When that folder has been taken away the
 * system says ENOENT, which becomes `storageFenced`. Errno texts become our words here and nowhere else.
 */
import { randomBytes } from "node:crypto";
import { link, mkdir, open, readlink, rename, rm, stat, symlink, unlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DaymillError, type FailureCode, fail } from "../kernel/failure.ts";

const errnoCodes: Readonly<Record<string, FailureCode>> = {
  ENOSPC: "storageFull",
  EDQUOT: "storageFull",
  EROFS: "storageReadOnly",
  EACCES: "storageDenied",
  EPERM: "storageDenied",
};

const advice: Partial<Record<FailureCode, string>> = {
  storageFull: "free some space; work goes on by itself",
  storageReadOnly: "mount it writable; work goes on by itself",
  storageDenied: "give this user the right to it",
};

/** Any error of the file system as ours; `doing` says what was tried, `path` where. */
export function storageFailure(error: unknown, doing: string, path: string): DaymillError {
  if (error instanceof DaymillError) return error;
  const errno = errnoOf(error) ?? "unknown error";
  const code = errnoCodes[errno] ?? "storageFailed";
  const text = `could not ${doing} ${path}: ${errno}; ${advice[code] ?? "look at the storage"}`;
  return fail(code, text, { path, errno }, error);
}

export function errnoOf(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code } = error as NodeJS.ErrnoException;
  return code;
}

/** A path that is not there gives `undefined`; every other error is translated. */
export async function ifThere<T>(promise: Promise<T>, doing: string, path: string) {
  try {
    return await promise;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw storageFailure(error, doing, path);
  }
}

export async function exists(path: string): Promise<boolean> {
  return (await ifThere(stat(path), "look at", path)) !== undefined;
}

/** What the link at `path` says; undefined when nothing is there. */
export async function linkTarget(path: string): Promise<string | undefined> {
  return ifThere(readlink(path), "read the link", path);
}

/** Makes a folder's entries durable. File systems that cannot sync a folder say EINVAL: they need none. */
export async function syncDir(path: string): Promise<void> {
  const handle = await open(path, "r");
  try {
    await handle.sync();
  } catch (error) {
    if (errnoOf(error) !== "EINVAL") throw error;
  } finally {
    await handle.close();
  }
}

/** Makes a folder and its parents, each durable in its own parent. */
export async function ensureDir(path: string): Promise<void> {
  try {
    const first = await mkdir(path, { recursive: true });
    if (first === undefined) return;
    for (let made = path; ; made = dirname(made)) {
      await syncDir(dirname(made));
      if (made === first) return;
    }
  } catch (error) {
    throw storageFailure(error, "make the folder", path);
  }
}

/** The leader's own folder for things in the making. Absolute paths throughout. */
export class Fence {
  readonly #folder: string;
  readonly #epoch: number;
  #count = 0;

  constructor(folder: string, epoch: number) {
    this.#folder = folder;
    this.#epoch = epoch;
  }

  /** Throws `storageFenced` when the folder has been taken away. */
  async check(): Promise<void> {
    if (!(await exists(this.#folder))) throw this.#fenced(undefined);
  }

  /** Puts a new file at `path`. `exclusive`: false comes back when something is there already. */
  async writeFile(path: string, text: string, mode: "exclusive" | "replace"): Promise<boolean> {
    const temporary = this.#temporary();
    return this.#guarded("write", path, async () => {
      await writeSynced(temporary, text);
      await ensureDir(dirname(path));
      const placed =
        mode === "replace" ? await rename(temporary, path) : await tryLink(temporary, path);
      if (mode === "exclusive") await unlink(temporary);
      if (placed === false) return false;
      await syncDir(dirname(path));
      return true;
    });
  }

  /** Puts a symbolic link at `path`, in one step also when one is there. */
  async writeLink(path: string, target: string): Promise<void> {
    const temporary = this.#temporary();
    await this.#guarded("write the link", path, async () => {
      await symlink(target, temporary);
      await ensureDir(dirname(path));
      await rename(temporary, path);
      await syncDir(dirname(path));
    });
  }

  /** Builds a folder by `fill` and puts it at `path`; an older one there is replaced. */
  async writeDir(path: string, fill: (folder: string) => Promise<void>): Promise<void> {
    const temporary = this.#temporary();
    await this.#guarded("make", path, async () => {
      await mkdir(temporary);
      await fill(temporary);
      await syncDir(temporary);
      await ensureDir(dirname(path));
      await rename(temporary, path).catch(async (error: unknown) => {
        if (!["ENOTEMPTY", "EEXIST"].includes(errnoOf(error) ?? "")) throw error;
        await rename(path, this.#temporary());
        await rename(temporary, path);
      });
      await syncDir(dirname(path));
    });
  }

  /** Takes a file or folder away, in one step; nothing there is fine. */
  async remove(path: string): Promise<void> {
    const trash = this.#temporary();
    await this.#guarded("remove", path, async () => {
      await this.check();
      if (!(await exists(path))) return;
      await rename(path, trash);
      await rm(trash, { recursive: true, force: true });
    });
  }

  #temporary(): string {
    this.#count += 1;
    return join(this.#folder, `t${this.#count}-${randomBytes(4).toString("hex")}`);
  }

  /** ENOENT with our folder gone is the fence; ENOENT with it there is a real fault. */
  async #guarded<T>(doing: string, path: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      if (errnoOf(error) === "ENOENT" && !(await exists(this.#folder))) throw this.#fenced(error);
      throw storageFailure(error, doing, path);
    }
  }

  #fenced(cause: unknown): DaymillError {
    const text = `epoch ${this.#epoch} no longer owns the storage: a newer leader has taken over`;
    return fail("storageFenced", text, { epoch: this.#epoch }, cause);
  }
}

/** A file whose bytes are on the disk, or no file: after a failed sync nothing can be known about it. */
async function writeSynced(path: string, text: string): Promise<void> {
  const handle = await open(path, "wx", 0o644);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } catch (error) {
    await unlink(path).catch(() => undefined);
    throw error;
  } finally {
    await handle.close();
  }
}

async function tryLink(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (errnoOf(error) === "EEXIST") return false;
    throw error;
  }
}
