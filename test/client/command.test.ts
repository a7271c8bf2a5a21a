/**
 * The compiled `daymill` command as a user meets it: exit codes, one-line errors, JSON. Needs ./scripts/build;
 * DAYMILL_TEST_DIST names another folder of compiled files.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import type { ClusterFile } from "../../client/cluster-file.ts";
import { errorLines, exitCodeOf } from "../../client/exit-codes.ts";
import { coordinatorService, createServer } from "../../shared/adapters/grpc.ts";
import type { CoordinatorHandlers, SubmitRequest } from "../../shared/adapters/grpc-types.ts";
import { createLog } from "../../shared/adapters/logger.ts";
import { projectRoot } from "../../shared/adapters/project.ts";
import { fail, failure, failureCodes } from "../../shared/kernel/failure.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";
import { emptyRun, refusing, stage, stamp } from "./fake-coordinator.ts";

const dist = process.env["DAYMILL_TEST_DIST"] ?? join(projectRoot(), "dist");
const program = join(dist, "client/main.js");

const cleanups = cleanupsOfEachTest();
beforeAll(() => {
  expect(existsSync(program), `${program} is missing: run ./scripts/build`).toBe(true);
});

interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function daymill(...args: readonly string[]): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], (error, out, err) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, out, err });
    });
  });
}

async function cluster(handlers: Partial<CoordinatorHandlers>): Promise<string> {
  const services = [coordinatorService({ ...refusing, ...handlers })];
  const log = createLog("silent", {});
  const server = await createServer({ services, address: "127.0.0.1:0", log });
  cleanups.push(() => server.stop());
  return `--coordinators=${server.address}`;
}

const done = {
  ...emptyRun,
  state: "committed",
  stages: [stage],
  endedMs: 2_000,
  rowsIn: 1_000,
  manifest: "manifests/ipdr-daily/2026-01-15/r1.json",
};

describe("a wrong command line is 2, with help", () => {
  test.each([
    [["frobnicate"], /unknown command/],
    [["submit", "job"], /^error: --day is missing: the data date, YYYY-MM-DD\n$/],
    [["submit", "job", "--dya", "2026-01-15"], /unknown option '--dya'\n\(Did you mean --day\?\)/],
    [["result", "usage"], /--day is missing/],
    [["events", "--day", "2026-1-1"], /--day 2026-1-1 is not a date/],
    [["runs", "--coordinators", "here"], /--coordinators here: HOST:PORT is expected/],
    [
      ["runs", "--coordinators", "http://h:1"],
      /--coordinators http:\/\/h:1: HOST:PORT is expected/,
    ],
    [["runs", "--coordinators", "h:1,h:99999"], /--coordinators h:99999: HOST:PORT is expected/],
    [["generate", "--root", "x", "--day", "2026-01-15"], /--rows is missing/],
    [["submit", "job", "--day", "2026-02-30"], /--day 2026-02-30 is not a date/],
    [["submit", "nowhere/job.yaml", "--day", "2026-01-15"], /nowhere\/job\.yaml does not exist/],
    [["runs", "--limit", "many"], /--limit many: a whole number/],
    [["ack", "bi", "usage", "2026-01-15"], /--revision is missing: the one that was read/],
    [["ack", "bi", "usage", "2026-1-15", "--revision", "1"], /--day 2026-1-15 is not a date/],
    [
      ["generate", "--root", "x", "--day", "2026-01-15", "--rows", "1", "--skew", "odd"],
      /--skew odd/,
    ],
  ])("%j", async (args, message) => {
    const { code, out, err } = await daymill(...args);
    expect(err).toMatch(message);
    expect(err).not.toMatch(/\n\s+at /);
    expect([code, out]).toEqual([2, ""]);
  });
});

test("what was built runs as a program, as npx runs it", async () => {
  const built = join(projectRoot(), "dist/client/main.js");
  const out = await new Promise((resolve) =>
    execFile(built, ["--version"], (error, text) => resolve(error ?? text.trim())),
  );
  expect(out).toMatch(/^\d+\.\d+\.\d+$/);
});

test("nothing answers: 69, naming the address and the way out", async () => {
  const { code, err } = await daymill("runs", "--nats", "nats://127.0.0.1:1");
  expect(code).toBe(69);
  expect(err).toMatch(/^error: NATS at nats:\/\/127\.0\.0\.1:1 cannot be used: .*--nats/);
});

test("nothing listens at the usual addresses either: 69, long before a cluster would be given up", async () => {
  const begun = performance.now();
  const { code, out, err } = await daymill("runs", "--coordinators", "127.0.0.1:1,127.0.0.1:2");
  expect([code, out]).toEqual([69, ""]);
  expect(err).toMatch(
    /^error: no cluster found: no coordinator at 127\.0\.0\.1:1, 127\.0\.0\.1:2 .*daymill up/,
  );
  // Two seconds of ours; the start of a process takes the rest, long on a busy machine.
  expect(performance.now() - begun).toBeLessThan(10_000);
});

test("a refusal is 3, with every line of its message", async () => {
  const at = await cluster({
    submit: async () => {
      throw fail("jobInvalid", "job.yaml:3: name: no\njob.yaml:9: sources: no");
    },
  });
  const { code, err } = await daymill("submit", "usage", "--day", "2026-01-15", at);
  expect(code).toBe(3);
  expect(err).toBe("error: job.yaml:3: name: no\n       job.yaml:9: sources: no\n");
});

test("submit sends the job with its SQL and says how to follow it", async () => {
  const seen: SubmitRequest[] = [];
  const at = await cluster({
    submit: async (request) => {
      seen.push(request);
      return { stamp, runId: emptyRun.runId, created: true, warnings: ["stated only: x"] };
    },
  });
  const job = join(projectRoot(), "jobs/ipdr-daily.yaml");
  const { code, out } = await daymill("submit", job, "--day", "2026-01-15", at);
  expect(code).toBe(0);
  expect(out).toContain(`daymill watch ${emptyRun.runId}\n  ! stated only: x\n`);
  expect(seen[0]?.bundle?.sqlFiles["models/top_apps.sql"]).toContain("SELECT");
  expect([seen[0]?.day, seen[0]?.rerun]).toEqual(["2026-01-15", false]);
});

describe("submit --wait", () => {
  test("plain lines, a summary, 0 when committed", async () => {
    const at = await cluster({
      submit: async () => ({ stamp, runId: emptyRun.runId, created: true, warnings: [] }),
      watchRun: async (_request, replies) => {
        await replies.write({ stamp, run: { ...emptyRun, stages: [stage] } });
        await replies.write({ stamp, run: done });
      },
    });
    const { code, out, err } = await daymill(
      "submit",
      "usage",
      "--day",
      "2026-01-15",
      "--wait",
      at,
    );
    expect(code).toBe(0);
    expect(err.split("\n")[0]).toBe("ipdr-daily.2026-01-15.r1: running");
    expect(out).toContain("rows in 1,000");
    expect(out).toContain(done.manifest);
  });

  test("1 when the run failed, and JSON is one value on standard output", async () => {
    const failed = {
      ...emptyRun,
      state: "failed",
      failure: { code: "inputTruncated", message: "a.csv.gz ends early", detail: {} },
    };
    const at = await cluster({
      submit: async () => ({ stamp, runId: emptyRun.runId, created: true, warnings: [] }),
      watchRun: async (_request, replies) => replies.write({ stamp, run: failed }),
    });
    const args = ["submit", "usage", "--day", "2026-01-15", "--wait", "--json", at];
    const { code, out, err } = await daymill(...args);
    expect(code).toBe(1);
    expect(JSON.parse(out)).toMatchObject({ state: "failed", failure: { code: "inputTruncated" } });
    expect(err).toBe("");
  });
});

test("lists are tables, or JSON", async () => {
  const at = await cluster({
    listRuns: async () => ({ stamp, runs: [done] }),
    listExecutors: async () => ({ stamp, executors: [] }),
  });
  const table = await daymill("runs", at);
  expect(table.out.split("\n")[0]).toMatch(/^RUN +LANE +STATE +STARTED BY +CREATED/);
  expect(table.out).toMatch(/ipdr-daily\.2026-01-15\.r1 +live +committed/);
  expect(JSON.parse((await daymill("runs", "--json", at)).out)).toEqual([done]);
  expect((await daymill("executors", at)).out).toContain("no executors");
  const none = await cluster({ listRuns: async () => ({ stamp, runs: [] }) });
  expect((await daymill("runs", "--job", "usage", none)).out).toContain("no runs of job usage;");
});

test("some models are named as in dbt, and a retry makes those of its run", async () => {
  const seen: SubmitRequest[] = [];
  const failed = { ...emptyRun, state: "failed", select: ["cell_hourly", "cell_busy_hour"] };
  const at = await cluster({
    submit: async (request) => {
      seen.push(request);
      return { stamp, runId: emptyRun.runId, created: true, warnings: [] };
    },
    getRun: async () => ({ stamp, run: failed }),
    listRuns: async () => ({ stamp, runs: [failed] }),
  });
  const args = ["submit", "usage", "--day", "2026-01-15", "--select", "cell_hourly+", "a,+b", at];
  expect((await daymill(...args)).code).toBe(0);
  expect((await daymill("retry", failed.runId, at)).code).toBe(0);
  expect(seen.map(({ select, rerun }) => [select, rerun])).toEqual([
    [["cell_hourly+", "a,+b"], false],
    [["cell_hourly", "cell_busy_hour"], true],
  ]);
  expect(seen[0]?.by).not.toBe("");
  const { out } = await daymill("runs", at);
  expect(out).toContain(`${failed.runId}: only cell_hourly, cell_busy_hour`);
  expect(out).toMatch(/ failed +ann /);
});

test("retry is for runs that failed", async () => {
  const at = await cluster({ getRun: async () => ({ stamp, run: done }) });
  const { code, err } = await daymill("retry", done.runId, at);
  expect(code).toBe(3);
  expect(err).toContain("--rerun");
  expect((await daymill("retry", "what", at)).code).toBe(3);
});

test("cancel says when there is nothing left to end", async () => {
  const at = await cluster({
    cancel: async ({ runId }) => ({
      stamp,
      state: runId === done.runId ? "committed" : "cancelled",
    }),
  });
  const late = await daymill("cancel", done.runId, at);
  expect([late.code, late.out]).toEqual([3, ""]);
  expect(late.err).toContain(`${done.runId} is committed already`);
  const other = await daymill("cancel", "usage.2026-01-15.r1", at);
  expect([other.code, other.out]).toEqual([0, "usage.2026-01-15.r1: cancelled\n"]);
});

test("generate makes files and says what is in them", async () => {
  const root = mkdtempSync(join(tmpdir(), "daymill-generate-"));
  cleanups.push(() => rmSync(root, { recursive: true, force: true }));
  const args = ["generate", "--root", root, "--day", "2026-01-15", "--rows", "1000", "--json"];
  const { code, out } = await daymill(...args);
  expect(code).toBe(0);
  expect(JSON.parse(out)).toMatchObject({ day: "2026-01-15", lines: 1_000 });
});

test("a root that cannot be written is told as such", async () => {
  const folder = mkdtempSync(join(tmpdir(), "daymill-generate-"));
  cleanups.push(() => rmSync(folder, { recursive: true, force: true }));
  const root = join(folder, "file");
  writeFileSync(root, "");
  const args = ["generate", "--root", root, "--day", "2026-01-15", "--rows", "1000"];
  const { code, err } = await daymill(...args);
  expect(code).toBe(69);
  expect(err).toMatch(/^error: files cannot be written under .* \(ENOTDIR\); check --root/);
});

test("down says when there is nothing to stop, and never touches a process that is not ours", async () => {
  const work = mkdtempSync(join(tmpdir(), "daymill-down-"));
  cleanups.push(() => rmSync(work, { recursive: true, force: true }));
  const nothing = `0 processes stopped: no cluster runs in ${work}\n`;
  expect((await daymill("down", "--work", work)).out).toBe(nothing);
  const processes = [{ name: "executor-1", pid: process.pid, command: "something else" }];
  writeFileSync(join(work, "cluster.json"), JSON.stringify({ processes, coordinators: [] }));
  expect((await daymill("down", "--work", work)).out).toBe(nothing);
});

describe("a cluster that runs in a terminal", () => {
  /** `up` of one coordinator, once it is ready: the file that it wrote, and its end. */
  async function up(work: string) {
    const args = ["up", "--work", work, "--executors", "0", "--coordinators", "1", "--port", "0"];
    const child = spawn(process.execPath, [program, ...args, "--json"]);
    cleanups.push(() => daymill("down", "--work", work));
    let err = "";
    child.stderr.on("data", (text: Buffer) => (err += text.toString()));
    const ended = new Promise<Pick<Ended, "code" | "err">>((resolve) =>
      child.once("close", (code) => resolve({ code: code ?? -1, err })),
    );
    const [ready] = (await once(child.stdout, "data")) as [Buffer];
    const { processes } = JSON.parse(ready.toString()) as ClusterFile;
    return { ended, processes };
  }

  test("ends when somebody stops it from another one", async () => {
    const work = mkdtempSync(join(tmpdir(), "daymill-up-"));
    cleanups.push(() => rmSync(work, { recursive: true, force: true }));
    const { ended } = await up(work);
    expect((await daymill("down", "--work", work)).out).toBe("2 processes stopped\n");
    expect((await ended).code).toBe(0);
  });

  test("ends with an error when all of it has died", async () => {
    const work = mkdtempSync(join(tmpdir(), "daymill-up-"));
    cleanups.push(() => rmSync(work, { recursive: true, force: true }));
    const { ended, processes } = await up(work);
    for (const { pid } of processes) process.kill(pid, "SIGKILL");
    const { code, err } = await ended;
    expect(code).toBe(69);
    expect(err).toContain(`error: no process of the cluster in ${work} is left; see the logs in`);
    expect(existsSync(join(work, "cluster.json"))).toBe(false);
  });
});

test("every failure code has an exit code that says what kind it is", () => {
  const kinds = new Set(failureCodes.map(exitCodeOf));
  expect([...kinds].sort((a, b) => a - b)).toEqual([2, 3, 69, 70, 130]);
  expect(exitCodeOf("noLeader")).toBe(69);
  expect(exitCodeOf("unknownRun")).toBe(3);
  expect(errorLines(failure("conflict", "a\nb"))).toEqual(["error: a", "       b"]);
});
