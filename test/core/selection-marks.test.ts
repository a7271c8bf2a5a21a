/** What a run of some models leaves as it is: the marks of its day, and what others know of the datasets it carries over. */
import { describe, expect, test } from "vitest";
import { upstreamOf } from "../../coordinator/core/days/upstream.ts";
import { wholeRevision } from "../../coordinator/core/selection.ts";
import { must } from "../../shared/kernel/assert.ts";
import { failure } from "../../shared/kernel/failure.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { sampleFiles } from "../sim/sample-job.ts";
import { Bench, day } from "./bench.ts";
import { committed, job, plan, select } from "./selection-story.ts";

describe("what was not run stays what it was", () => {
  const daily = (changes: Partial<JobSpec> = {}) =>
    job({ schedule: "0 1 * * *", backlogDays: 0, ...changes });

  function scheduled(): Bench {
    const bench = new Bench();
    bench.wallFrom = Date.parse("2026-01-16T00:59:00Z");
    bench.memory.plan = plan();
    bench.lead();
    bench.attach(1, { slots: 8 });
    bench.register(daily({ workAhead: false }));
    bench.live(100_000);
    expect(bench.run(1).state).toBe("committed");
    return bench;
  }

  function stateOf(bench: Bench): string {
    const found = bench.backlog().days.find((one) => one.day === day);
    return `${found?.state}: ${found?.reason}`;
  }

  test("a day of another form of the job is stale, until all of it is made again", () => {
    const bench = scheduled();
    const models = daily().models.map((one) => ({ ...one, sql: `${one.sql} AS other` }));
    const changed = daily({ models, workAhead: false });
    bench.register(changed);
    bench.live(3_000);
    expect(stateOf(bench)).toMatch(/^stale: definition: revision 1 /);
    select(bench, ["heavy"], "usage");
    bench.live(5_000);
    expect(bench.run(2).state).toBe("committed");
    expect(stateOf(bench)).toMatch(/^stale: definition: revision 1 /);
    bench.submit("usage", { rerun: true });
    bench.live(5_000);
    expect(stateOf(bench)).toBe("done: revision 3");
  });

  test("a late file makes the whole day run again, also when some models have read it", () => {
    const bench = scheduled();
    bench.memory.inputs = sampleFiles(5);
    select(bench, ["totals"], "usage");
    bench.work();
    expect(bench.run(2)).toMatchObject({ state: "committed" });
    expect(bench.run(2).warnings).toEqual([
      "files of ipdr have changed since revision 1: datasets that this run does not make are of " +
        "the old ones; a run of the whole day makes them one again",
    ]);
    bench.live(150_000);
    expect(bench.run(3)).toMatchObject({ state: "committed", cause: "late input" });
    expect(stateOf(bench)).toBe("done: revision 3");
  });

  test("its failure is no failure of the day", () => {
    const bench = scheduled();
    select(bench, ["heavy"], "usage");
    const why = failure("sqlRefused", "no");
    for (const task of bench.takeTasks()) bench.fail(task, why);
    expect(bench.run(2)).toMatchObject({ state: "failed", select: ["heavy"] });
    expect(bench.state.durable.days.get(`usage|${day}`)?.failed).toBeUndefined();
    bench.live(5_000);
    expect(stateOf(bench)).toBe("done: revision 1");
    expect(bench.memory.views.get(`usage|${day}`)).toBe(1);
  });

  test("deliveries of what was carried over are no restatements", () => {
    const consumers = [{ name: "bi", datasets: ["totals", "cells"] }];
    const bench = committed(job({ consumers }));
    const wish = { job: "", consumer: "bi", day, by: "" };
    for (const name of ["totals", "cells"]) {
      bench.say({ kind: "acknowledge", wish: { ...wish, dataset: name, revision: 1 } });
    }
    select(bench, ["totals"], job({ consumers }));
    bench.work();
    const reply = bench.ask({ kind: "deliveries", job: "usage", days: 0 });
    expect(reply).toMatchObject({
      deliveries: [
        { dataset: "totals", revision: 2, kind: "restatement", state: "outstanding" },
        { dataset: "cells", revision: 1, kind: "first delivery", state: "acknowledged" },
      ],
    });
    // Whoever reads it in the new revision has what it had.
    bench.say({ kind: "acknowledge", wish: { ...wish, dataset: "cells", revision: 2 } });
    expect(bench.ask({ kind: "deliveries", job: "usage", days: 0 })).toMatchObject({
      deliveries: [{}, { revision: 1, kind: "first delivery", state: "acknowledged" }],
    });
  });
});

test("other jobs and backfills see the revision that made a dataset, not the one that carried it over", () => {
  const bench = committed();
  const reader = job({ name: "reader", after: [{ job: "usage", dataset: "cells" }] });
  const record = () => must(bench.state.durable.days.get(`usage|${day}`), "the day");
  const seen = () => upstreamOf(bench.state.durable, reader, day)[0]?.revision;
  expect([seen(), wholeRevision(record())]).toEqual([1, 1]);
  select(bench, ["totals+"]);
  bench.work();
  expect([record().committed, seen(), wholeRevision(record())]).toEqual([2, 1, 1]);
  select(bench, ["cells"]);
  bench.work();
  // All of it was made again since the first revision, bit by bit.
  expect([record().committed, seen(), wholeRevision(record())]).toEqual([3, 3, 2]);
});
