/**
 * What a worker does to its own process: a low priority, a look at its memory, a sudden end.
 * It knows nothing of attempts.
 */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { constants, getPriority, setPriority } from "node:os";

/**
 * Sets the priority of all threads (10 is below that of other programs, 19 the lowest): an engine must not starve lease
 * renewal and heartbeats. On Linux the priority is each thread's own and is inherited by those it makes: setting it from
 * outside right after the fork misses some threads in one start of ten. Without a right it can only be lowered.
 */
export function setThreadPriorities(nice: number): void {
  const threads = process.platform === "linux" ? readdirSync("/proc/self/task") : ["0"];
  for (const thread of threads) {
    try {
      setPriority(Number(thread), nice);
    } catch {
      // The thread has ended meanwhile.
    }
  }
}

/** Tries whether this process may raise its priority; the thread that tries may be one step lower afterwards. */
export function canRaisePriority(): boolean {
  const before = getPriority();
  try {
    setPriority(Math.min(before + 1, constants.priority.PRIORITY_LOW));
    setPriority(before);
    return true;
  } catch {
    return false;
  }
}

/** Highest resident memory of this process in bytes: VmHWM; where there is no /proc, what the system told Node. */
export function peakMemoryBytes(): number {
  try {
    const found = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"));
    if (found !== null) return Number(found[1]) * 1024;
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS * 1024;
}

/** Ends at once, its folder removed. A clean exit would wait for the engine's threads to finish their query. */
export function killSelf(tempDir: string | undefined): void {
  try {
    if (tempDir !== undefined) rmSync(tempDir, { recursive: true, force: true });
  } finally {
    process.kill(process.pid, "SIGKILL");
  }
}
