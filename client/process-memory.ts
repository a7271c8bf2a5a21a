/**
 * Peak memory of processes and their descendants, sampled from /proc. Linux only; elsewhere it knows nothing.
 * A process that has ended keeps the last peak that was seen.
 */
import { readdirSync, readFileSync } from "node:fs";

export interface ProcessPeak {
  /** Name of the root process that it descends from, and ` worker` for descendants. */
  readonly name: string;
  readonly pid: number;
  /** VmHWM: the most resident memory that the process ever had, in bytes. */
  readonly peakBytes: number;
}

/** Samples until stopped. `roots` is asked anew each time: processes come and go. */
export class MemorySampler {
  readonly #roots: () => readonly { readonly name: string; readonly pid: number }[];
  readonly #peaks = new Map<string, ProcessPeak>();
  readonly #timer: NodeJS.Timeout;
  #totalPssBytes = 0;

  constructor(
    roots: () => readonly { readonly name: string; readonly pid: number }[],
    everyMs = 500,
  ) {
    this.#roots = roots;
    this.#timer = setInterval(() => this.sample(), everyMs);
    this.#timer.unref();
  }

  /** Takes one sample now. */
  sample(): void {
    const children = childrenByParent();
    let total = 0;
    for (const root of this.#roots()) {
      const members = descendants(root.pid, children);
      for (const pid of members) {
        const peakBytes = peakOf(pid);
        if (peakBytes === undefined) continue;
        const name = pid === root.pid ? root.name : `${root.name} worker`;
        this.#peaks.set(`${name} ${pid}`, { name, pid, peakBytes });
        total += pssOf(pid);
      }
    }
    this.#totalPssBytes = Math.max(this.#totalPssBytes, total);
  }

  /** Everything seen so far, largest first. */
  peaks(): readonly ProcessPeak[] {
    return [...this.#peaks.values()].sort((a, b) => b.peakBytes - a.peakBytes);
  }

  /** The most that all of them held at one time, shared pages counted once (sum of PSS). */
  totalPssBytes(): number {
    return this.#totalPssBytes;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

function descendants(root: number, children: ReadonlyMap<number, readonly number[]>): number[] {
  const found = [root];
  for (let i = 0; i < found.length; i++) found.push(...(children.get(found[i] ?? 0) ?? []));
  return found;
}

function childrenByParent(): ReadonlyMap<number, readonly number[]> {
  const children = new Map<number, number[]>();
  for (const entry of entries("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    // The command's name may hold spaces and brackets; the parent is the second field after the last bracket.
    const fields = text(`/proc/${entry}/stat`).split(")").pop()?.trim().split(" ");
    const parent = Number(fields?.[1]);
    if (!Number.isInteger(parent)) continue;
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  return children;
}

function peakOf(pid: number): number | undefined {
  const match = /^VmHWM:\s+(\d+) kB/m.exec(text(`/proc/${pid}/status`));
  return match === null ? undefined : Number(match[1]) * 1024;
}

function pssOf(pid: number): number {
  const match = /^Pss:\s+(\d+) kB/m.exec(text(`/proc/${pid}/smaps_rollup`));
  return match === null ? 0 : Number(match[1]) * 1024;
}

function entries(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function text(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
