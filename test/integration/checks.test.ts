/**
 * Checks on a real cluster: a day that fails one keeps its old revision, a doubted one waits in quarantine until it is
 * released, and what was found is told in status, manifest and events.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { generate } from "../../scripts/generate/generate.ts";
import { readJobBundle } from "../../shared/adapters/job-file.ts";
import { connectNats } from "../../shared/adapters/nats.ts";
import { followEvents } from "../../shared/adapters/nats-follow.ts";
import { fromUnknown } from "../../shared/kernel/failure.ts";
import type { RunManifest } from "../../shared/kernel/manifest.ts";
import { quietLog } from "../fakes/quiet-log.ts";
import {
  differences,
  exampleJob,
  runDay,
  startTestCluster,
  type TestCluster,
} from "./cluster-fixture.ts";

const day = "2026-01-15";
const heard: { readonly type: string; readonly data: Record<string, unknown> }[] = [];
const listening = new AbortController();
let it: TestCluster;

beforeAll(async () => {
  it = await startTestCluster({ executors: 1, slots: 2 });
  await generate({ root: it.root, day, rows: 5_000, seed: 11 });
  void listen();
}, 120_000);

afterAll(async () => {
  listening.abort();
  await it?.stop();
}, 60_000);

async function listen(): Promise<void> {
  const link = await connectNats({ servers: [it.cluster.natsUrl], name: "test", log: quietLog() });
  try {
    for await (const { text } of followEvents(link, {}, listening.signal)) {
      heard.push(JSON.parse(text) as (typeof heard)[number]);
    }
  } finally {
    await link.close();
  }
}

/** The example job with further checks. */
function jobWith(name: string, ...checks: readonly string[]): string {
  const lines = checks.map((check) => `  - ${check}\n`).join("");
  return exampleJob(it.work, name, (yaml) => yaml.replace("checks:\n", `checks:\n${lines}`));
}

const shownFiles = (dataset: string) =>
  readdirSync(join(it.root, "out", dataset, `day=${day}`)).sort();

const manifestOf = (revision: number) =>
  JSON.parse(
    readFileSync(join(it.root, "manifests/ipdr-daily", day, `r${revision}.json`), "utf8"),
  ) as RunManifest;

async function bytesOf(dataset: string, revision: number): Promise<number> {
  let bytes = 0;
  for await (const piece of it.client.read(dataset, day, { revision })) bytes += piece.length;
  return bytes;
}

test("every kind runs on a whole day; what can't be compared yet is skipped and said", async () => {
  const job = jobWith(
    "all-kinds",
    "{ model: usage_hourly, rows: { at_least: 1 } }",
    "{ source: ipdr, volume: { of: bytes } }",
    "{ model: subscriber_daily, nulls: { column: msisdn } }",
    "{ model: subscriber_daily, unique: [msisdn] }",
  );
  const run = await runDay(it, job, day);
  expect(run.failure).toBeFalsy();
  expect(run.state).toBe("committed");
  const told = run.checks.map(({ kind, model, state }) => `${kind} ${model} ${state}`);
  expect(told.slice(0, 4)).toEqual([
    "rows usage_hourly skipped",
    "volume ipdr skipped",
    "nulls subscriber_daily passed",
    "unique subscriber_daily passed",
  ]);
  expect(run.checks[1]?.reason).toMatch(
    /^brought [\d,]+ bytes, not compared: no earlier Thursdays are known, at least 7 are needed$/,
  );
  const bytes = manifestOf(1).sources[0]?.bytes ?? 0;
  expect(Number(run.checks[1]?.value)).toBe(bytes);
  expect(bytes).toBeGreaterThan(5_000 * 100);
  expect(await differences(it, job, day)).toEqual([]);
}, 180_000);

test("a blocking check that fails leaves the old day to its readers", async () => {
  const before = shownFiles("subscriber_daily");
  const job = jobWith(
    "blocked",
    "{ name: odd-key, model: subscriber_daily, unique: [active_hours] }",
    "{ name: apps, model: app_daily, nulls: { column: app_id }, severity: warn }",
  );
  const run = await runDay(it, job, day, { rerun: true });
  expect(run).toMatchObject({
    state: "failed",
    revision: 2,
    failure: {
      code: "checkFailed",
      message: expect.stringMatching(
        /^check odd-key on subscriber_daily has [\d,]+ rows whose active_hours another row has already, expected none$/,
      ),
    },
  });
  expect(manifestOf(2)).toMatchObject({
    state: "aborted",
    checks: [{ state: "failed" }, {}, {}, {}, {}],
  });
  expect(shownFiles("subscriber_daily")).toEqual(before);
  expect(before.every((name) => name.startsWith("r1-"))).toBe(true);
  expect(await bytesOf("subscriber_daily", 0)).toBeGreaterThan(0);
  expect(await differences(it, job, day)).toEqual([]);
}, 180_000);

test("a doubted day waits in quarantine, can be looked at, and is shown when it is released", async () => {
  const stagedBy = () => readdirSync(join(it.root, "staging"));
  expect(stagedBy()).toEqual([`ipdr-daily.${day}.r2`]);
  const job = jobWith(
    "doubted",
    "{ name: enough, model: usage_hourly, rows: { at_least: 1000000 }, severity: quarantine }",
  );
  const run = await runDay(it, job, day, { rerun: true });
  expect(run).toMatchObject({ state: "quarantined", revision: 3 });
  // The run before it had failed of a check alone: its models are taken over, file by file.
  const made = run.stages.filter(({ id }) => id !== "checks");
  expect(made.map(({ reused }) => reused)).toEqual(made.map(({ tasks }) => tasks));
  await vi.waitFor(() => expect(stagedBy()).toEqual([]), { timeout: 10_000 });
  expect(run.failure?.message).toMatch(
    /^check enough on usage_hourly has [\d,]+ rows, expected at least 1,000,000$/,
  );
  expect(shownFiles("usage_hourly").every((name) => name.startsWith("r1-"))).toBe(true);
  expect(await bytesOf("usage_hourly", 3)).toBeGreaterThan(0);
  expect(manifestOf(3).state).toBe("quarantined");

  await it.client.release(run.runId);

  expect(shownFiles("usage_hourly").every((name) => name.startsWith("r3-"))).toBe(true);
  expect((await it.client.run(run.runId)).state).toBe("committed");
  expect(manifestOf(3).state).toBe("quarantined");
  expect(await differences(it, job, day)).toEqual([]);
  const failed = heard.filter(({ type }) => type.endsWith("check.failed")).map(({ data }) => data);
  expect(failed).toMatchObject([
    { run: `ipdr-daily.${day}.r2`, name: "odd-key", severity: "block", kind: "unique" },
    { run: `ipdr-daily.${day}.r3`, name: "enough", severity: "quarantine", kind: "rows" },
  ]);
}, 180_000);

test("a check that can't be asked is refused with its line, and no run begins", async () => {
  const job = jobWith("refused", "{ model: app_daily, nulls: { column: app_idd } }");
  const bundle = await readJobBundle(job);
  const line = bundle.jobYaml.split("\n").findIndex((text) => text.includes("app_idd")) + 1;
  const why = fromUnknown(
    await it.client.submit({ bundle }, "2026-01-16").catch((error: unknown) => error),
  );
  expect(why.code).toBe("jobInvalid");
  expect(why.message).toContain(
    `ipdr-daily.yaml:${line}: job ipdr-daily: check app_daily-1 of model`,
  );
  expect(why.message).toContain("model app_daily has no column app_idd; did you mean app_id?");
  expect((await it.client.runs("ipdr-daily")).map(({ revision }) => revision)).toEqual([3, 2, 1]);
}, 60_000);
