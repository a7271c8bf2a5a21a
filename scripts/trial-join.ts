/**
 * Trial: executors join a run at a quarter of its map work. How much of what was left did they commit, against their
 * fair share by slots? Prints one JSON line; exit 1 when a newcomer did under 80 % of its share or no reduce task.
 *
 *   node dist/scripts/trial-join.js [--rows N] [--joiners N] [--work DIR]
 */
import path from "node:path";
import { parseArgs } from "node:util";
import { DaymillClient } from "../client/client.ts";
import { wholeNumber } from "../client/command.ts";
import type { LocalCluster } from "../client/local-cluster.ts";
import type { RunStatus } from "../shared/adapters/grpc-types.ts";
import { readJobBundle } from "../shared/adapters/job-file.ts";
import { projectRoot } from "../shared/adapters/project.ts";
import { generate } from "./generate/generate.ts";
import { asProgram, onCluster } from "./trial-bed.ts";

const day = "2026-01-15";

interface Seen {
  /** Tasks committed, by executor. */
  readonly by: Readonly<Record<string, number>>;
  readonly scanTasks: number;
  readonly scansDone: number;
}

function seen(run: RunStatus): Seen {
  const scans = run.stages.filter((stage) => stage.label.startsWith("scan"));
  return {
    by: run.committedBy,
    scanTasks: scans.reduce((sum, stage) => sum + stage.tasks, 0),
    scansDone: scans.reduce((sum, stage) => sum + stage.done, 0),
  };
}

function total(by: Readonly<Record<string, number>>, ids: readonly string[]): number {
  return ids.reduce((sum, id) => sum + (by[id] ?? 0), 0);
}

async function trial(cluster: LocalCluster, rows: number, joiners: number): Promise<boolean> {
  const client = new DaymillClient({
    coordinators: cluster.coordinators.map(({ address }) => address),
  });
  try {
    await generate({ root: cluster.storageRoot, day, rows });
    const bundle = await readJobBundle(path.join(projectRoot(), "jobs/ipdr-daily.yaml"));
    const { runId } = await client.submit({ bundle }, day);
    const founders = cluster.executors.map(({ id }) => id);
    let newcomers: readonly string[] = [];
    let atJoin: Seen | undefined;
    let last: RunStatus | undefined;
    for await (const run of client.watch(runId)) {
      last = run;
      const now = seen(run);
      if (newcomers.length > 0 || now.scanTasks === 0 || now.scansDone * 4 < now.scanTasks)
        continue;
      const joined = Array.from({ length: joiners }, () => cluster.addExecutor());
      newcomers = (await Promise.all(joined)).map(({ id }) => id);
      atJoin = seen(await client.run(runId));
    }
    if (last === undefined || atJoin === undefined)
      throw new Error("the run ended before anybody joined");
    const everybody = [...founders, ...newcomers];
    const left = total(last.committedBy, everybody) - total(atJoin.by, everybody);
    const fair = left / everybody.length;
    const shares = newcomers.map((id) => (last.committedBy[id] ?? 0) / fair);
    const reduces = last.stages
      .filter((stage) => stage.label.startsWith("reduce"))
      .map((stage) => total(stage.committedBy, newcomers));
    const result = {
      state: last.state,
      rows,
      scanTasks: atJoin.scanTasks,
      scansDoneAtJoin: atJoin.scansDone,
      tasksLeft: left,
      fairShare: fair,
      committedBy: last.committedBy,
      sharesOfFair: shares,
      reducesByNewcomers: reduces.reduce((sum, count) => sum + count, 0),
    };
    process.stdout.write(`${JSON.stringify(result)}\n`);
    const fine = shares.every((share) => share >= 0.8) && result.reducesByNewcomers > 0;
    return last.state === "committed" && fine;
  } finally {
    client.close();
  }
}

async function main(): Promise<number> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ options: { rows: text, joiners: text, work: text } });
  const rows = wholeNumber("--rows", values.rows ?? "20000000", 1, 1e10);
  const joiners = wholeNumber("--joiners", values.joiners ?? "2", 1, 64);
  return await onCluster(values.work, { executors: 2, slots: 1 }, (cluster) =>
    trial(cluster, rows, joiners),
  );
}

await asProgram(import.meta.url, main);
