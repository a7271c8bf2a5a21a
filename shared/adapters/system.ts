/**
 * The real clock, signals and chance of one process. Everything that decides gets these as values in messages.
 */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { setFlagsFromString } from "node:v8";
import { limits } from "../kernel/limits.ts";
import type { ProcessFigures } from "../kernel/metric.ts";
import type { Clock } from "../ports.ts";

/** Monotonic time since the process began, and wall time. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
};

/** A random number below 2^48: safe as a JavaScript number, never the same for two starts in practice. */
export function randomIncarnation(): number {
  return randomBytes(6).readUIntBE(0, 6);
}

/** `host-pid`: a name for a process that was not given one. Only what file and subject names allow. */
export function defaultProcessName(): string {
  const host = hostname()
    .split(".")[0]
    ?.toLowerCase()
    .replace(/[^a-z0-9-]/g, "-");
  return `${host === undefined || host === "" ? "host" : host}-${process.pid}`;
}

/** What this process has used so far, as of now. */
export function processFigures(): Omit<ProcessFigures, "version"> {
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  return {
    startedMs: performance.timeOrigin,
    cpuMs: (user + system) / 1_000,
    busyMs: performance.eventLoopUtilization().active,
    residentBytes: rss,
    heapUsedBytes: heapUsed,
  };
}

export type StopSignal = "SIGTERM" | "SIGINT";

/** Calls back on every SIGTERM and SIGINT with how many came so far; gives how to stop listening. */
export function onStopSignal(heard: (signal: StopSignal, count: number) => void): () => void {
  let count = 0;
  const listen = (signal: NodeJS.Signals) => {
    count += 1;
    heard(signal === "SIGINT" ? "SIGINT" : "SIGTERM", count);
  };
  process.on("SIGTERM", listen);
  process.on("SIGINT", listen);
  return () => {
    process.off("SIGTERM", listen);
    process.off("SIGINT", listen);
  };
}

/**
 * From now on the heap grows by a share of what is in use before it is collected, where Node by itself lets it grow to
 * two or four times that. No cap: a process that needs more gets it.
 */
export function boundHeapGrowth(): void {
  setFlagsFromString(`--heap-growing-percent=${limits.heapGrowthPercentMax}`);
}

/** Writes one line of JSON to standard output: what a launcher waits for. */
export function printReady(fields: Readonly<Record<string, string | number | boolean>>): void {
  process.stdout.write(`${JSON.stringify({ ready: true, ...fields })}\n`);
}

/** Ends the process; `code` 0 = as asked, 69 = something it needs is not there, 70 = a defect. */
export function exitProcess(code: number): never {
  process.exit(code);
}
