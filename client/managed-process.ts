/**
 * One process of a local cluster: started in a group of its own, output in files, ready when it says so.
 * It knows nothing of roles; local-cluster.ts does.
 */
import { spawn } from "node:child_process";
import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { fail } from "../shared/kernel/failure.ts";

export interface LaunchOptions {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Standard output; read for the ready line. */
  readonly outFile: string;
  /** Standard error: its log. */
  readonly logFile: string;
  /** Variables on top of our own without Daymill's. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface ManagedProcess {
  readonly name: string;
  readonly pid: number;
  /** The command line as started, for messages and the cluster's file. */
  readonly command: string;
  readonly logFile: string;
  /** Set once the process has ended. */
  exit(): { readonly code: number | null; readonly signal: string | null } | undefined;
  /**
   * Resolves with the ready line's fields. Ends or stays silent before that: `unavailable` with its last log lines;
   * `cancelled` when the signal comes first.
   */
  ready(withinMs: number, signal?: AbortSignal): Promise<Readonly<Record<string, unknown>>>;
  /** Signals the whole group. Gone already: nothing happens. */
  signal(signal: NodeJS.Signals): void;
  /** Waits for the end of every process of the group; false when some still lives after `withinMs`. */
  ended(withinMs: number): Promise<boolean>;
  /** Lets this process end while that one lives on. */
  release(): void;
}

/** Starts a process in its own group. A command that cannot be started: `unavailable`. */
export async function launch(options: LaunchOptions): Promise<ManagedProcess> {
  const out = openSync(options.outFile, "w");
  const log = openSync(options.logFile, "a");
  const logStart = fstatSync(log).size;
  const child = spawn(options.command, [...options.args], {
    detached: true,
    stdio: ["ignore", out, log],
    env: { ...environment(), ...options.env },
  });
  closeSync(out);
  closeSync(log);
  let exit: { code: number | null; signal: string | null } | undefined;
  child.on("exit", (code, signal) => {
    exit = { code, signal };
  });
  const { pid } = child;
  if (pid === undefined) {
    const cause = await new Promise<Error>((resolve) => child.once("error", resolve));
    throw fail("unavailable", `${options.name} cannot be started: ${cause.message}`, {}, cause);
  }
  return {
    name: options.name,
    pid,
    command: [options.command, ...options.args].join(" "),
    logFile: options.logFile,
    exit: () => exit,
    ready: (withinMs, signal) => waitReady({ ...options, logStart }, withinMs, () => exit, signal),
    signal: (signal) => signalGroup(pid, signal),
    ended: (withinMs) => waitUntil(() => exit !== undefined && !groupLives(pid), withinMs),
    release: () => child.unref(),
  };
}

/** Variables of Daymill would reach through to the children; they are told everything by flags. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("DAYMILL_"));
  return Object.fromEntries(kept);
}

type Exit = { readonly code: number | null; readonly signal: string | null } | undefined;

async function waitReady(
  options: LaunchOptions & { readonly logStart: number },
  withinMs: number,
  exit: () => Exit,
  signal: AbortSignal | undefined,
) {
  let line: Readonly<Record<string, unknown>> | undefined;
  const over = () => {
    line = readyLine(options.outFile);
    return line !== undefined || exit() !== undefined || signal?.aborted === true;
  };
  await waitUntil(over, withinMs);
  if (line !== undefined) return line;
  if (signal?.aborted) throw fail("cancelled", `interrupted while ${options.name} was starting`);
  const ended = exit();
  const how =
    ended === undefined
      ? `did not become ready within ${withinMs} ms`
      : `ended with ${ended.signal ?? `code ${ended.code}`} before it was ready`;
  const log = lastWords(options.logFile, options.logStart);
  throw fail("unavailable", `${options.name} ${how}; see ${options.logFile}\n${log}`, {
    log: options.logFile,
  });
}

function readyLine(outFile: string): Readonly<Record<string, unknown>> | undefined {
  for (const line of readFileSync(outFile, "utf8").split("\n")) {
    if (!line.startsWith('{"ready":true')) continue;
    try {
      return JSON.parse(line) as Readonly<Record<string, unknown>>;
    } catch {
      // Half written: it is read again in a moment.
    }
  }
  return undefined;
}

/** Its own errors where it has told any, else the last lines; never those of an earlier process in the same file. */
function lastWords(file: string, fromByte: number): string {
  const lines = readFileSync(file).subarray(fromByte).toString("utf8").trimEnd().split("\n");
  const first = lines.findIndex((line) => line.startsWith("error: "));
  return (first < 0 ? lines.slice(-5) : lines.slice(first).slice(0, 8)).join("\n");
}

/** Asks every 25 ms; false when the time is over first. */
export async function waitUntil(done: () => boolean, withinMs: number): Promise<boolean> {
  const until = performance.now() + withinMs;
  while (!done()) {
    if (performance.now() >= until) return false;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return true;
}

/** Sends a signal to every process of a group; a group that has gone is no error. */
export function signalGroup(group: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-group, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Is there any process left in the group? */
export function groupLives(group: number): boolean {
  try {
    process.kill(-group, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
