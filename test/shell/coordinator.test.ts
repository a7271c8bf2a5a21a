// Whole coordinators on a real nats-server and a real storage folder: who leads, who takes over, what a standby says.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  type CoordinatorOptions,
  type RunningCoordinator,
  startCoordinator,
} from "../../coordinator/shell/coordinator.ts";
import { isServing } from "../../shared/adapters/grpc.ts";
import { type CoordinatorClient, connectCoordinator } from "../../shared/adapters/grpc-clients.ts";
import type { RunStatus } from "../../shared/adapters/grpc-types.ts";
import { openStore } from "../../shared/adapters/store.ts";
import { systemClock } from "../../shared/adapters/system.ts";
import type { Notice } from "../../shared/kernel/alert.ts";
import type { AlertSender, ChannelState } from "../../shared/ports.ts";
import { freePort, type NatsFixture, startNats } from "../contract/nats-fixture.ts";
import { alertConfig } from "../core/alerts/story.ts";
import { quietLog } from "../fakes/quiet-log.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";
import { eventually } from "../kit/eventually.ts";
import { failureOf } from "../kit/failures.ts";

let nats: NatsFixture;
let root: string;
let clusters = 0;
beforeAll(async () => {
  nats = await startNats();
});
afterAll(() => nats.stop());
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "daymill-coordinator-"));
  clusters += 1;
});
afterEach(() => rm(root, { recursive: true, force: true }));
// Registered after it, called before it.
const cleanups = cleanupsOfEachTest();

interface Started {
  readonly running: RunningCoordinator;
  readonly client: CoordinatorClient;
  readonly crashes: unknown[];
}

async function start(
  id: string,
  change: Partial<Pick<CoordinatorOptions, "replicas" | "alerts">> & { nats?: string } = {},
): Promise<Started> {
  const crashes: unknown[] = [];
  const running = await startCoordinator({
    id,
    cluster: `test${clusters}`,
    nats: [change.nats ?? nats.url],
    root,
    listen: "127.0.0.1:0",
    advertise: undefined,
    replicas: change.replicas ?? 1,
    alerts: change.alerts,
    log: quietLog(),
    clock: systemClock,
    crashed: (error) => void crashes.push(error),
  });
  const client = connectCoordinator(running.address);
  cleanups.push(() => running.stop());
  cleanups.push(() => client.close());
  return { running, client, crashes };
}

async function leads({ client }: Started, withinMs = 20_000): Promise<void> {
  const until = performance.now() + withinMs;
  while (performance.now() < until) {
    if ((await client.getStatus({})).role === "leader") return;
    await new Promise((resume) => setTimeout(resume, 50));
  }
  throw new Error(`did not lead within ${withinMs} ms`);
}

const job = {
  jobPath: "hits.yaml",
  jobYaml: [
    "name: hits-daily",
    "sources:",
    "  hits: { path: 'raw/day={day}/*.csv', format: csv, columns: { id: BIGINT, v: BIGINT } }",
    "models:",
    "  sums: { sql: sums.sql }",
    "",
  ].join("\n"),
  sqlFiles: { "sums.sql": "SELECT id, sum(v) AS total FROM hits GROUP BY id" },
};

describe("two coordinators", () => {
  test("one leads; when it stops the other takes over with a higher epoch, and the storage is its own", async () => {
    const first = await start("c1");
    await leads(first);
    const second = await start("c2");
    const told = await first.client.getStatus({});
    expect(told).toMatchObject({ role: "leader", leader: first.running.address });
    expect(told.stamp).toMatchObject({ coordinator: "c1" });
    const epoch = told.stamp?.epoch ?? 0;
    expect(epoch).toBeGreaterThan(0);
    expect((await second.client.getStatus({})).role).toBe("standby");

    await first.running.stop();
    await leads(second);
    const later = await second.client.getStatus({});
    expect(later.stamp?.epoch).toBeGreaterThan(epoch);
    expect(await readdir(join(root, "control/leaders"))).toEqual([`e${later.stamp?.epoch}`]);
    expect([first.crashes, second.crashes]).toEqual([[], []]);
  });

  test("a standby sends commands to the leader, by address", async () => {
    const first = await start("c1");
    await leads(first);
    const second = await start("c2");
    const standbySays = () => failureOf(second.client.submit(request("q")));
    let refused = await standbySays();
    for (let i = 0; i < 100 && refused.detail?.["leader"] === undefined; i++) {
      await new Promise((resume) => setTimeout(resume, 50));
      refused = await standbySays();
    }
    expect(refused).toMatchObject({ code: "notLeader", detail: { leader: first.running.address } });
  });
});

describe("one coordinator", () => {
  test("plans a job for explain, and refuses what it cannot plan by naming file and clause", async () => {
    const one = await start("c1");
    await leads(one);
    const explained = await one.client.explain({ bundle: job, job: "", day: "" });
    expect(explained.text).toContain("sums");
    const plan = JSON.parse(explained.planJson) as { datasets: { model: string }[] };
    expect(plan.datasets.map((dataset) => dataset.model)).toEqual(["sums"]);
    const unknown = { ...job, sqlFiles: { "sums.sql": "SELECT id FROM hitz" } };
    const refused = await failureOf(one.client.explain({ bundle: unknown, job: "", day: "" }));
    expect(refused.code).toBe("jobInvalid");
    expect(refused.message).toContain("hits");
  });

  test("a day without files fails its run, naming the path, and its manifest is an abort", async () => {
    const one = await start("c1");
    await leads(one);
    const { runId } = await one.client.submit(request("q1"));
    const run = await ended(one.client, runId);
    expect(run).toMatchObject({ state: "failed", failure: { code: "inputMissing" } });
    expect(run?.failure?.message).toContain("raw/day=2026-01-15/");
    const stored = await (await openStore(root)).readManifest("hits-daily", "2026-01-15", 1);
    expect(stored).toMatchObject({ state: "aborted", run: runId, coordinator: "c1" });
  });

  test("one request id is one run; a second submit of the live day too; cancelling ends it for good", async () => {
    const one = await start("c1");
    await leads(one);
    const unknown = { ...request("q0"), bundle: null, job: "nothing" };
    expect((await failureOf(one.client.submit(unknown))).code).toBe("unknownJob");
    await mkdir(join(root, "raw/day=2026-01-15"), { recursive: true });
    await writeFile(join(root, "raw/day=2026-01-15/a.csv"), "1,2\n");
    const first = await one.client.submit(request("q1"));
    const again = await one.client.submit(request("q1"));
    const other = await one.client.submit(request("q2"));
    expect([first.created, again.created, other.created]).toEqual([true, false, false]);
    expect(new Set([first.runId, again.runId, other.runId]).size).toBe(1);
    await one.client.cancel({ runId: first.runId, reason: "enough" });
    expect(await ended(one.client, first.runId)).toMatchObject({ state: "cancelled" });
    const { runs } = await one.client.listRuns({ job: "", limit: 0 });
    expect(runs.map((run) => [run.runId, run.state])).toEqual([[first.runId, "cancelled"]]);
    expect((await one.client.listExecutors({})).executors).toEqual([]);
  });

  test("it is healthy once it serves, and stops within the grace time", async () => {
    const one = await start("c1");
    expect(await isServing(one.running.address)).toBe(true);
    const before = performance.now();
    await one.running.stop();
    expect(performance.now() - before).toBeLessThan(9_000);
    expect(await isServing(one.running.address)).toBe(false);
  });

  test("without NATS or without a storage root it does not start, and says which", async () => {
    const url = `nats://127.0.0.1:${await freePort()}`;
    const away = await failureOf(start("c1", { nats: url }));
    expect(away).toMatchObject({ code: "unavailable", message: expect.stringContaining(url) });
    await rm(root, { recursive: true });
    expect((await failureOf(start("c1"))).code).toBe("storageFailed");
  });
});

function request(requestId: string) {
  return { requestId, bundle: job, job: "", day: "2026-01-15", rerun: false };
}

/** The run's last status. */
async function ended(client: CoordinatorClient, runId: string) {
  let last: RunStatus | null = null;
  for await (const reply of client.watchRun({ runId, minSequence: 0 })) last = reply.run;
  return last as RunStatus | null;
}

test("tells its channels what is wrong, and keeps on storage who does not want to hear", async () => {
  const sent: Notice[] = [];
  let beats = 0;
  let isClosed = false;
  let tell = (_channel: string, _state: ChannelState, _reason: string) => {};
  const sender: AlertSender = {
    send: async (notice) => void sent.push(notice),
    heartbeat: async () => void beats++,
    watchChannels: (onChange) => {
      tell = onChange;
    },
    close: async () => {
      isClosed = true;
    },
  };
  // Any disk is fuller than this.
  const { thresholds, ...usual } = alertConfig({ groupWaitMs: 0, heartbeatEveryMs: 1_000 });
  const config = { ...usual, thresholds: { ...thresholds, fullShare: 1e-9 } };
  const started = await start("c1", { alerts: { config, sender } });
  await leads(started);
  await eventually(() => sent.length > 0 && beats > 0, 20_000);
  expect(sent[0]).toMatchObject({ channel: "chat", kind: "opened", group: "_cluster" });
  expect(sent[0]?.alerts.map(({ key }) => key)).toEqual(["storageNearLimit///"]);
  const match = { rule: "executorLost", job: "", day: "", subject: "", by: "ops", reason: "" };
  const { silence } = await started.client.silenceAlerts({ ...match, forMs: 60_000 });
  const kept = JSON.parse(await readFile(join(root, "control/alerts.json"), "utf8"));
  expect(kept).toMatchObject({ silences: [silence] });
  await started.client.testChannel({ channel: "pager" });
  expect(sent.at(-1)).toMatchObject({ channel: "pager", alerts: [{ key: "test/pager" }] });
  tell("chat", "resting", "5 of 5 tries failed");
  const { channels } = await started.client.listAlerts({ which: "open", job: "" });
  expect(channels[0]).toMatchObject({ channel: "chat", state: "resting" });
  await started.running.stop();
  expect(isClosed).toBe(true);
});
