/**
 * Processes as the system shows them: which are stopped, whose children they are, which still have to do with a
 * folder. Linux only (/proc), like the trials.
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** One letter: R, S, D, T (stopped), Z …; undefined when there is no such process. */
export function stateOf(pid: number): string | undefined {
  return stat(pid)?.[0];
}

export function isStopped(pid: number): boolean {
  return stateOf(pid) === "T";
}

/** Live worker processes of an executor: its children. */
export function childrenOf(parent: number): readonly number[] {
  return pids().filter((pid) => stat(pid)?.[1] === String(parent) && stateOf(pid) !== "Z");
}

/** Has the process this file open? */
export function hasOpen(pid: number, path: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => link(`/proc/${pid}/fd/${fd}`) === path);
  } catch {
    return false;
  }
}

/** Processes other than this one that were started with the folder on their command line, or work in it. */
export function processesIn(folder: string): readonly { pid: number; command: string }[] {
  return pids().flatMap((pid) => {
    if (pid === process.pid || stateOf(pid) === "Z") return [];
    const command = text(`/proc/${pid}/cmdline`)?.replaceAll("\0", " ").trim() ?? "";
    const isThere = command.includes(folder) || link(`/proc/${pid}/cwd`).startsWith(folder);
    return isThere ? [{ pid, command }] : [];
  });
}

/** State and parent, from behind the name in brackets, which may hold anything. */
function stat(pid: number): readonly string[] | undefined {
  const line = text(`/proc/${pid}/stat`);
  return line?.slice(line.lastIndexOf(")") + 2).split(" ");
}

function link(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

function text(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // It ended between the list and the look.
    return undefined;
  }
}

function pids(): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number);
}
