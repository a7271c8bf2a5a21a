/**
 * File operations that survive a power cut and respect the fence: everything new is made inside the leader's own
 * folder, made durable there, and reaches its place by link or rename. When that folder has been taken away the
 * system says ENOENT, which becomes `storageFenced`. Errno texts become our words here and nowhere else.
 */
import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path";
import { DaymillError, type FailureCode, fail } from "../kernel/failure.ts";
import type { StoreCalls } from "./store-calls.ts";

/** Calls in flight at a time while files are measured: libuv has four threads. */
const sizesAtOnce = 16;

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
  if (error instanceof DaymillError) {
    const errno = error.failure.detail?.["errno"];
    return errno === undefined ? undefined : String(errno);
  }
  return (error as NodeJS.ErrnoException).code;
}

/** A path that is not there gives `undefined`; every other error is translated. */
async function ifThere<T>(promise: Promise<T>, doing: string, path: string) {
  try {
    return await promise;
  } catch (error) {
    if (errnoOf(error) === "ENOENT") return undefined;
    throw storageFailure(error, doing, path);
  }
}

/** The storage root and the calls that reach it: what needs no fence. Absolute paths throughout. */
export class Disk {
  readonly root: string;
  readonly calls: StoreCalls;
  /** Folders whose names are known to be on the disk, up to the root: one sync for each is enough. */
  readonly #durable = new Set<string>();

  constructor(root: string, calls: StoreCalls) {
    this.root = root;
    this.calls = calls;
  }

  async exists(path: string): Promise<boolean> {
    return (await this.inode(path)) !== undefined;
  }

  /** Of what the path leads to; undefined when nothing is there. */
  inode(path: string): Promise<bigint | undefined> {
    return ifThere(this.calls.inode(path), "look at", path);
  }

  /** Names in a folder; none when there is no such folder. */
  async list(path: string): Promise<readonly string[]> {
    return (await ifThere(this.calls.list(path), "list", path)) ?? [];
  }

  /**
   * Files in a folder and below it, by their paths from there; none when there is no such folder. Somebody may take folders
   * away meanwhile: the others have their files all the same.
   */
  async listFiles(path: string): Promise<readonly string[]> {
    const entries = (await ifThere(this.calls.entries(path), "list", path)) ?? [];
    const files: string[] = [];
    for (const { name, kind } of entries) {
      if (kind === "file") files.push(name);
      if (kind !== "folder") continue;
      const below = await this.listFiles(join(path, name));
      for (const file of below) files.push(join(name, file));
    }
    return files;
  }

  /** What all files in a folder and below it take up; 0 when there is no such folder. */
  async bytesBelow(path: string): Promise<number> {
    let sum = 0;
    const names = await this.listFiles(path);
    for (let from = 0; from < names.length; from += sizesAtOnce) {
      const some = names.slice(from, from + sizesAtOnce).map((name) => join(path, name));
      // Whoever removes a file meanwhile is welcome to.
      const sizes = some.map((one) => ifThere(this.calls.size(one), "look at", one));
      for (const size of await Promise.all(sizes)) sum += size ?? 0;
    }
    return sum;
  }

  /** The text of a file; undefined when there is none. */
  read(path: string): Promise<string | undefined> {
    return ifThere(this.calls.read(path), "read", path);
  }

  /** The bytes of a file; undefined when there is none. */
  readBytes(path: string): Promise<Uint8Array | undefined> {
    return ifThere(this.calls.readBytes(path), "read", path);
  }

  /** What the link at `path` says; undefined when nothing is there. */
  linkTarget(path: string): Promise<string | undefined> {
    return ifThere(this.calls.readLink(path), "read the link", path);
  }

  /** Makes a folder's entries durable. File systems that cannot sync a folder say EINVAL: they need none. */
  async syncDir(path: string): Promise<void> {
    try {
      await this.calls.syncDir(path);
    } catch (error) {
      if (errnoOf(error) !== "EINVAL") throw storageFailure(error, "sync the folder", path);
    }
  }

  /**
   * Makes a folder and its parents, each durable in its own parent. Those that were there may have been made by
   * somebody who died before the sync, so the first look at each syncs it as well.
   */
  async ensureDir(path: string): Promise<void> {
    try {
      const first = await this.calls.makeDirs(path);
      let isNew = first !== undefined;
      for (let made = path; made !== this.root; made = dirname(made)) {
        if (isNew || !this.#durable.has(made)) await this.syncDir(dirname(made));
        this.#durable.add(made);
        if (made === first) isNew = false;
      }
    } catch (error) {
      throw storageFailure(error, "make the folder", path);
    }
  }
}

/** The leader's own folder for things in the making. Absolute paths throughout. */
export class Fence {
  readonly #disk: Disk;
  readonly #calls: StoreCalls;
  readonly #folder: string;
  readonly #epoch: number;
  #count = 0;

  constructor(disk: Disk, folder: string, epoch: number) {
    this.#disk = disk;
    this.#calls = disk.calls;
    this.#folder = folder;
    this.#epoch = epoch;
  }

  /** Throws `storageFenced` when the folder has been taken away. */
  async check(): Promise<void> {
    if (!(await this.#disk.exists(this.#folder))) throw this.#fenced(undefined);
  }

  /** Puts a new file at `path`. `exclusive`: false comes back when something is there already. */
  async writeFile(path: string, text: string, mode: "exclusive" | "replace"): Promise<boolean> {
    return this.#write(path, [text], mode);
  }

  /** Puts a new file at `path`, or in the place of one. Each part is asked for when those before it are written. */
  async writeParts(path: string, parts: Iterable<string>): Promise<void> {
    await this.#write(path, parts, "replace");
  }

  #write(path: string, parts: Iterable<string>, mode: "exclusive" | "replace"): Promise<boolean> {
    return this.#guarded("write", path, async (temporary) => {
      await this.#writeSynced(temporary, parts);
      await this.#disk.ensureDir(dirname(path));
      let isOurs = true;
      if (mode === "replace") await this.#calls.rename(temporary, path);
      else {
        isOurs = await this.#tryLink(temporary, path);
        await this.#calls.unlink(temporary);
      }
      // Also when it is another's: who put it there may have died before this, and now it is relied on.
      await this.#disk.syncDir(dirname(path));
      return isOurs;
    });
  }

  /** Puts a symbolic link at `path`, in one step also when one is there. */
  async writeLink(path: string, target: string): Promise<void> {
    await this.#guarded("write the link", path, async (temporary) => {
      await this.#calls.symlink(target, temporary);
      await this.#disk.ensureDir(dirname(path));
      await this.#calls.rename(temporary, path);
      await this.#disk.syncDir(dirname(path));
    });
  }

  /** Builds a folder by `fill` and puts it at `path`; an older one there is replaced. */
  async writeDir(path: string, fill: (folder: string) => Promise<void>): Promise<void> {
    await this.#guarded("make", path, async (temporary) => {
      await this.#calls.makeDir(temporary);
      await fill(temporary);
      await this.#disk.syncDir(temporary);
      await this.#disk.ensureDir(dirname(path));
      try {
        await this.#calls.rename(temporary, path);
      } catch (error) {
        if (!["ENOTEMPTY", "EEXIST"].includes(errnoOf(error) ?? "")) throw error;
        const old = this.#temporary();
        await this.#calls.rename(path, old);
        await this.#calls.rename(temporary, path);
        await this.#calls.removeAll(old);
      }
      await this.#disk.syncDir(dirname(path));
    });
  }

  /** Takes a file or folder away, in one step; nothing there is fine. */
  async remove(path: string): Promise<void> {
    await this.#guarded("remove", path, async (trash) => {
      await this.check();
      if (!(await this.#disk.exists(path))) return;
      await this.#calls.rename(path, trash);
      await this.#calls.removeAll(trash);
    });
  }

  #temporary(): string {
    this.#count += 1;
    return join(this.#folder, `t${this.#count}-${randomBytes(4).toString("hex")}`);
  }

  /** ENOENT with our folder gone is the fence; ENOENT with it there is a real fault. */
  async #guarded<T>(
    doing: string,
    path: string,
    action: (temporary: string) => Promise<T>,
  ): Promise<T> {
    const temporary = this.#temporary();
    try {
      return await action(temporary);
    } catch (error) {
      if (errnoOf(error) === "ENOENT" && !(await this.#disk.exists(this.#folder))) {
        throw this.#fenced(error);
      }
      // A full disk makes a leader try for hours: what it left each time must not fill the rest.
      await this.#calls.removeAll(temporary).catch(() => undefined);
      throw storageFailure(error, doing, path);
    }
  }

  /** A file whose bytes are on the disk, or no file: after a failed sync nothing can be known about it. */
  async #writeSynced(path: string, parts: Iterable<string>): Promise<void> {
    const file = await this.#calls.create(path);
    try {
      for (const part of parts) await file.write(part);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async #tryLink(from: string, to: string): Promise<boolean> {
    try {
      await this.#calls.link(from, to);
      return true;
    } catch (error) {
      if (errnoOf(error) === "EEXIST") return false;
      throw error;
    }
  }

  #fenced(cause: unknown): DaymillError {
    const text = `epoch ${this.#epoch} no longer owns the storage: a newer leader has taken over`;
    return fail("storageFenced", text, { epoch: this.#epoch }, cause);
  }
}
