/** What people see of the stages of a run: what each makes, and what it sent over each exchange. */
import { expect, test } from "vitest";
import { noNegative, sampleJob } from "../sim/sample-job.ts";
import { Bench } from "./bench.ts";

function leader(): Bench {
  const bench = new Bench().lead();
  bench.attach(1);
  bench.attach(2);
  return bench;
}

test("what it makes, and what it sent over each exchange, also when the run has ended", () => {
  const bench = leader();
  bench.submit(sampleJob({ checks: [noNegative] }));
  const live = bench.run();
  expect(live.stages.map(({ label, source, makes }) => [label, source, makes])).toEqual([
    ["scan ipdr", "ipdr", []],
    ["reduce totals", "", ["totals"]],
  ]);
  expect(live.stages[0]?.exchanges).toEqual([{ exchange: "x0", sources: [], rows: 0, bytes: 0 }]);
  bench.work();
  const run = bench.run();
  expect(run.stages.map((stage) => stage.label)).toEqual(["scan ipdr", "reduce totals", "checks"]);
  const [sent] = run.stages[0]?.exchanges ?? [];
  expect(sent).toMatchObject({
    exchange: "x0",
    rows: run.exchangeRows,
    bytes: run.exchangeBytes,
  });
  expect(sent?.rows).toBe(4);
  expect(run.stages.slice(1).map((stage) => stage.exchanges)).toEqual([[], []]);
  expect(run.jobDigest).toMatch(/^[0-9a-f]{64}$/);
});

test("an output that is used again counts as sent", () => {
  const bench = leader();
  bench.submit();
  bench.work();
  bench.submit(sampleJob(), { rerun: true });
  bench.work();
  expect(bench.run(2).stages[0]).toMatchObject({
    reused: 4,
    exchanges: [{ exchange: "x0", rows: 4 }],
  });
});
