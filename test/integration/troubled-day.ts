/**
 * A day of the example job through a cluster of separate processes, with something going wrong in the middle of it:
 * small enough for many tests, large enough that some scans are done and others are not when the trouble comes.
 */
import { join } from "node:path";
import { expect } from "vitest";
import { type DaymillClient, isEnded } from "../../client/client.ts";
import { generate } from "../../scripts/generate/generate.ts";
import type { RunStatus } from "../../shared/adapters/grpc-types.ts";
import { readJobBundle } from "../../shared/adapters/job-file.ts";
import { projectRoot } from "../../shared/adapters/project.ts";
import { differences, type TestCluster, taskCounts } from "./cluster-fixture.ts";

export const exampleJobPath = join(projectRoot(), "jobs/ipdr-daily.yaml");

export interface Troubled {
  /** The last status before the trouble. */
  readonly before: RunStatus;
  /** The last status of all. */
  readonly after: RunStatus;
}

/** Scans are done and others are not. */
export function amidScans(run: RunStatus): boolean {
  const { done, tasks } = taskCounts(run, "scan");
  return done > 0 && done < tasks;
}

/**
 * Makes a day, submits it, has `trouble` once when `isTime` says so, and waits until the day is committed and equals
 * plain DuckDB's answer. A client that `trouble` gives is the one to follow the run with from then on.
 */
export async function troubledDay(
  cluster: TestCluster,
  day: string,
  trouble: () => Promise<DaymillClient | undefined>,
  options: {
    readonly isTime?: (run: RunStatus) => boolean;
    readonly rows?: number;
    readonly gateways?: number;
  } = {},
): Promise<Troubled> {
  const { client, root } = cluster;
  const { isTime = amidScans, rows = 30_000, gateways = 4 } = options;
  await generate({ root, day, rows, gateways, periodMinutes: 720 });
  const { runId } = await client.submit({ bundle: await readJobBundle(exampleJobPath) }, day);
  let before: RunStatus | undefined;
  let after: RunStatus | undefined;
  let next: DaymillClient | undefined = client;
  while (next !== undefined) {
    const following: DaymillClient = next;
    next = undefined;
    for await (const run of following.watch(runId)) {
      after = run;
      if (before !== undefined || isEnded(run.state) || !isTime(run)) continue;
      before = run;
      next = await trouble();
      if (next !== undefined) break;
    }
  }
  if (before === undefined || after === undefined) {
    throw new Error(`the trouble did not come in time: ${JSON.stringify(after?.stages)}`);
  }
  expect(after.failure).toBeNull();
  expect(after.state).toBe("committed");
  expect(after.rowsIn).toBe(rows);
  expect(await differences(cluster, exampleJobPath, day)).toEqual([]);
  return { before, after };
}
