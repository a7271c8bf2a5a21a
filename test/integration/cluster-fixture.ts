/**
 * A real cluster for a test: separate processes, real nats-server, real files, and the second opinion of plain DuckDB.
 * Everything lives in one temporary folder that goes away with the test.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DaymillClient } from "../../client/client.ts";
import {
  type LocalCluster,
  type LocalClusterOptions,
  startLocalCluster,
} from "../../client/local-cluster.ts";
import type { RunStatus } from "../../shared/adapters/grpc-types.ts";
import { parseJob, readJobBundle } from "../../shared/adapters/job-file.ts";
import { projectRoot } from "../../shared/adapters/project.ts";
import { compareDay } from "../reference/reference.mjs";

export interface TestCluster {
  readonly work: string;
  readonly root: string;
  readonly cluster: LocalCluster;
  readonly client: DaymillClient;
  stop(): Promise<void>;
}

/** Starts a cluster in a new folder. */
export async function startTestCluster(options: {
  readonly executors: number;
  readonly slots: number;
  readonly coordinators?: number;
  readonly memoryBytes?: number;
  readonly metricsPort?: number;
  readonly env?: NonNullable<LocalClusterOptions["env"]>;
}): Promise<TestCluster> {
  const work = mkdtempSync(join(tmpdir(), "daymill-cluster-"));
  const cluster = await startLocalCluster({ work, logLevel: "info", ...options });
  const client = new DaymillClient({
    coordinators: cluster.coordinators.map((coordinator) => coordinator.address),
    deadlineMs: 60_000,
  });
  return {
    work,
    root: cluster.storageRoot,
    cluster,
    client,
    stop: async () => {
      client.close();
      await cluster.stop();
      rmSync(work, { recursive: true, force: true });
    },
  };
}

/** The example job with some of its text changed, as files of its own; gives the YAML's path. */
export function exampleJob(work: string, name: string, change: (yaml: string) => string): string {
  const folder = join(work, name);
  cpSync(join(projectRoot(), "jobs"), folder, { recursive: true });
  const path = join(folder, "ipdr-daily.yaml");
  const yaml = readFileSync(path, "utf8");
  const changed = change(yaml);
  if (changed === yaml) throw new Error(`${name}: what it wants to change is not in ${path}`);
  writeFileSync(path, changed);
  return path;
}

/** Submits a job file's day and waits for the run's end. */
export async function runDay(
  { client }: TestCluster,
  path: string,
  day: string,
  options: { readonly rerun?: boolean } = {},
): Promise<RunStatus> {
  const bundle = await readJobBundle(path);
  const { runId } = await client.submit({ bundle }, day, options);
  return client.wait(runId);
}

/** What differs between the committed day and plain DuckDB's answer: nothing, when all is well. */
export async function differences(
  { root }: TestCluster,
  path: string,
  day: string,
): Promise<readonly unknown[]> {
  const job = parseJob(await readJobBundle(path));
  const results = await compareDay({ job, root, day, threads: 2 });
  if (results.length === 0) return ["nothing was compared"];
  return results.filter((result) => !result.equal);
}

/** Tasks, done and reused ones, over the stages whose label starts with `prefix`. */
export function taskCounts(run: RunStatus, prefix: string) {
  const stages = run.stages.filter((stage) => stage.label.startsWith(prefix));
  const sum = (of: (stage: (typeof stages)[number]) => number) =>
    stages.reduce((total, stage) => total + of(stage), 0);
  return {
    tasks: sum((stage) => stage.tasks),
    done: sum((stage) => stage.done),
    reused: sum((stage) => stage.reused),
    failedAttempts: sum((stage) => stage.failedAttempts),
  };
}
