/**
 * Files that come before a day's start, on a real cluster: they are mapped as they arrive, so that when the last one is
 * there only that one and the reduces remain; and the rows are those of plain DuckDB.
 */
import { cpSync, mkdirSync, readdirSync, renameSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { expect } from "vitest";
import { generate } from "../../scripts/generate/generate.ts";
import type { RunStatus } from "../../shared/adapters/grpc-types.ts";
import { readJobBundle } from "../../shared/adapters/job-file.ts";
import { differences, exampleJob, startTestCluster, type TestCluster } from "./cluster-fixture.ts";

const minuteMs = 60_000;
/** The day's run is due on a full minute: far enough away for the files to come before. */
const startMs = Math.ceil((Date.now() + 40_000) / minuteMs) * minuteMs;
const start = new Date(startMs);
const day = new Date(startMs - 1_440 * minuteMs).toISOString().slice(0, 10);
const deliverMs = 12_000;

let it: TestCluster;
let made: string;
let job: string;

async function setUp(): Promise<void> {
  it = await startTestCluster({ executors: 2, slots: 2 });
  made = join(it.work, "made");
  await generate({ root: made, day, rows: 20_000, seed: 5 });
  cpSync(join(made, "dims"), join(it.root, "dims"), { recursive: true });
  const cron = `${start.getUTCMinutes()} ${start.getUTCHours()} * * *`;
  job = exampleJob(it.work, "ahead", (yaml) =>
    yaml
      .replace(/^schedule: .*$/m, `schedule: { cron: "${cron}", timezone: UTC }`)
      .replace(
        "    rejects: { max_share: 0.001 }",
        "    rejects: { max_share: 0.5 }\n" +
          '    ready: { manifest: "raw/ipdr/day={day}/control.json" }',
      ),
  );
}

function deliver(path: string): void {
  const target = join(it.root, path);
  mkdirSync(dirname(target), { recursive: true });
  renameSync(join(made, path), target);
}

const pause = (ms: number) => new Promise((resume) => setTimeout(resume, ms));

async function newestRun(): Promise<RunStatus | undefined> {
  return (await it.client.runs("ipdr-daily", 5)).find((run) => run.day === day);
}

const mapTasks = (run: RunStatus | undefined) => {
  const scans = run?.stages.filter(({ source }) => source !== "") ?? [];
  return {
    tasks: scans.reduce((sum, { tasks }) => sum + tasks, 0),
    done: scans.reduce((sum, { done }) => sum + done, 0),
  };
};

/** Files come over time before the start of their day. */
export async function filesBeforeTheStart(): Promise<void> {
  try {
    await setUp();
    await story();
  } finally {
    await it?.stop();
  }
}

async function story(): Promise<void> {
  const folder = join("raw/ipdr", `day=${day}`);
  deliver(join(folder, "control.json"));
  const files = readdirSync(join(made, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".csv"))
    .map((entry) => relative(made, join(entry.parentPath, entry.name)))
    .sort();
  const last = files.pop() ?? "";
  await it.client.submit({ bundle: await readJobBundle(job) }, "");
  for (const file of files) {
    deliver(file);
    await pause(deliverMs / files.length);
  }
  // The start passes: what is there is mapped, and the day waits for its last file.
  const mapped = `${files.length} of ${files.length} files mapped ahead`;
  for (;;) {
    const backlog = await it.client.backlog("ipdr-daily", 3);
    const told = backlog.days.find((one) => one.day === day);
    if (Date.now() > startMs && told?.state === "missing input" && told.reason.includes(mapped)) {
      expect(told.missingTotal).toBe(1);
      break;
    }
    if (Date.now() > startMs + minuteMs) expect(told?.reason).toContain(mapped);
    expect(Date.now()).toBeLessThan(startMs + 2 * minuteMs);
    await pause(500);
  }
  const ahead = await newestRun();
  expect(ahead).toMatchObject({ lane: "ahead", revision: 1 });
  const before = mapTasks(ahead);

  deliver(last);
  const lastMs = Date.now();
  let run = await newestRun();
  while (run?.state !== "committed") {
    expect(Date.now() - lastMs).toBeLessThan(120_000);
    await pause(500);
    run = await newestRun();
  }
  const after = mapTasks(run);
  console.log(
    `${before.done} of ${after.tasks} map tasks were done when the last of ${files.length + 1} files came, ` +
      `${Date.now() - lastMs} ms to the commit`,
  );
  expect(before.done / after.tasks).toBeGreaterThanOrEqual(0.8);
  expect(after.tasks - before.done).toBe(1);
  expect(run).toMatchObject({ runId: `ipdr-daily.${day}.r1`, lane: "live" });
  expect(await differences(it, job, day)).toEqual([]);
}
