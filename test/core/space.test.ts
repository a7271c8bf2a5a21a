/** Room: what is swept, what is evicted, and who has to wait while it is short. */
import { describe, expect, test } from "vitest";
import {
  clusterOfStream,
  exchangePrefix,
  isExchangeStream,
} from "../../shared/kernel/exchange-names.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { sampleJob } from "../sim/sample-job.ts";
import { Bench } from "./bench.ts";

const job = sampleJob({ backlogDays: 10 });
const budget = limits.exchangeBytesBudget;

function leader(): Bench {
  const bench = new Bench().lead();
  bench.attach(1, { slots: 8 });
  bench.effects = [];
  return bench;
}

function submit(bench: Bench, day: string, rerun = false): void {
  bench.submit(job, { day, rerun });
}

function commit(bench: Bench, ...days: string[]): void {
  for (const day of days) {
    submit(bench, day);
    bench.work();
  }
}

function streamsOf(bench: Bench, day: string): readonly string[] {
  const kept = [...bench.state.durable.kept.values()].filter((one) => one.day === day);
  return kept.flatMap((one) => one.exchanges.flatMap((exchange) => exchange.streams));
}

/** Says how full the streams of a kept day are. */
function fill(bench: Bench, day: string, bytes: number): void {
  const streams = streamsOf(bench, day);
  for (const stream of streams) bench.memory.streamBytes.set(stream, bytes / streams.length);
}

function look(bench: Bench): void {
  bench.pass(limits.spaceLookEveryMs + limits.tickEveryMs, [1]);
}

function keptDays(bench: Bench): string[] {
  return [...bench.state.durable.kept.values()].map((kept) => kept.day);
}

describe("the budget", () => {
  test("within it everything stays", () => {
    const bench = leader();
    commit(bench, "2026-01-13", "2026-01-14");
    for (const day of ["2026-01-13", "2026-01-14"]) fill(bench, day, budget / 2);
    look(bench);
    expect(keptDays(bench)).toEqual(["2026-01-13", "2026-01-14"]);
    expect(bench.events()).not.toContain("exchange.evicted");
  });

  test("above it the oldest days go, no more than needed, whatever order they were run in", () => {
    const bench = leader();
    commit(bench, "2026-01-14", "2026-01-12", "2026-01-13");
    for (const day of keptDays(bench)) fill(bench, day, 0.6 * budget);
    const gone = [...streamsOf(bench, "2026-01-12"), ...streamsOf(bench, "2026-01-13")];
    bench.effects = [];
    look(bench);
    expect(keptDays(bench)).toEqual(["2026-01-14"]);
    expect([...bench.memory.streams.keys()]).toEqual(streamsOf(bench, "2026-01-14"));
    expect(gone).toHaveLength(4);
    const told = bench.effects.flatMap((one) => (one.kind === "publishEvent" ? [one] : []));
    expect(told).toMatchObject([
      { event: "exchange.evicted", job: "usage", day: "2026-01-12", data: { streams: 2 } },
      { event: "exchange.evicted", job: "usage", day: "2026-01-13", data: { source: "ipdr" } },
    ]);
  });

  test("a fact is saved before its streams are dropped", () => {
    const bench = leader();
    commit(bench, "2026-01-12", "2026-01-13");
    for (const day of keptDays(bench)) fill(bench, day, budget);
    bench.hold = (ask) => ask.kind === "append";
    look(bench);
    expect(keptDays(bench)).toEqual(["2026-01-13"]);
    expect(bench.memory.streams.size).toBe(4);
    bench.hold = () => false;
    bench.release();
    expect(bench.memory.streams.size).toBe(2);
  });

  test("outputs of a day that is being run again stay, though it is the oldest", () => {
    const bench = leader();
    commit(bench, "2026-01-12", "2026-01-13");
    for (const day of keptDays(bench)) fill(bench, day, 0.6 * budget);
    submit(bench, "2026-01-12", true);
    look(bench);
    expect(keptDays(bench)).toEqual(["2026-01-12"]);
    expect(bench.work().map((work) => work.kind)).toEqual(["reduce", "reduce"]);
  });

  test("a day whose outputs were evicted is read again", () => {
    const bench = leader();
    commit(bench, "2026-01-12");
    fill(bench, "2026-01-12", 2 * budget);
    look(bench);
    submit(bench, "2026-01-12", true);
    expect(bench.work().filter((work) => work.kind === "map")).toHaveLength(4);
    const again = bench.ask({ kind: "run", run: "usage.2026-01-12.r2" });
    expect(again).toMatchObject({ run: { state: "committed" } });
  });

  test("a full server makes room although the budget is not reached", () => {
    const bench = leader();
    commit(bench, "2026-01-12", "2026-01-13");
    for (const day of keptDays(bench)) fill(bench, day, budget / 4);
    submit(bench, "2026-01-14");
    const [task] = bench.takeTasks();
    if (task === undefined) throw new Error("a task was sent");
    bench.fail(task, failure("exchangeFull", "no room"));
    bench.pass(limits.spaceLookWhenFullMs + limits.tickEveryMs, [1]);
    expect(keptDays(bench)).toEqual(["2026-01-13", "2026-01-14"]);
  });
});

describe("while it is short", () => {
  test("maps of older days wait for the newest live day, and go on after it", () => {
    const bench = new Bench().lead();
    bench.attach(1, { slots: 1 });
    bench.effects = [];
    submit(bench, "2026-01-12");
    submit(bench, "2026-01-13");
    bench.memory.bytesPerStream = budget;
    look(bench);
    const runs: string[] = [];
    for (let tasks = bench.takeTasks(); tasks.length > 0; tasks = bench.takeTasks()) {
      runs.push(...tasks.map((task) => `${task.delivery.run} ${task.work.kind}`));
      for (const task of tasks) bench.finish(task);
    }
    // One of the older day had been sent before.
    expect(runs.map((run) => run.slice(6))).toEqual([
      "2026-01-12.r1 map",
      ...Array.from({ length: 4 }, () => "2026-01-13.r1 map"),
      ...Array.from({ length: 2 }, () => "2026-01-13.r1 reduce"),
      ...Array.from({ length: 3 }, () => "2026-01-12.r1 map"),
      ...Array.from({ length: 2 }, () => "2026-01-12.r1 reduce"),
    ]);
  });

  test("a look that finds room again lets them go", () => {
    const bench = leader();
    const sent = () => new Set(bench.takeTasks().map((task) => task.delivery.run));
    submit(bench, "2026-01-13");
    expect(sent()).toEqual(new Set(["usage.2026-01-13.r1"]));
    bench.memory.bytesPerStream = budget;
    look(bench);
    submit(bench, "2026-01-12");
    look(bench);
    expect(sent()).toEqual(new Set());
    bench.memory.bytesPerStream = 0;
    look(bench);
    expect(sent()).toEqual(new Set(["usage.2026-01-12.r1"]));
  });
});

describe("the sweep", () => {
  test("of a new leader takes away what no live run and no kept output stands on", () => {
    const old = leader();
    commit(old, "2026-01-12");
    submit(old, "2026-01-13");
    for (const task of old.takeTasks()) old.finish(task);
    const wanted = new Set(old.memory.streams.keys());
    const { memory } = old;
    memory.streams.set(`${exchangePrefix("test")}0123456789abcdef0123_x0_n1_g0`, new Map());
    const others = [`${exchangePrefix("test_2")}0123456789abcdef0123_x0_n1_g0`, "another"];
    for (const stream of others) memory.streams.set(stream, new Map());
    const staged = [...memory.files.keys()].filter((path) => path.startsWith("staging/"));
    memory.files.set("staging/usage.2026-01-12.r1/s1-0-x/totals-0.parquet", []);
    memory.files.set("staging/gone.2026-01-01.r3/s1-0-x/totals-0.parquet", []);
    memory.files.set("staging/usage.2026-01-13.r1/s1-9-x/totals-9.parquet", []);
    expect(staged).toEqual([]);
    const next = new Bench(memory, "c2");
    next.at = old.at;
    next.lead();
    expect(new Set(memory.streams.keys())).toEqual(new Set([...wanted, ...others]));
    expect(memory.stagedRuns()).toEqual(["usage.2026-01-13.r1"]);
    next.attach(1, { incarnation: 2 });
    next.work();
    const done = next.ask({ kind: "run", run: "usage.2026-01-13.r1" });
    expect(done).toMatchObject({ run: { state: "committed" } });
  });

  test("waits while a run is being planned: its streams have no name yet", () => {
    const bench = leader();
    const stray = `${exchangePrefix("test")}0123456789abcdef0123_x0_n1_g0`;
    bench.hold = (ask) => ask.kind === "listInputs";
    submit(bench, "2026-01-12");
    bench.memory.streams.set(stray, new Map());
    look(bench);
    expect(bench.memory.streams.has(stray)).toBe(true);
    bench.hold = () => false;
    bench.release();
    look(bench);
    expect(bench.memory.streams.has(stray)).toBe(false);
  });

  test("finds soon what an attempt wrote after its run had ended", () => {
    const bench = leader();
    commit(bench, "2026-01-12");
    bench.memory.files.set("staging/usage.2026-01-12.r1/s1-0-late/totals-0.parquet", []);
    bench.pass(limits.purgeAfterMs + limits.tickEveryMs, [1]);
    expect(bench.memory.stagedRuns()).toEqual([]);
  });

  test("a drop that failed is left to the next look", () => {
    const bench = leader();
    let failures = 0;
    bench.override = (ask) => {
      if (ask.kind !== "dropStaging" || failures > 0) return undefined;
      failures++;
      return { kind: "failed", failure: failure("storageFailed", "no") };
    };
    bench.memory.files.set("staging/gone.2026-01-01.r3/a/totals-0.parquet", []);
    look(bench);
    expect([failures, bench.memory.stagedRuns()]).toEqual([1, ["gone.2026-01-01.r3"]]);
    look(bench);
    expect(bench.memory.stagedRuns()).toEqual([]);
  });
});

test("a cluster knows its own streams from those of a cluster whose name begins alike", () => {
  const name = "DMX_a_0123456789abcdef0123_x0_n1_g12";
  expect(isExchangeStream("a", name)).toBe(true);
  expect(isExchangeStream("a", name.replace("DMX_a_", "DMX_a_b_"))).toBe(false);
  expect(isExchangeStream("a_b", name)).toBe(false);
  expect(isExchangeStream("a", `${name}_fresh`)).toBe(false);
  const other = name.replace("DMX_a_", "DMX_a_b_");
  expect([name, other, `${name}_fresh`].map(clusterOfStream)).toEqual(["a", "a_b", undefined]);
});
