/**
 * The bench: the example job over the same files three ways, results compared before any time is told, and the
 * exchange alone. Each run of each way gets a folder of its own with hard links to the same raw files, so that no
 * run finds another's results. All find the files in the page cache and a disk that owes nothing of what another wrote;
 * each way is first in its turn.
 *
 *   node dist/scripts/bench.js [--rows N] [--runs N] [--slots N] [--work DIR] [--exchange-only] [--json]
 */
import { spawn } from "node:child_process";
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { DaymillClient } from "../client/client.ts";
import { wholeNumber } from "../client/command.ts";
import { startLocalCluster } from "../client/local-cluster.ts";
import { MemorySampler } from "../client/process-memory.ts";
import { parseJob, readJobBundle } from "../shared/adapters/job-file.ts";
import { projectRoot } from "../shared/adapters/project.ts";
import { fail, fromUnknown } from "../shared/kernel/failure.ts";
import { limits } from "../shared/kernel/limits.ts";
import {
  type ExchangeFigure,
  exchangeTable,
  summarize,
  type WayResult,
  wayTable,
} from "./bench-report.ts";
import { generate } from "./generate/generate.ts";
import { asProgram } from "./trial-bed.ts";

const day = "2026-01-15";
const ways = ["Daymill", "DuckDB, one query per model", "DuckDB, one shared table"] as const;
type Way = (typeof ways)[number];

/** Of all ways alike: a peak between two samples is not seen. */
const sampleEveryMs = 100;

interface Setting {
  readonly rows: number;
  readonly runs: number;
  readonly slots: number;
  readonly work: string;
  readonly jobFile: string;
  /** The same job as JSON, for the processes that do not read YAML. */
  readonly jobJson: string;
}

interface Measured {
  readonly seconds: number;
  readonly peakBytes: number;
  readonly exchangeBytes?: number;
  readonly exchangeRows?: number;
}

async function main(): Promise<number> {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  const { values } = parseArgs({
    options: { rows: text, runs: text, slots: text, work: text, json: flag, "exchange-only": flag },
  });
  const work = path.resolve(values.work ?? path.join(projectRoot(), ".cache", "bench"));
  mkdirSync(work, { recursive: true });
  const setting: Setting = {
    rows: wholeNumber("--rows", values.rows ?? "2000000", 1, 1e10),
    runs: wholeNumber("--runs", values.runs ?? "3", 1, 100),
    slots: wholeNumber("--slots", values.slots ?? "2", 1, limits.slotsPerExecutorMax),
    work,
    jobFile: path.join(projectRoot(), "jobs", "ipdr-daily.yaml"),
    jobJson: path.join(work, "job.json"),
  };
  const exchange = await exchangeAlone();
  const measured = values["exchange-only"] === true ? [] : await threeWays(setting);
  const summary = summarize(setting.rows, measured);
  if (values.json !== true) {
    if (summary.length > 0) console.log(`\n${wayTable(summary).join("\n")}`);
    console.log(`\n${exchangeTable(exchange).join("\n")}\n`);
  }
  const machine = { cores: os.cpus().length, node: process.version, memory: os.totalmem() };
  const { rows, runs, slots } = setting;
  console.log(JSON.stringify({ rows, runs, slots, machine, ways: summary, exchange }));
  return 0;
}

async function threeWays(setting: Setting): Promise<readonly WayResult[]> {
  const job = parseJob(await readJobBundle(setting.jobFile));
  writeFileSync(setting.jobJson, JSON.stringify(job));
  const data = path.join(setting.work, `data-${setting.rows}`);
  say(`making ${setting.rows} records`);
  await generate({ root: data, day, rows: setting.rows });
  settle(data);
  const found = new Map<Way, Measured[]>(ways.map((way) => [way, []]));
  for (let run = 1; run <= setting.runs; run += 1) {
    for (const way of inTurn(run)) {
      const root = path.join(setting.work, "run");
      clear(setting);
      for (const part of ["raw", "dims"]) linkTree(path.join(data, part), path.join(root, part));
      const measured =
        way === "Daymill" ? await runDaymill(setting, root) : await runPlain(setting, root, way);
      // A time without the right result is not told.
      await compare(setting, root, way);
      found.get(way)?.push(measured);
      say(`run ${run}: ${way}: ${measured.seconds.toFixed(2)} s, result equal to the reference`);
      clear(setting);
    }
  }
  return [...found].map(([name, runs]) => ({
    name,
    seconds: runs.map((run) => run.seconds),
    peakBytes: Math.max(...runs.map((run) => run.peakBytes)),
    ...exchanged(runs[0]),
  }));
}

/** What one way leaves to the disk and the processor costs the next one: each run begins with another way. */
function inTurn(run: number): readonly Way[] {
  const first = (run - 1) % ways.length;
  return [...ways.slice(first), ...ways.slice(0, first)];
}

/** What a run has made, its cluster's log of messages too: nobody else's time goes into writing it to the disk. */
function clear({ work }: Setting): void {
  for (const made of ["run", "cluster"]) {
    rmSync(path.join(work, made), { recursive: true, force: true });
  }
}

/** All that is there is on the disk, and in the page cache as well. */
function settle(folder: string): void {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = openSync(path.join(entry.parentPath, entry.name), "r");
    fsyncSync(file);
    readFileSync(file);
    closeSync(file);
  }
}

function exchanged(run: Measured | undefined) {
  if (run?.exchangeBytes === undefined || run.exchangeRows === undefined) return {};
  return { exchangeBytes: run.exchangeBytes, exchangeRows: run.exchangeRows };
}

/** A fresh cluster, with a fresh NATS: nothing can be re-used. Timed from submit to commit. */
async function runDaymill(setting: Setting, root: string): Promise<Measured> {
  const cluster = await startLocalCluster({
    work: path.join(setting.work, "cluster"),
    storageRoot: root,
    executors: setting.slots,
    slots: 1,
    threads: 1,
  });
  const sampler = new MemorySampler(() => cluster.processes(), sampleEveryMs);
  const client = new DaymillClient({
    coordinators: cluster.coordinators.map((coordinator) => coordinator.address),
  });
  try {
    await client.leader();
    const startedAt = performance.now();
    const bundle = await readJobBundle(setting.jobFile);
    const { runId } = await client.submit({ bundle }, day);
    const run = await client.wait(runId);
    const seconds = (performance.now() - startedAt) / 1_000;
    if (run.state !== "committed") {
      const reason = run.failure?.message ?? "no reason was given";
      throw fail("internal", `run ${runId} ended ${run.state}: ${reason}; logs: ${cluster.logs}`);
    }
    sampler.sample();
    const { exchangeBytes, exchangeRows } = run;
    return { seconds, peakBytes: sampler.totalPssBytes(), exchangeBytes, exchangeRows };
  } finally {
    sampler.stop();
    client.close();
    await cluster.stop();
  }
}

/** Plain DuckDB with as many threads as Daymill has slots. */
async function runPlain(setting: Setting, root: string, way: Way): Promise<Measured> {
  const program = fileURLToPath(new URL("./bench-plain.js", import.meta.url));
  const mode = way === "DuckDB, one shared table" ? "table" : "model";
  const threads = String(setting.slots);
  const { output, peakBytes } = await runNode([
    program,
    ...["--mode", mode, "--job", setting.jobJson, "--root", root],
    ...["--day", day, "--threads", threads],
  ]);
  return { seconds: Number(JSON.parse(output).seconds), peakBytes };
}

async function compare(setting: Setting, root: string, way: Way): Promise<void> {
  const program = path.join(projectRoot(), "test", "reference", "reference.mjs");
  try {
    await runNode([program, "--job", setting.jobJson, "--root", root, "--day", day]);
  } catch (error) {
    throw fail("checkFailed", `${way}: the result differs: ${fromUnknown(error).message}`);
  }
}

/** The exchange without NATS, in a process of its own. */
async function exchangeAlone(): Promise<readonly ExchangeFigure[]> {
  const { output } = await runNode([
    fileURLToPath(new URL("./bench-exchange.js", import.meta.url)),
  ]);
  return JSON.parse(output);
}

/** Runs a Node program to its end: its standard output and the most memory it held (PSS). */
async function runNode(
  args: readonly string[],
): Promise<{ readonly output: string; readonly peakBytes: number }> {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const { pid } = child;
  const roots = pid === undefined ? [] : [{ name: "plain", pid }];
  const sampler = new MemorySampler(() => roots, sampleEveryMs);
  let output = "";
  let trouble = "";
  child.stdout.on("data", (data) => {
    output += data;
  });
  child.stderr.on("data", (data) => {
    trouble += data;
  });
  try {
    const code = await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", resolve);
    });
    if (code === 0) return { output, peakBytes: sampler.totalPssBytes() };
    const unequal = output.split("\n").filter((line) => line.includes('"equal":false'));
    throw fail("internal", [...unequal, trouble.trim()].join("\n"));
  } finally {
    sampler.stop();
    if (child.exitCode === null) child.kill("SIGKILL");
  }
}

/** The same files under another folder, without copying a byte. */
function linkTree(from: string, to: string): void {
  mkdirSync(to, { recursive: true });
  for (const entry of readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [path.join(from, entry.name), path.join(to, entry.name)];
    if (entry.isDirectory()) linkTree(source, target);
    else linkSync(source, target);
  }
}

function say(line: string): void {
  console.error(`bench: ${line}`);
}

await asProgram(import.meta.url, main);
