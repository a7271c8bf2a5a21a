// Every effect of the core, carried out on the memory ports: each Ask is answered exactly once, each Tell arrives.
import { describe, expect, test } from "vitest";
import type { Answer, Ask, Effect, Message, RoleName } from "../../coordinator/core/protocol.ts";
import { createInterpreter } from "../../coordinator/shell/interpreter.ts";
import { RunChanges } from "../../coordinator/shell/run-changes.ts";
import { fail } from "../../shared/kernel/failure.ts";
import type { JobSpec, SourceSpec } from "../../shared/kernel/job.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { manifest, run } from "../commit/storage.ts";
import { memoryExchange } from "../fakes/memory-exchange.ts";
import { memoryEvents, memoryJournal, memoryNats, memoryRegistry } from "../fakes/memory-nats.ts";
import { memoryDisk, memoryStore } from "../fakes/memory-store.ts";
import { type KeptLine, quietLog } from "../fakes/quiet-log.ts";
import { emptyPlan, stamp } from "./serving.ts";

const config = {
  coordinator: "c1",
  address: "127.0.0.1:7400",
  cluster: "daymill",
  duckdb: "v1.5.6",
};
const day = "2026-01-15";
const file = { path: "raw/a", size: 1, mtimeNs: "0", ctimeNs: "0", inode: "1" };
const again = { ...file, path: "raw/a-again", inode: "2" };
const sha256 = "ab".repeat(32);

function world() {
  const nats = memoryNats();
  const disk = memoryDisk();
  const lines: KeptLine[] = [];
  const told: unknown[] = [];
  const exchange = memoryExchange();
  const waiting = new Map<number, (answer: Answer) => void>();
  const posted: Message[] = [];
  const sent: string[] = [];
  const reserve = [true];
  const changes = new RunChanges();
  const interpret = createInterpreter({
    config,
    ports: {
      registry: memoryRegistry(nats),
      journal: memoryJournal(nats),
      store: memoryStore(disk),
      inputs: {
        listSource: async (source) => {
          if (source.path === "nowhere") throw fail("inputMissing", "no file of nowhere");
          if (source.path === "twice") return [file, again];
          return [file];
        },
        parquetRows: async (files) => files.map(() => 100),
        dimension: async () => file,
        look: async (sources) =>
          sources.map(({ source }) => ({
            source: source.name,
            files: [file],
            newestMs: 1,
            announced: [file, again].map(({ path, size }) => ({ path, bytes: size, sha256 })),
          })),
      },
      exchange: exchange.admin,
      reserve: {
        hold: async () => {
          const [holds] = reserve;
          if (holds === undefined) throw fail("unavailable", "nobody answers");
          return holds;
        },
        spend: async () => false,
      },
      planJob: async (job) => {
        if (job.name === "broken") throw new TypeError("cannot read properties of undefined");
        return emptyPlan;
      },
      planCalendar: () => [],
      alerts: {
        send: async (notice) => {
          if (notice.channel === "away") throw fail("unavailable", "no", { retryAfterMs: 7 });
          sent.push(notice.id);
        },
        heartbeat: async () => void sent.push("heartbeat"),
        watchChannels: () => {},
        close: async () => {},
      },
    },
    receivers: {
      hub: {
        send: (...args) => void told.push(["send", ...args]),
        close: (...args) => void told.push(["close", ...args]),
      },
      calls: { settle: (...args) => void told.push(["settle", ...args]) },
      changes,
      events: memoryEvents(nats),
      log: quietLog(lines),
      roleChanged: (role: RoleName, epoch) => void told.push(["role", role, epoch]),
    },
    post: (message) => {
      posted.push(message);
      if (message.kind === "answered") waiting.get(message.id)?.(message.answer);
    },
  });
  let last = 0;
  type Bare<T> = T extends Ask ? Omit<T, "id"> : never;
  const ask = (bare: Bare<Ask>): Promise<Answer> =>
    new Promise((resolve) => {
      const id = ++last;
      waiting.set(id, resolve);
      interpret({ ...bare, id } as Ask);
    });
  return {
    ask,
    reserve,
    tell: (effect: Effect) => interpret(effect),
    posted,
    told,
    sent,
    nats,
    disk,
    lines,
    changes,
    exchange,
  };
}

describe("asks", () => {
  test("messages and signs of life go to the sender, with what it says about trying again", async () => {
    const { ask, sent } = world();
    const about = { group: "usage", kind: "opened", alerts: [], omitted: 0, decidedMs: 1 } as const;
    const notice = (channel: string) => ({ ...about, id: `n-${channel}`, channel });
    expect(await ask({ kind: "sendNotice", notice: notice("chat") })).toEqual({ kind: "ok" });
    expect(await ask({ kind: "sendHeartbeat" })).toEqual({ kind: "ok" });
    expect(sent).toEqual(["n-chat", "heartbeat"]);
    expect(await ask({ kind: "sendNotice", notice: notice("away") })).toEqual({
      kind: "failed",
      failure: { code: "unavailable", message: "no", detail: { retryAfterMs: 7 } },
    });
  });

  test("a leadership from fences to the first record", async () => {
    const { ask, nats } = world();
    expect(await ask({ kind: "readFences" })).toEqual({ kind: "fences", registry: 0, storage: 0 });
    expect(await ask({ kind: "takeEpoch", epoch: 1 })).toEqual({ kind: "taken", taken: true });
    expect(await ask({ kind: "takeEpoch", epoch: 1 })).toEqual({ kind: "taken", taken: false });
    expect(await ask({ kind: "claimStorage", epoch: 1 })).toEqual({ kind: "taken", taken: true });
    expect(await ask({ kind: "renew", epoch: 1, beat: 4 })).toEqual({ kind: "ok" });
    expect(nats.leader).toEqual({ epoch: 1, coordinator: "c1", address: config.address, beat: 4 });
    const read = { kind: "readJournal", from: 1, recordsMax: 2 } as const;
    expect(await ask(read)).toEqual({ kind: "records", last: 0, records: [] });
    for (let expected = 0; expected < 3; expected++) {
      const append = { kind: "append", epoch: 1, expected, text: `fact ${expected + 1}` } as const;
      expect(await ask(append)).toEqual({ kind: "appended", sequence: expected + 1 });
    }
    expect(await ask(read)).toEqual({
      kind: "records",
      last: 3,
      records: [
        { sequence: 1, text: "fact 1" },
        { sequence: 2, text: "fact 2" },
      ],
    });
    expect(await ask({ ...read, recordsMax: 0 })).toEqual({
      kind: "records",
      last: 3,
      records: [],
    });
    expect(await ask({ kind: "trimJournal", sequence: 2 })).toEqual({ kind: "ok" });
    expect(nats.records.map((record) => record.text)).toEqual(["fact 3"]);
    const late = await ask({ kind: "append", epoch: 1, expected: 1, text: "late" });
    expect(late).toMatchObject({ kind: "failed", failure: { code: "journalConflict" } });
  });

  test("a run's way to storage", async () => {
    const { ask, disk } = world();
    await ask({ kind: "claimStorage", epoch: 1 });
    const job = { name: "daily" } as JobSpec;
    expect(await ask({ kind: "saveJob", epoch: 1, job, digest: "d" })).toEqual({ kind: "ok" });
    const request = { run: "daily.2026-01-15.r1", spec: job, digest: "d", day, revision: 1 };
    const requests = [{ ...request, requestId: "q" }] as const;
    for (const n of [1, 2]) {
      const saved = { ...requests[0], run: `daily.2026-01-15.r${n}` };
      expect(await ask({ kind: "saveRequest", epoch: 1, request: saved })).toEqual({ kind: "ok" });
    }
    const dropped = { kind: "dropRequest", epoch: 1, run: "daily.2026-01-15.r2" } as const;
    expect(await ask(dropped)).toEqual({ kind: "ok" });
    const document = { changes: 1, open: [], ended: [], waiting: [], told: [], silences: [] };
    expect(await ask({ kind: "saveAlerts", epoch: 1, document })).toEqual({ kind: "ok" });
    const snapshot = { kind: "saveSnapshot", epoch: 1, sequence: 5, texts: ["state"] } as const;
    expect(await ask(snapshot)).toEqual({ kind: "ok" });
    const files = [{ dataset: "hits", staged: "staging/daily.2026-01-15.r1/t0/a.parquet" }];
    const arranged = await ask({ kind: "arrange", epoch: 1, run: run(1), files });
    expect(arranged).toMatchObject({
      kind: "arranged",
      paths: [expect.stringContaining("/hits/")],
    });
    const commit = manifest(run(1), 1, { hits: [] });
    const committed = { kind: "manifest", manifest: commit };
    expect(await ask({ kind: "commit", epoch: 1, manifest: commit })).toEqual(committed);
    expect(await ask({ kind: "publish", epoch: 1, manifest: commit })).toEqual({ kind: "ok" });
    expect(await ask({ kind: "rebuildViews", epoch: 1 })).toEqual({ kind: "ok" });
    const views = { kind: "checkViews", day: commit.day, datasets: ["hits"] } as const;
    expect(await ask({ ...views, job: "daily" })).toEqual({ kind: "ok" });
    expect(await ask({ ...views, job: "other" })).toMatchObject({
      kind: "failed",
      failure: { code: "conflict" },
    });
    disk.staging.add("daily.2026-01-15.r1");
    const room = { usedBytes: 1_000, totalBytes: 4_000 };
    const staging = { kind: "staging", runs: ["daily.2026-01-15.r1"], room };
    expect(await ask({ kind: "listStaging" })).toEqual(staging);
    const runs = ["daily.2026-01-14.r1", "daily.2026-01-14.r2", "daily.2026-01-14.r3"];
    const paths = runs.slice(0, 2).map((name) => `staging/${name}/t-a/hits.parquet`);
    for (const path of paths) disk.staged.add(path);
    expect(await ask({ kind: "listStaged", runs })).toEqual({ kind: "staged", runs, paths });
    const drop = { kind: "dropStaging", epoch: 1, run: commit.run } as const;
    expect(await ask(drop)).toEqual({ kind: "ok" });
    expect([...disk.droppedStaging]).toEqual([commit.run]);
    const list = { kind: "listRevisions", from: undefined, daysMax: 5 } as const;
    const listed = { job: "daily", day, folders: [{ revision: 1, datasets: ["hits"] }] };
    expect(await ask(list)).toMatchObject({ kind: "revisions", days: [listed] });
    const dropRevision = { kind: "dropRevision", epoch: 1, run: run(1), arrangedBy: 1 } as const;
    const seen = await ask({ ...dropRevision, datasets: "all" });
    expect(seen).toMatchObject({ kind: "failed", failure: { code: "conflict" } });
    expect(await ask({ ...dropRevision, datasets: ["_rejects"] })).toEqual({ kind: "ok" });
    expect(await ask({ kind: "readStorage", epoch: 1 })).toEqual({
      kind: "stored",
      jobs: [{ spec: job, digest: "d" }],
      requests,
      manifests: [commit],
      desks: [],
      alerts: document,
      snapshot: { sequence: 5, texts: ["state"] },
    });
    const zombie = await ask({ kind: "publish", epoch: 7, manifest: commit });
    expect(zombie).toMatchObject({ kind: "failed", failure: { code: "storageFenced" } });
  });

  test("inputs are listed in the order asked; only Parquet files are looked into", async () => {
    const { ask } = world();
    const source = (name: string, format: string) => ({ name, format, path: "raw" }) as SourceSpec;
    const sources = [source("hits", "csv.gz"), source("cells", "parquet")];
    const dimensions = [{ name: "apps" } as never];
    expect(await ask({ kind: "listInputs", day, sources, dimensions })).toEqual({
      kind: "listed",
      sources: [
        { source: "hits", files: [file] },
        { source: "cells", files: [file], rows: [100] },
      ],
      dimensions: [file],
    });
    const missing = [{ ...source("hits", "csv"), path: "nowhere" }];
    expect(await ask({ kind: "listInputs", day, sources: missing, dimensions: [] })).toMatchObject({
      kind: "failed",
      failure: { code: "inputMissing", message: "no file of nowhere" },
    });
  });

  test("a control file says which of the listed files are twins", async () => {
    const { ask } = world();
    const source = { name: "hits", format: "csv", path: "twice" } as SourceSpec;
    const list = { kind: "listInputs", day, sources: [source], dimensions: [] } as const;
    const ready = { hits: { by: "manifest", value: "control.json" } } as const;
    const files = [file, again];
    expect(await ask(list)).toMatchObject({ sources: [{ source: "hits", files }] });
    expect(await ask({ ...list, ready })).toEqual({
      kind: "listed",
      sources: [
        {
          source: "hits",
          files,
          twins: [{ path: again.path, twin: file.path, contentSha256: sha256 }],
        },
      ],
      dimensions: [],
    });
  });

  test("plans and streams", async () => {
    const { ask, lines, exchange, disk, reserve } = world();
    const job = { name: "daily" } as JobSpec;
    expect(await ask({ kind: "planJob", job })).toEqual({ kind: "planned", plan: emptyPlan });
    const ensure = { kind: "ensureStreams", streams: ["x0", "x1"] } as const;
    expect(await ask(ensure)).toEqual({ kind: "ensured", created: ["x0", "x1"] });
    expect(await ask(ensure)).toEqual({ kind: "ensured", created: [] });
    for (const attemptId of ["a1", "a2", "a3"]) {
      exchange.put("x1", { attemptId, text: attemptId, kind: "completion" });
    }
    const purge = { kind: "purgeStreams", streams: ["x0", "x1"], attempts: ["a1", "a3"] } as const;
    expect(await ask(purge)).toEqual({ kind: "ok" });
    exchange.put("x1", { attemptId: "a2", text: "account", kind: "account" });
    disk.staged.add("staging/daily.2026-01-15.r1/t0-a2/rejects.parquet");
    const run = "daily.2026-01-15.r1";
    const look = { kind: "readCompletions", run, streams: ["x1", "never"] } as const;
    expect(await ask(look)).toEqual({
      kind: "completions",
      streams: [{ stream: "x1", complete: ["a2"], accounts: ["account"] }],
      staged: [`staging/${run}/t0-a2/rejects.parquet`],
    });
    expect(await ask({ kind: "listWriters", streams: ["x0", "x1", "never"] })).toEqual({
      kind: "writers",
      streams: [
        { stream: "x0", attempts: [] },
        { stream: "x1", attempts: ["a2"] },
      ],
    });
    const usage = await ask({ kind: "readUsage" });
    expect(usage).toMatchObject({ kind: "usage", streams: [{ stream: "x0" }, { bytes: 9 }] });
    expect(usage).not.toHaveProperty("isTight");
    reserve[0] = false;
    expect(await ask({ kind: "readUsage" })).toMatchObject({ streams: [{}, {}], isTight: true });
    // That it can't be looked at says nothing of room.
    reserve.length = 0;
    expect(await ask({ kind: "readUsage" })).not.toHaveProperty("isTight");
    expect(await ask({ kind: "dropStreams", streams: ["x0"] })).toEqual({ kind: "ok" });
    expect(await ask(ensure)).toEqual({ kind: "ensured", created: ["x0"] });
    // A defect in an adapter is an answer too, and the log has its stack.
    const broken = await ask({ kind: "planJob", job: { name: "broken" } as JobSpec });
    expect(broken).toMatchObject({ kind: "failed", failure: { code: "internal" } });
    expect(lines[0]?.fields["stack"]).toContain("TypeError");
  });
});

test("tells reach their receivers, in order, and are never answered", async () => {
  const { tell, told, posted, nats, lines, changes } = world();
  let nudges = 0;
  changes.watch("r", () => void nudges++);
  const command = { kind: "reportAck", attemptId: "a" } as const;
  tell({ kind: "toExecutor", connection: 4, epoch: 2, command });
  tell({ kind: "closeConnection", connection: 4 });
  const result = { kind: "draining" } as const;
  tell({ kind: "reply", reply: 9, stamp, result });
  tell({ kind: "roleChanged", role: "leader", epoch: 2 });
  tell({ kind: "runChanged", run: "r" });
  tell({ kind: "publishEvent", job: "j", day, event: "run.created", wallMs: 5, data: { a: 1 } });
  tell({ kind: "log", level: "warn", message: "look", fields: { run: "r" } });
  expect(told).toEqual([
    ["send", 4, 2, command],
    ["close", 4],
    ["settle", 9, stamp, result],
    ["role", "leader", 2],
  ]);
  expect(nudges).toBe(1);
  expect(nats.events).toEqual([{ job: "j", day, kind: "run.created", wallMs: 5, data: { a: 1 } }]);
  expect(lines).toEqual([{ level: "warn", message: "look", fields: { run: "r" } }]);
  expect(posted).toEqual([]);
  tell({ kind: "again" });
  expect(posted).toEqual([]);
  await new Promise((resume) => setTimeout(resume, 20));
  expect(posted).toEqual([{ kind: "proceed" }]);
});

test("watchers are bounded", () => {
  const changes = new RunChanges();
  const stops = Array.from({ length: limits.watchersMax }, () => changes.watch("r", () => {}));
  expect(() => changes.watch("r", () => {})).toThrow("ask GetRun instead");
  stops[0]?.();
  stops[0]?.();
  changes.watch("r", () => {});
  expect(() => changes.watch("s", () => {})).toThrow("ask GetRun instead");
});
