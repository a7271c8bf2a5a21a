/**
 * The calls to the file system that the store is made of, one function each: whatever a leader does on storage passes
 * here, and nowhere else. So a test can number them, stop the world at any one, or have it fail as a full disk does.
 * Paths are absolute. Errors are the system's own; store-files.ts translates them.
 */
import {
  chmod,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  statfs,
  symlink,
  unlink,
} from "node:fs/promises";
import type { StorageRoom } from "../kernel/status.ts";
import { makeDirs } from "./make-dirs.ts";

/** A new file that is being written. */
export interface NewFile {
  /** After what was written before. */
  write(text: string): Promise<void>;
  /** Its bytes are on the disk afterwards. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

export interface Entry {
  readonly name: string;
  readonly kind: "file" | "folder" | "other";
}

export interface StoreCalls {
  /** Follows links. */
  inode(path: string): Promise<bigint>;
  /** Bytes of a file. */
  size(path: string): Promise<number>;
  /** Of the file system that the path is on; what only the system's own user may use counts as used. */
  room(path: string): Promise<StorageRoom>;
  list(path: string): Promise<readonly string[]>;
  /** The same with what each is: a file, a folder, or something else. */
  entries(path: string): Promise<readonly Entry[]>;
  read(path: string): Promise<string>;
  /** For what may be longer than a text can be. */
  readBytes(path: string): Promise<Uint8Array>;
  readLink(path: string): Promise<string>;
  /** Fails when something is there. */
  create(path: string): Promise<NewFile>;
  makeDir(path: string): Promise<void>;
  /** With parents. Gives the first folder that was not there; undefined when all were. */
  makeDirs(path: string): Promise<string | undefined>;
  link(from: string, to: string): Promise<void>;
  symlink(target: string, path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  chmod(path: string, mode: number): Promise<void>;
  unlink(path: string): Promise<void>;
  /** A folder with all that is in it, or a file; nothing there is fine. */
  removeAll(path: string): Promise<void>;
  /** Names in a folder are on the disk afterwards. */
  syncDir(path: string): Promise<void>;
}

/** The real ones. */
export const systemCalls: StoreCalls = {
  inode: async (path) => (await stat(path, { bigint: true })).ino,
  size: async (path) => (await stat(path)).size,
  room: async (path) => {
    const { blocks, bavail, bsize } = await statfs(path);
    return { usedBytes: (blocks - bavail) * bsize, totalBytes: blocks * bsize };
  },
  list: (path) => readdir(path),
  entries: async (path) => {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.map((one) => ({
      name: one.name,
      kind: one.isFile() ? "file" : one.isDirectory() ? "folder" : "other",
    }));
  },
  read: (path) => readFile(path, "utf8"),
  readBytes: (path) => readFile(path),
  readLink: (path) => readlink(path),
  create: async (path) => {
    const handle = await open(path, "wx", 0o644);
    return {
      write: (text) => handle.writeFile(text),
      sync: () => handle.sync(),
      close: () => handle.close(),
    };
  },
  makeDir: (path) => mkdir(path),
  makeDirs: (path) => makeDirs(path),
  link,
  symlink: (target, path) => symlink(target, path),
  rename,
  chmod,
  unlink,
  removeAll: (path) => rm(path, { recursive: true, force: true }),
  syncDir: async (path) => {
    const handle = await open(path, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};
