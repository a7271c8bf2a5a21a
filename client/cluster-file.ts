/**
 * `cluster.json` in a cluster's work folder: what runs, so that a later command can use or stop it.
 * A process is only stopped when it still is the one that was started.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fail } from "../shared/kernel/failure.ts";
import { limits } from "../shared/kernel/limits.ts";
import type { LocalCluster } from "./local-cluster.ts";
import { groupLives, signalGroup, waitUntil } from "./managed-process.ts";

export interface ClusterFile {
  readonly natsUrl: string;
  readonly storageRoot: string;
  readonly coordinators: readonly string[];
  /** Where metrics are scraped; absent: nowhere. */
  readonly metrics?: readonly string[];
  /** In the order of start: nats-server first. */
  readonly processes: readonly {
    readonly name: string;
    readonly pid: number;
    readonly command: string;
  }[];
}

function clusterFilePath(work: string): string {
  return join(work, "cluster.json");
}

/** Writes down a running cluster; gives what was written. */
export function writeClusterFile(work: string, cluster: LocalCluster): ClusterFile {
  const metrics = cluster.coordinators.flatMap(({ metrics: place }) => place ?? []);
  const file: ClusterFile = {
    natsUrl: cluster.natsUrl,
    storageRoot: cluster.storageRoot,
    coordinators: cluster.coordinators.map((coordinator) => coordinator.address),
    ...(metrics.length === 0 ? {} : { metrics }),
    processes: cluster.processes(),
  };
  writeFileSync(clusterFilePath(work), `${JSON.stringify(file, undefined, 2)}\n`);
  return file;
}

/** The cluster of a work folder; undefined when none was left there. */
export function readClusterFile(work: string): ClusterFile | undefined {
  const path = clusterFilePath(work);
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ClusterFile;
  } catch (error) {
    throw fail(
      "badRequest",
      `${path} is damaged: stop its processes by hand and delete it`,
      {},
      error,
    );
  }
}

/** Those of the file's processes that still run. */
export function liveProcesses(file: ClusterFile): ClusterFile["processes"] {
  return file.processes.filter(({ pid, command }) => commandOf(pid) === command);
}

/** Stops a cluster left running: executors, coordinators, nats-server. Gives how many processes were stopped. */
export async function stopClusterOf(work: string): Promise<number> {
  const file = readClusterFile(work);
  if (file === undefined) return 0;
  const live = liveProcesses(file);
  for (const role of ["executor", "coordinator", "nats-server"]) {
    await Promise.all(
      live.filter(({ name }) => name.startsWith(role)).map(({ pid }) => stopGroup(pid)),
    );
  }
  rmSync(clusterFilePath(work), { force: true });
  return live.length;
}

async function stopGroup(pid: number): Promise<void> {
  const gone = () => !groupLives(pid);
  signalGroup(pid, "SIGTERM");
  signalGroup(pid, "SIGCONT");
  if (await waitUntil(gone, limits.shutdownGraceMs)) return;
  signalGroup(pid, "SIGKILL");
  await waitUntil(gone, limits.shutdownGraceMs);
}

/** The command line of a process as started; undefined when it is not there. */
function commandOf(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replace(/\0$/, "").split("\0").join(" ");
  } catch {
    return undefined;
  }
}
