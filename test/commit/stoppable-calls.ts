/**
 * The store's calls, numbered from 1, each handed to `around`, which may carry it out, fail instead, or stop the world
 * before or after it.
 */
import { type NewFile, type StoreCalls, systemCalls } from "../../shared/adapters/store-calls.ts";

export interface Call {
  readonly number: number;
  readonly name: string;
  readonly path: string;
}

/** Carries `call` out by `act`, or does not. `half` does the first half of it, where there is one. */
export type Around = <T>(
  call: Call,
  act: () => Promise<T>,
  half: () => Promise<unknown>,
) => Promise<T>;

export interface NumberedCalls {
  readonly calls: StoreCalls;
  /** Calls made so far. */
  made(): number;
  /** Closes what a dead process had open, as the system would. */
  closeFiles(): Promise<void>;
}

export function numberedCalls(around: Around): NumberedCalls {
  let last = 0;
  const open = new Set<NewFile>();
  const none = async () => undefined;
  const through = <T>(name: string, path: string, act: () => Promise<T>, half = none) =>
    around({ number: ++last, name, path }, act, half);
  const watched = (file: NewFile, path: string): NewFile => {
    open.add(file);
    return {
      write: (text) =>
        through(
          "write",
          path,
          () => file.write(text),
          async () => void (await file.write(text.slice(0, text.length / 2))),
        ),
      sync: () => through("sync", path, () => file.sync()),
      close: () =>
        through("close", path, async () => {
          open.delete(file);
          await file.close();
        }),
    };
  };
  const on = systemCalls;
  const calls: StoreCalls = {
    inode: (path) => through("inode", path, () => on.inode(path)),
    size: (path) => through("size", path, () => on.size(path)),
    room: (path) => through("room", path, () => on.room(path)),
    list: (path) => through("list", path, () => on.list(path)),
    entries: (path) => through("entries", path, () => on.entries(path)),
    read: (path) => through("read", path, () => on.read(path)),
    readBytes: (path) => through("readBytes", path, () => on.readBytes(path)),
    readLink: (path) => through("readLink", path, () => on.readLink(path)),
    create: (path) => through("create", path, async () => watched(await on.create(path), path)),
    makeDir: (path) => through("makeDir", path, () => on.makeDir(path)),
    makeDirs: (path) => through("makeDirs", path, () => on.makeDirs(path)),
    link: (from, to) => through("link", to, () => on.link(from, to)),
    symlink: (target, path) => through("symlink", path, () => on.symlink(target, path)),
    rename: (from, to) => through("rename", to, () => on.rename(from, to)),
    chmod: (path, mode) => through("chmod", path, () => on.chmod(path, mode)),
    unlink: (path) => through("unlink", path, () => on.unlink(path)),
    removeAll: (path) => through("removeAll", path, () => on.removeAll(path)),
    syncDir: (path) => through("syncDir", path, () => on.syncDir(path)),
  };
  return {
    calls,
    made: () => last,
    async closeFiles() {
      for (const file of open) await file.close().catch(() => undefined);
      open.clear();
    },
  };
}

/** The process is dead: it makes no call any more, not even to clean up. */
export class Crash extends Error {}

export type Moment = "before" | "torn" | "after";

/** Dies at call `number`: before it, in the middle (a write is half done), or after it. */
export function crashAt(number: number, moment: Moment): Around {
  let isDead = false;
  return async (call, act, half) => {
    if (isDead) throw new Crash(call.name);
    if (call.number !== number) return act();
    isDead = true;
    if (moment === "torn") await half();
    if (moment === "after") await act().catch(() => undefined);
    throw new Crash(call.name);
  };
}

export interface Freezer {
  readonly around: Around;
  /** Resolves when the call is reached. */
  readonly frozen: Promise<void>;
  thaw(): void;
}

/** A process that is paused at call `number` and knows nothing of it. */
export function freezeAt(number: number, moment: Moment): Freezer {
  let reached: () => void = () => undefined;
  let thaw: () => void = () => undefined;
  const frozen = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const thawed = new Promise<void>((resolve) => {
    thaw = resolve;
  });
  const pause = () => {
    reached();
    return thawed;
  };
  return {
    around: async (call, act) => {
      if (call.number !== number) return act();
      if (moment === "before") await pause();
      try {
        return await act();
      } finally {
        if (moment === "after") await pause();
      }
    },
    frozen,
    thaw,
  };
}

/** The call fails as the system would fail it, and does nothing; the others work. */
export function failAt(number: number, errno: string): Around {
  return async (call, act) => {
    if (call.number === number) throw systemError(errno, call);
    return act();
  };
}

export function systemError(errno: string, { name, path }: Call): Error {
  return Object.assign(new Error(`${errno}: injected, ${name} '${path}'`), { code: errno });
}

const making = new Set([
  "create",
  "write",
  "sync",
  "makeDir",
  "makeDirs",
  "link",
  "symlink",
  "rename",
]);

/** From call `number` on nothing can be written, until `over`. Reading works; a full disk lets one remove, too. */
export function failFrom(number: number, errno: string): Around & { over(): void } {
  let isOver = false;
  const removing = errno === "EROFS" ? ["unlink", "removeAll", "chmod"] : [];
  const around: Around = async (call, act) => {
    const isWrite = making.has(call.name) || removing.includes(call.name);
    if (!isOver && call.number >= number && isWrite) throw systemError(errno, call);
    return act();
  };
  const over = () => {
    isOver = true;
  };
  return Object.assign(around, { over });
}
