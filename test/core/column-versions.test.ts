/**
 * A job whose source had other columns before: what is planned and read for a day is the job as it is on that day, and
 * a job that would wait for itself is refused.
 */
import { describe, expect, test } from "vitest";
import type { Ask } from "../../coordinator/core/protocol.ts";
import type { Column, JobSpec } from "../../shared/kernel/job.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import { type MapWork, mapKey } from "../../shared/kernel/work.ts";
import { sampleJob, samplePlan } from "../sim/sample-job.ts";
import { Bench, day } from "./bench.ts";

const msisdn: Column = { name: "msisdn", type: "BIGINT" };
const bytes: Column = { name: "bytes", type: "BIGINT" };
const app: Column = { name: "app", type: "VARCHAR" };

/** The sample job; from `from` on its files have `app`, too. */
function withApp(from: string, changes: Partial<JobSpec> = {}): JobSpec {
  const [source] = sampleJob().sources;
  if (source === undefined) throw new Error("the sample has a source");
  const now = [msisdn, bytes, app];
  const versions = [{ columns: [msisdn, bytes] }, { from, columns: now }];
  return sampleJob({ sources: [{ ...source, columns: now, versions }], ...changes });
}

function leader(): Bench {
  const bench = new Bench().lead();
  bench.attach(1);
  bench.effects = [];
  return bench;
}

type Planning = Extract<Ask, { kind: "planJob" }>;

function planAsks({ effects }: Bench): readonly Planning[] {
  return effects.filter((effect): effect is Planning => effect.kind === "planJob");
}

function planReading(keep: readonly string[]): JobPlan {
  const plan = samplePlan();
  const stages = plan.stages.map((stage) =>
    stage.input.kind === "scan" ? { ...stage, input: { ...stage.input, keep } } : stage,
  );
  return { ...plan, stages };
}

/** The first map work that a submit of the job leads to. */
function mapWork(job: JobSpec, plan = samplePlan()): MapWork {
  const bench = leader();
  bench.memory.plan = plan;
  bench.submit(job);
  const [task] = bench.takeTasks();
  if (task?.work.kind !== "map") throw new Error("no map task was sent");
  return task.work;
}

describe("the form of a day", () => {
  test("is planned and read; of a new job every other form is planned as well", () => {
    const bench = leader();
    bench.submit(withApp("2026-01-16"));
    const [asked] = planAsks(bench);
    expect(asked?.job.sources[0]).toMatchObject({ columns: [msisdn, bytes], absent: [app] });
    const others = asked?.others?.map(({ from, job }) => [from, job.sources[0]?.columns.length]);
    expect(others).toEqual([
      ["0001-01-01", 2],
      ["2026-01-16", 3],
    ]);
    bench.work();
    expect(bench.run().state).toBe("committed");
    bench.effects = [];
    bench.submit(withApp("2026-01-16"), { day: "2026-01-16", requestId: "next" });
    const [next] = planAsks(bench);
    expect(next?.job.sources[0]).toMatchObject({ columns: [msisdn, bytes, app] });
    expect(next?.job.sources[0]).not.toHaveProperty("absent");
    expect(next).not.toHaveProperty("others");
  });

  test("names map outputs: a new column that the SQL does not read voids nothing of the days before", () => {
    const before = mapWork(sampleJob());
    const after = mapWork(withApp("2026-01-16"));
    expect(mapKey(after)).toBe(mapKey(before));
  });

  test("a column that the files lack is told to the stages that read it", () => {
    const work = mapWork(withApp("2026-01-16"), planReading(["msisdn", "bytes", "app"]));
    expect(work.source).toMatchObject({ columns: [msisdn, bytes], absent: [app] });
    expect(work.source).not.toHaveProperty("versions");
  });

  test("a day on which the files have the column has another map key", () => {
    expect(mapKey(mapWork(withApp(day)))).not.toBe(mapKey(mapWork(withApp("2026-01-16"))));
  });

  test("a day before the first version that says a day is refused with a way out", () => {
    const bench = leader();
    const [source] = withApp(day).sources;
    const versions = [{ from: "2026-01-20", columns: [msisdn, bytes] }];
    const job = sampleJob({ sources: source ? [{ ...source, versions }] : [] });
    const reply = bench.submit(job);
    expect(bench.replyTo(reply)).toMatchObject({
      kind: "failed",
      failure: {
        code: "badRequest",
        message: `the columns of source ipdr are told from 2026-01-20 on, not for ${day}: add the version of the days before to the job file, or begin with a later day`,
      },
    });
    expect(planAsks(bench)).toEqual([]);
  });
});

describe("jobs that wait for each other", () => {
  const waiting = (name: string, ...upstream: readonly string[]): JobSpec =>
    sampleJob({ name, after: upstream.map((job) => ({ job, dataset: "totals" })) });

  test("a ring is refused where it is closed, and names itself", () => {
    const bench = leader();
    bench.submit(waiting("a", "b"), { requestId: "a" });
    bench.work();
    bench.submit(waiting("b", "c"), { requestId: "b", day: "2026-01-16" });
    const reply = bench.submit(waiting("c", "a"), { requestId: "c", day: "2026-01-17" });
    expect(bench.replyTo(reply)).toMatchObject({
      kind: "failed",
      failure: {
        code: "jobInvalid",
        message:
          "job c: after: jobs wait for each other in a ring (c waits for a, a waits for b, b waits for c): no day of them could ever begin; take one of these out",
      },
    });
    // Another form of a job replaces the one that closed the ring.
    bench.submit(waiting("a"), { requestId: "a2", day: "2026-01-18" });
    const again = bench.submit(waiting("c", "a"), { requestId: "c2", day: "2026-01-19" });
    expect(bench.replyTo(again)).toMatchObject({ kind: "submitted", created: true });
  });

  test("two that are submitted at the same time close no ring either", () => {
    const bench = leader();
    bench.hold = (ask) => ask.kind === "planJob";
    bench.submit(waiting("a", "b"), { requestId: "a" });
    const reply = bench.submit(waiting("b", "a"), { requestId: "b" });
    expect(bench.replyTo(reply)).toMatchObject({ failure: { code: "jobInvalid" } });
  });
});
