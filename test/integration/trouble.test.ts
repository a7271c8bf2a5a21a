/**
 * Days through a real cluster of separate processes, with something going wrong in the middle of each; every dataset is
 * compared with plain DuckDB by test/reference. Needs ./scripts/build; DAYMILL_TEST_DIST names other compiled files.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DaymillClient } from "../../client/client.ts";
import { type LocalCluster, startLocalCluster } from "../../client/local-cluster.ts";
import { generate } from "../../scripts/generate/generate.ts";
import { readArrowRows } from "../../shared/adapters/arrow-rows.ts";
import type { JobBundle, RunStatus } from "../../shared/adapters/grpc-types.ts";
import { parseJob, readJobBundle } from "../../shared/adapters/job-file.ts";
import { projectRoot } from "../../shared/adapters/project.ts";
import { fromUnknown } from "../../shared/kernel/failure.ts";

const rows = 30_000;
const patienceMs = 240_000;
let work = "";
let bundle: JobBundle;
let cluster: LocalCluster;
let client: DaymillClient;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), "daymill-cluster-"));
  bundle = await readJobBundle(join(projectRoot(), "jobs/ipdr-daily.yaml"));
  writeFileSync(join(work, "job.json"), JSON.stringify(parseJob(bundle)));
  const dist = process.env["DAYMILL_TEST_DIST"] ?? join(projectRoot(), "dist");
  cluster = await startLocalCluster({
    work,
    executors: 2,
    slots: 1,
    memoryBytes: 256 * 1024 * 1024,
    dist,
  });
  const coordinators = cluster.coordinators.map(({ address }) => address);
  client = new DaymillClient({ coordinators, deadlineMs: 60_000 });
}, patienceMs);

afterAll(async () => {
  client.close();
  await cluster.stop();
  expect(cluster.processes()).toEqual([]);
  rmSync(work, { recursive: true, force: true });
}, patienceMs);

/** Makes the day's files: four splits, so that something is left to do when trouble comes. */
async function makeDay(day: string): Promise<void> {
  await generate({ root: cluster.storageRoot, day, rows, gateways: 4, periodMinutes: 720 });
}

/** Submits and follows a run; `trouble` comes once, while tasks are done and others are not. */
async function runDay(day: string, trouble: () => Promise<void>): Promise<RunStatus> {
  await makeDay(day);
  const { runId } = await client.submit({ bundle }, day);
  let troubled = false;
  let last: RunStatus | undefined;
  for await (const run of client.watch(runId)) {
    last = run;
    const done = run.stages.reduce((sum, stage) => sum + stage.done, 0);
    if (troubled || done === 0 || run.state !== "running") continue;
    troubled = true;
    await trouble();
  }
  expect(troubled, "the trouble came while the run was under way").toBe(true);
  if (last === undefined) throw new Error("no status was seen");
  expect(last.failure).toBeNull();
  expect(last.state).toBe("committed");
  return last;
}

/** And it is dead: a fault that did not come proves nothing. */
async function kill(pid = 0): Promise<void> {
  expect(pid).toBeGreaterThan(0);
  cluster.kill(pid, "SIGKILL");
  expect(await cluster.ended(pid, 20_000)).toBe(true);
}

/** Throws with the first difference when any dataset is not what plain DuckDB says. */
async function equalsReference(day: string): Promise<void> {
  const program = join(projectRoot(), "test/reference/reference.mjs");
  const args = ["--job", join(work, "job.json"), "--root", cluster.storageRoot, "--day", day];
  const { stdout } = await promisify(execFile)(process.execPath, [program, ...args]);
  const compared = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { dataset: string; equal: boolean });
  expect(compared.filter(({ equal }) => !equal)).toEqual([]);
  expect(compared.length).toBeGreaterThanOrEqual(10);
}

test(
  "the leader is killed: the other coordinator goes on where the run was",
  async () => {
    const run = await runDay("2026-01-15", async () => {
      const { address, stamp } = await client.leader();
      await kill(cluster.coordinators.find((entry) => entry.address === address)?.pid);
      await cluster.addCoordinator();
      expect((await client.leader()).stamp?.epoch).toBeGreaterThan(stamp?.epoch ?? 0);
    });
    expect(run.rowsIn).toBe(rows);
    expect(Object.keys(run.committedBy).sort()).toEqual(["executor-1", "executor-2"]);
    // One committed attempt a task: what was done before the kill was not done again.
    const tasks = run.stages.reduce((sum, stage) => sum + stage.tasks, 0);
    const commits = Object.values(run.committedBy).reduce((sum, count) => sum + count, 0);
    expect(commits).toBe(tasks);
    await equalsReference("2026-01-15");
  },
  patienceMs,
);

test(
  "an executor is killed: its tasks are done by the others, a new one joins the running day",
  async () => {
    let joined = "";
    const run = await runDay("2026-01-16", async () => {
      await kill(cluster.executors[0]?.pid);
      joined = (await cluster.addExecutor()).id;
    });
    expect(joined).toBe("executor-3");
    expect(run.committedBy[joined] ?? 0, "the newcomer worked for the running day").toBeGreaterThan(
      0,
    );
    expect(run.rowsIn).toBe(rows);
    await equalsReference("2026-01-16");
  },
  patienceMs,
);

test(
  "nats-server is killed and comes back: the day goes on",
  async () => {
    await runDay("2026-01-17", async () => {
      const nats = cluster.processes().find(({ name }) => name === "nats-server");
      await kill(nats?.pid);
      await cluster.restartNats();
    });
    await equalsReference("2026-01-17");
  },
  patienceMs,
);

test(
  "a day that is done: refused, or run again as the next revision with its map work kept",
  async () => {
    const again = client.submit({ bundle }, "2026-01-15");
    const refusal = await again.then(() => undefined, fromUnknown);
    expect(refusal?.code).toBe("conflict");
    expect(refusal?.message).toContain("--rerun");
    const { runId } = await client.submit({ job: "ipdr-daily" }, "2026-01-15", { rerun: true });
    const run = await client.wait(runId);
    expect([run.state, run.revision]).toEqual(["committed", 2]);
    expect(run.stages[0]?.reused).toBe(run.stages[0]?.tasks);
    await equalsReference("2026-01-15");
  },
  patienceMs,
);

test(
  "a submit that is repeated gives the same run; a cancelled run leaves nothing to see",
  async () => {
    await makeDay("2026-01-18");
    const requestId = "the-same-request";
    const first = await client.submit({ bundle }, "2026-01-18", { requestId });
    const second = await client.submit({ bundle }, "2026-01-18", { requestId });
    expect(second.runId).toBe(first.runId);
    await client.cancel(first.runId, "a test");
    expect((await client.wait(first.runId)).state).toBe("cancelled");
    const read = readArrowRows(client.read("top_apps", "2026-01-18"));
    expect((await read.then(() => undefined, fromUnknown))?.code).toBe("unknownDataset");
  },
  patienceMs,
);

test(
  "results are read in the asked order; what is not there is refused by name",
  async () => {
    const options = { orderBy: "bytes DESC", limit: 5 };
    const got = await readArrowRows(client.read("top_apps", "2026-01-17", options));
    const bytes = got.rows.map((row) => BigInt(String(row[got.columns.indexOf("bytes")])));
    expect(bytes).toHaveLength(5);
    expect([...bytes].sort((a, b) => (a < b ? 1 : -1))).toEqual(bytes);
    const unknown = await client.submit({ job: "nobody-knows" }, "2026-01-17").catch(fromUnknown);
    expect(unknown).toMatchObject({ code: "unknownJob" });
    const missing = await client.submit({ bundle }, "2031-01-01").then(
      ({ runId }) => client.wait(runId).then((run) => run.failure?.code),
      (error: unknown) => fromUnknown(error).code,
    );
    expect(missing).toBe("inputMissing");
  },
  patienceMs,
);
