/**
 * A day of the example job through a cluster of separate processes, with something going wrong in the middle of it:
 * small enough for many tests, large enough that some scans are done and others are not when the trouble comes.
 */
import { expect } from "vitest";
import { type DaymillClient, isEnded } from "../../client/client.ts";
import { generate } from "../../scripts/generate/generate.ts";
import type { RunStatus } from "../../shared/adapters/grpc-types.ts";
import { readJobBundle } from "../../shared/adapters/job-file.ts";
import { differences, exampleJob, type TestCluster, taskCounts } from "./cluster-fixture.ts";

export interface Troubled {
  /** The last status before the trouble. */
  readonly before: RunStatus;
  /** The last status of all. */
  readonly after: RunStatus;
}

const rows = 30_000;
/** A scan for each file, on two slots: however fast the machine is, they take longer than a look at the run. */
const execution = "execution: { partitions: 32, groups: 4, split_bytes: 64KiB }";

/** Some scans are done and others are not. */
function amidScans(run: RunStatus): boolean {
  const { done, tasks } = taskCounts(run, "scan");
  return done > 0 && done < tasks;
}

/**
 * Makes a day, submits it, has `trouble` once amid its scans, and waits until the day is committed and equals
 * plain DuckDB's answer. A client that `trouble` gives is the one to follow the run with from then on.
 */
export async function troubledDay(
  cluster: TestCluster,
  day: string,
  trouble: () => Promise<DaymillClient | undefined>,
): Promise<Troubled> {
  const { client, root, work } = cluster;
  const job = exampleJob(work, "troubled", (yaml) => yaml.replace(/^execution: .*$/m, execution));
  await generate({ root, day, rows, gateways: 6, periodMinutes: 720 });
  const { runId } = await client.submit({ bundle: await readJobBundle(job) }, day);
  let before: RunStatus | undefined;
  let after: RunStatus | undefined;
  let next: DaymillClient | undefined = client;
  while (next !== undefined) {
    const following: DaymillClient = next;
    next = undefined;
    for await (const run of following.watch(runId)) {
      after = run;
      if (before !== undefined || isEnded(run.state) || !amidScans(run)) continue;
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
  expect(await differences(cluster, job, day)).toEqual([]);
  return { before, after };
}
