// The Coordinator service over a real socket: what each call asks the core, and what the caller gets.
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DuckDBInstance } from "@duckdb/node-api";
import { tableFromIPC } from "apache-arrow";
import { describe, expect, test } from "vitest";
import { jobDigest } from "../../coordinator/core/submissions.ts";
import { datasetSql } from "../../coordinator/shell/dataset-reader.ts";
import type { ReadDatasetReply } from "../../shared/adapters/grpc-types.ts";
import { failure } from "../../shared/kernel/failure.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import type { RunManifest } from "../../shared/kernel/manifest.ts";
import type { RunStatus } from "../../shared/kernel/status.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";
import { eventually } from "../kit/eventually.ts";
import { failureOf } from "../kit/failures.ts";
import { emptyPlan, runStatus, type Script, serve, stageStatus, stamp } from "./serving.ts";

const cleanups = cleanupsOfEachTest();

const served = (script: Script) => serve(script, cleanups);

const submit = { requestId: "q1", bundle: null, job: "daily", day: "2026-01-15", rerun: false };

describe("commands", () => {
  test("submit asks the core once and gives its run, with the stamp and the run's warnings", async () => {
    const run = runStatus({ warnings: ["stated only: deadline (06:00)"] });
    const { client, asked } = await served({
      answer: (message) =>
        message.kind === "submit"
          ? { kind: "submitted", run: run.runId, created: true }
          : { kind: "run", run },
    });
    const reply = await client.submit(submit);
    expect(reply).toEqual({ stamp, runId: run.runId, created: true, warnings: run.warnings });
    expect(asked).toEqual([
      {
        kind: "submit",
        reply: 1,
        requestId: "q1",
        job: "daily",
        day: "2026-01-15",
        rerun: false,
        lane: "live",
        by: "",
      },
      { kind: "question", reply: 2, question: { kind: "run", run: run.runId } },
    ]);
  });

  test("a run that was taken is told although its status can't be", async () => {
    const { client } = await served({
      answer: (message) =>
        message.kind === "submit"
          ? { kind: "submitted", run: "daily.2026-01-15.r1", created: true }
          : { kind: "failed", failure: failure("notLeader", "no more"), leader: "" },
    });
    expect(await client.submit(submit)).toMatchObject({ created: true, warnings: [] });
  });

  test("a lane goes to the core as it is", async () => {
    const { client, asked } = await served({
      answer: () => ({ kind: "submitted", run: "daily.2026-01-15.r1", created: true }),
    });
    for (const lane of ["backlog", "ahead", ""]) await client.submit({ ...submit, lane });
    const lanes = asked.flatMap((message) => (message.kind === "submit" ? [message.lane] : []));
    expect(lanes).toEqual(["backlog", "ahead", "live"]);
  });

  test.each([
    [{ ...submit, lane: "fast" }, 'lane "fast" is not one of live, backlog, ahead'],
    [{ ...submit, day: "2026-02-30" }, 'day "2026-02-30" is not a date; write it as 2026-01-15'],
    [{ ...submit, requestId: "" }, "request_id is empty"],
    [{ ...submit, job: "" }, "send a job file (bundle), or the name of a job"],
    [{ ...submit, bundle: { jobPath: "j.yaml", jobYaml: "name: [", sqlFiles: {} } }, "j.yaml"],
  ])("a bad request never reaches the core: %#", async (request, message) => {
    const { client, asked } = await served({});
    const refused = await failureOf(client.submit(request));
    expect(["badRequest", "jobInvalid"]).toContain(refused.code);
    expect(refused.message).toContain(message);
    expect(asked).toEqual([]);
  });

  test("who does not lead says who does", async () => {
    const { client } = await served({
      answer: () => ({
        kind: "failed",
        failure: failure("notLeader", "c1 does not lead"),
        leader: "127.0.0.1:7401",
      }),
    });
    const refused = await failureOf(client.cancel({ runId: "daily.2026-01-15.r1", reason: "" }));
    expect(refused).toMatchObject({ code: "notLeader", detail: { leader: "127.0.0.1:7401" } });
  });

  test("a core that never answers is a timeout for the caller, not a hang", async () => {
    const { client } = await served({});
    const late = client.drain({ executorId: "e1" }, { deadlineMs: 300 });
    expect((await failureOf(late)).code).toBe("timeout");
  });
});

describe("questions", () => {
  test("status tells the role and what this process is", async () => {
    const { client } = await served({
      answer: () => ({ kind: "status", role: "candidate", leader: "" }),
    });
    expect(await client.getStatus({})).toMatchObject({
      role: "starting",
      leader: "",
      natsVersion: "2.9.10",
      duckdbVersion: "v1.5.6",
      storageRoot: "/data",
      pid: 7,
    });
  });

  test("a run's dataset paths are absolute, its failure keeps code and detail", async () => {
    const dataset = { dataset: "hits", rows: 1, files: 1, bytes: 1, columns: [], path: "out/hits" };
    const why = failure("inputTruncated", "cut", { file: "raw/a.csv.gz", line: 7 });
    const run = runStatus({ state: "failed", datasets: [dataset], failure: why });
    const { client } = await served({ answer: () => ({ kind: "run", run }) });
    const { run: shown } = await client.getRun({ runId: run.runId, minSequence: 0 });
    expect(shown?.datasets[0]?.path).toBe("/data/out/hits");
    expect(shown?.failure).toEqual({
      code: "inputTruncated",
      message: "cut",
      detail: { file: "raw/a.csv.gz", line: "7" },
    });
  });

  test("an answer older than what the caller has seen is refused", async () => {
    const { client } = await served({ answer: () => ({ kind: "run", run: runStatus() }) });
    const refused = await failureOf(client.getRun({ runId: "x", minSequence: 42 }));
    expect(refused.code).toBe("unavailable");
    expect(refused.message).toContain("up to 41, you have seen 42");
  });

  test("a later epoch may have a shorter journal than the caller has seen: NATS lost the old one", async () => {
    const { client } = await served({ answer: () => ({ kind: "run", run: runStatus() }) });
    const get = (minEpoch: number, minSequence: number) =>
      client.getRun({ runId: "x", minSequence, minEpoch });
    const { stamp } = await get(0, 41);
    const epoch = stamp?.epoch ?? 0;
    expect((await get(epoch - 1, 9_000)).run).not.toBeNull();
    expect((await failureOf(get(epoch, 42))).code).toBe("unavailable");
    expect((await failureOf(get(epoch + 1, 1))).code).toBe("unavailable");
  });

  test("explain plans a known job; with a day it also tells files and bytes", async () => {
    const { client } = await served({
      inputs: { listSource: async () => [file, file] },
      answer: explaining([]),
    });
    const request = { bundle: null, job: "daily", day: "" };
    const undated = await client.explain(request);
    expect(undated.text).toContain("job daily: 0 datasets, 0 stages, 0 exchanges");
    expect(JSON.parse(undated.planJson)).not.toHaveProperty("sizes");
    const dated = await client.explain({ ...request, day: "2026-01-15" });
    expect(JSON.parse(dated.planJson)).toMatchObject({
      stages: [],
      sizes: [{ source: "hits", files: 2, bytes: 24 }],
      run: null,
    });
  });

  test("explain tells what the last committed run of the job really exchanged", async () => {
    const exchanges = [{ exchange: "x0", sources: ["hits"], rows: 60, bytes: 900 }];
    const scan = { ...stageStatus, source: "hits", rowsIn: 80, exchanges };
    const run = runStatus({
      jobDigest: jobDigest(job),
      state: "committed",
      stages: [scan],
      rowsIn: 80,
      exchangeRows: 60,
      exchangeBytes: 900,
    });
    const traffic = [
      { exchange: "x0", sources: ["hits"], atLeast: 0, atMost: 1, assumes: [] },
    ] as const;
    const exchange = { id: "x0", columns: [], keys: ["user"], partitions: 8, groups: 4 };
    const { client, asked } = await served({
      plan: { ...emptyPlan, exchanges: [exchange], traffic },
      answer: explaining([runStatus({ runId: "daily.2026-01-16.r1" }), run]),
    });
    const { text, planJson } = await client.explain({ bundle: null, job: "daily", day: "" });
    expect(text).toContain("  x0        hits  ≤ 1        0.750    60  900 B\n");
    expect(text).toContain("  real: run daily.2026-01-15.r1, day 2026-01-15, 80 rows read\n");
    expect(JSON.parse(planJson)).toMatchObject({
      exchangeFigures: [
        { exchange: "x0", real: { rows: 60, inputRows: 80, rowsPerInputRow: 0.75 } },
      ],
      run: { runId: "daily.2026-01-15.r1", sameJob: true },
    });
    const questions = asked.flatMap((one) => (one.kind === "question" ? [one.question] : []));
    expect(questions.at(-1)).toEqual({ kind: "runs", job: "daily", limit: 500 });
  });
});

const file = { path: "raw/a", size: 12, mtimeNs: "0", ctimeNs: "0", inode: "1" };
const job = { name: "daily", sources: [{ name: "hits", columns: [] }] } as unknown as JobSpec;

/** A leader that knows the job and these runs of it. */
function explaining(runs: readonly RunStatus[]): NonNullable<Script["answer"]> {
  return (message) => {
    if (message.kind !== "question") return undefined;
    if (message.question.kind === "status") return { kind: "status", role: "leader", leader: "" };
    if (message.question.kind === "runs") return { kind: "runs", runs };
    return { kind: "job", job, digest: "d" };
  };
}

describe("watching a run", () => {
  test("the present state, each change, and the end; changes in between are folded together", async () => {
    let run = runStatus();
    const { client, changes, asked } = await served({ answer: () => ({ kind: "run", run }) });
    const states: string[] = [];
    const watching = (async () => {
      for await (const reply of client.watchRun({ runId: run.runId, minSequence: 0 })) {
        states.push(`${reply.run?.state} ${reply.run?.rowsIn}`);
      }
    })();
    await eventually(() => states.length === 1);
    for (let rowsIn = 1; rowsIn <= 500; rowsIn++) {
      run = runStatus({ rowsIn });
      changes.changed(run.runId);
    }
    await eventually(() => states.length === 2);
    run = runStatus({ state: "committed", rowsIn: 500 });
    changes.changed(run.runId);
    await watching;
    expect(states).toEqual(["running 0", "running 500", "committed 500"]);
    expect(asked.length).toBeLessThan(20);
  });

  test("a change that nobody announced is seen too", async () => {
    let run = runStatus();
    const { client } = await served({ answer: () => ({ kind: "run", run }) });
    const states: string[] = [];
    for await (const reply of client.watchRun({ runId: run.runId, minSequence: 0 })) {
      states.push(String(reply.run?.state));
      run = runStatus({ state: "cancelled" });
    }
    expect(states).toEqual(["running", "cancelled"]);
  });

  test("a watcher that leaves is forgotten", async () => {
    const run = runStatus();
    const { client, asked } = await served({ answer: () => ({ kind: "run", run }) });
    for await (const _reply of client.watchRun({ runId: run.runId, minSequence: 0 })) break;
    const before = asked.length;
    await new Promise((resume) => setTimeout(resume, 1_500));
    expect(asked.length - before).toBeLessThanOrEqual(1);
  });
});

describe("reading a dataset", () => {
  /** `gone`: what revision is committed by now, the files of revision 1 having been removed. */
  async function dataset(files: number, gone?: number) {
    const root = await mkdtemp(join(tmpdir(), "daymill-read-test-"));
    cleanups.push(() => rm(root, { recursive: true, force: true }));
    const folder = "revisions/daily/2026-01-15/r1-e1/hits";
    await mkdir(join(root, folder), { recursive: true });
    const instance = await DuckDBInstance.create(":memory:");
    const connection = await instance.connect();
    const paths: string[] = [];
    for (let n = 0; n < files; n++) {
      const path = `${folder}/r1-0000${n}.parquet`;
      const rows = `SELECT (range * 10 + ${n})::BIGINT AS id, 'row ' || range AS name FROM range(5)`;
      await connection.run(`COPY (${rows}) TO '${join(root, path)}' (FORMAT parquet)`);
      paths.push(path);
    }
    connection.closeSync();
    instance.closeSync();
    if (gone !== undefined) await rm(join(root, folder), { recursive: true });
    const manifest = {
      datasets: [
        {
          dataset: "hits",
          columns: [
            { name: "id", type: "BIGINT" },
            { name: "name", type: "VARCHAR" },
          ],
          rows: files * 5,
          files: paths.map((path) => ({ path, rows: 5, bytes: 1, sha256: "" })),
        },
      ],
    } as unknown as RunManifest;
    return served({
      root,
      store: {
        readManifest: async (_job, _day, revision) => (revision === 1 ? manifest : undefined),
      },
      answer: (message) => {
        const wanted = message.kind === "question" && message.question.kind === "dataset";
        if (!wanted || message.question.kind !== "dataset") return undefined;
        const revision = message.question.revision || (gone ?? 1);
        return { kind: "dataset", job: "daily", day: "2026-01-15", revision };
      },
    });
  }

  const request = { dataset: "hits", day: "2026-01-15", revision: 0, limit: 0, orderBy: "" };

  async function rows(stream: AsyncIterable<ReadDatasetReply>) {
    const pieces: Uint8Array[] = [];
    for await (const reply of stream) pieces.push(reply.arrow);
    const table = tableFromIPC(Buffer.concat(pieces));
    return table.toArray().map((row) => ({ id: Number(row.id), name: String(row.name) }));
  }

  test("rows come as Arrow, ordered and cut as asked", async () => {
    const { client } = await dataset(2);
    const all = await rows(client.readDataset(request));
    expect(all.length).toBe(10);
    const top = await rows(client.readDataset({ ...request, orderBy: "id DESC", limit: 3 }));
    expect(top).toEqual([
      { id: 41, name: "row 4" },
      { id: 40, name: "row 4" },
      { id: 31, name: "row 3" },
    ]);
  });

  test("a revision whose files are gone says by whom", async () => {
    const { client } = await dataset(2, 3);
    const gone = await failureOf(rows(client.readDataset({ ...request, revision: 1 })));
    expect(gone.code).toBe("unknownDataset");
    expect(gone.message).toContain(
      "revision 1 of daily for 2026-01-15 was removed by retention; revision 3 is the committed one",
    );
    const lost = await failureOf(rows((await dataset(2, 1)).client.readDataset(request)));
    expect(lost.code).toBe("storageFailed");
    expect(lost.message).toContain("is gone: see who cleans up below the storage root");
  });

  test("a dataset without files has columns and no rows", async () => {
    const { client } = await dataset(0);
    expect(await rows(client.readDataset(request))).toEqual([]);
  });

  test.each([
    [
      { ...request, orderBy: "id; DROP TABLE x" },
      "badRequest",
      "name one of its columns (id, name)",
    ],
    [{ ...request, day: "yesterday" }, "badRequest", "is not a date"],
    [{ ...request, dataset: "misses" }, "unknownDataset", 'has no dataset "misses"'],
    [{ ...request, revision: 9 }, "unknownDataset", "revision 9 of daily"],
  ])("refuses %j", async (wrong, code, message) => {
    const { client } = await dataset(1);
    const refused = await failureOf(rows(client.readDataset(wrong)));
    expect(refused.code).toBe(code);
    expect(refused.message).toContain(message);
  });

  test("names are quoted: a hostile path or column is text", () => {
    const sql = datasetSql({
      root: "/da'ta",
      dataset: {
        dataset: "x",
        columns: [{ name: 'a"b', type: "BIGINT" }],
        rows: 1,
        files: [{ path: "f.parquet", rows: 1, bytes: 1, sha256: "" }],
      },
      limit: 5,
      orderBy: 'a"b asc',
    });
    expect(sql).toBe(
      'SELECT CAST("a""b" AS BIGINT) AS "a""b" FROM read_parquet([\'/da\'\'ta/f.parquet\'], ' +
        'hive_partitioning = false) ORDER BY "a""b" ASC NULLS LAST LIMIT 5',
    );
  });
});
