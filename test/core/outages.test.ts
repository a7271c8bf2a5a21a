/** Streams that can't be reached although NATS answers: their exchange is made anew. */
import { describe, expect, test } from "vitest";
import { nextGeneration } from "../../shared/kernel/exchange-names.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { carryOut } from "../sim/executor-model.ts";
import { Bench, day, type SentTask } from "./bench.ts";

const run = `usage.${day}.r1`;

function streamsOf(bench: Bench): readonly string[] {
  const { exchanges } = bench.state.durable.runs.get(run) ?? { exchanges: new Map() };
  return exchanges.get("x0")?.streams ?? [];
}

/** From now on streams of this generation can't be looked at. */
function loseGeneration(bench: Bench, generation: number): void {
  bench.override = (ask) => {
    if (ask.kind !== "ensureStreams") return undefined;
    const stream = ask.streams.find((name) => name.includes(`_n${generation}_`));
    if (stream === undefined) return undefined;
    return { kind: "failed", failure: failure("unavailable", "no answer", { stream }) };
  };
}

/** Half of the maps are done, two are running; then one of those says that its stream does not answer. */
function broken(): { bench: Bench; running: SentTask } {
  const bench = new Bench().lead();
  bench.attach(1);
  bench.submit();
  for (const task of bench.takeTasks()) bench.finish(task);
  const [failing, running] = bench.takeTasks();
  if (failing === undefined || running === undefined) throw new Error("two tasks run");
  loseGeneration(bench, 1);
  const detail = { stream: streamsOf(bench)[1] ?? "" };
  bench.fail(failing, failure("unavailable", "not acknowledged", detail));
  return { bench, running };
}

const patienceMs = limits.exchangeUnreachableMs + limits.retryBackoffMsMax + limits.tickEveryMs;

describe("an exchange that can't be reached", () => {
  test("is waited for, and used again when it is back in time", () => {
    const { bench } = broken();
    const before = streamsOf(bench);
    bench.pass(limits.exchangeUnreachableMs / 2, [1]);
    expect(streamsOf(bench)).toEqual(before);
    bench.override = () => undefined;
    bench.pass(limits.retryBackoffMsMax + 200, [1]);
    expect(bench.state.outages.size).toBe(0);
    expect(bench.run().stages[0]).toMatchObject({ done: 2 });
  });

  test("is made anew after a while: all its maps run again, and the day is whole", () => {
    const { bench, running } = broken();
    const before = streamsOf(bench);
    bench.pass(patienceMs, [1]);
    expect(streamsOf(bench)).toEqual(nextGeneration(before));
    expect(bench.run().stages[0]).toMatchObject({ done: 0 });
    const tasks = bench.takeTasks();
    expect(tasks.every((task) => task.delivery.outputs[0]?.streams[0]?.includes("_n2_"))).toBe(
      true,
    );
    // One that wrote to the old streams can't win with rows that nobody looks for there.
    const late = carryOut(bench.memory, running.work, running.delivery);
    bench.report(running, late);
    expect(bench.run().stages[0]).toMatchObject({ done: 0 });
    for (const task of tasks) bench.finish(task);
    for (let round = 0; round < 4; round++) {
      bench.pass(limits.retryBackoffMsMax, [1]);
      bench.work();
    }
    expect(bench.run()).toMatchObject({ state: "committed" });
    const manifest = bench.memory.manifests.get(run);
    const files = manifest?.datasets.flatMap((dataset) => dataset.files) ?? [];
    expect(files.flatMap((file) => bench.memory.files.get(file.path) ?? [])).toHaveLength(8);
    // The old streams are nobody's: the next look drops them. A re-run finds what is kept in the new ones.
    bench.pass(limits.spaceLookEveryMs, [1]);
    expect([...bench.memory.streams.keys()].every((stream) => stream.includes("_n2_"))).toBe(true);
    bench.submit("usage", { rerun: true });
    expect(bench.work().map((work) => work.kind)).toEqual(["reduce", "reduce"]);
  });

  test("is not moved on and on when the new place is no better", () => {
    const { bench } = broken();
    bench.override = (ask) => {
      if (ask.kind !== "ensureStreams") return undefined;
      const [stream = ""] = ask.streams;
      return { kind: "failed", failure: failure("unavailable", "no answer", { stream }) };
    };
    bench.pass(3 * patienceMs, [1]);
    const [stream = ""] = streamsOf(bench);
    expect(Number(/_n(\d+)_/.exec(stream)?.[1])).toBeLessThanOrEqual(4);
    expect(Number(/_n(\d+)_/.exec(stream)?.[1])).toBeGreaterThanOrEqual(3);
  });

  test("is not moved to streams that are just being dropped as nobody's", () => {
    const { bench } = broken();
    const left = nextGeneration(streamsOf(bench));
    for (const stream of left) bench.memory.streams.set(stream, new Map());
    bench.hold = (ask) => ask.kind === "dropStreams";
    bench.pass(patienceMs, [1]);
    expect(bench.heldAsks[0]).toMatchObject({ kind: "dropStreams", streams: left });
    expect(streamsOf(bench)).toEqual(nextGeneration(left));
  });

  test("is not given up by a leader that only waits for a full server", () => {
    const { bench } = broken();
    const before = streamsOf(bench);
    bench.override = (ask) => {
      if (ask.kind !== "ensureStreams") return undefined;
      return { kind: "failed", failure: failure("exchangeFull", "no room") };
    };
    bench.pass(2 * patienceMs, [1]);
    expect(streamsOf(bench)).toEqual(before);
  });
});
