/** A day of a job with three models of two sources, on a bench: what runs of some of the models are tried on. */
import { expect } from "vitest";
import { must } from "../../shared/kernel/assert.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import { sampleJob, samplePlan } from "../sim/sample-job.ts";
import { Bench, day } from "./bench.ts";

const ipdr = must(sampleJob().sources[0], "a source");

/** totals and heavy (which reads totals) of one source, cells of another. */
export function job(changes: Partial<JobSpec> = {}): JobSpec {
  const model = (name: string) => ({ name, sql: `SELECT '${name}'`, file: `${name}.sql` });
  return sampleJob({
    sources: [ipdr, { ...ipdr, name: "calls" }],
    models: ["totals", "heavy", "cells"].map(model),
    ...changes,
  });
}

const columns = [{ name: "n", type: "BIGINT" }];
const dataset = (model: string, sql: string) =>
  ({ kind: "dataset", model, sql, columns, single: false }) as const;

export function plan(): JobPlan {
  const s0 = must(samplePlan().stages[0], "a scan");
  const scan = (id: string, source: string, exchange: string) => ({
    ...s0,
    id,
    input: { kind: "scan", source, keep: ["msisdn"], files: false } as const,
    outputs: [{ kind: "exchange", exchange, sql: `SELECT * FROM ${source}` } as const],
  });
  const reduce = (id: string, exchange: string, outputs: ReturnType<typeof dataset>[]) => ({
    id,
    input: { kind: "exchange", exchanges: [exchange] } as const,
    dimensions: [],
    tables: [
      { name: "totals_t", sql: "SELECT 1", materialize: true },
      { name: "heavy_t", sql: "SELECT * FROM totals_t", materialize: true },
    ],
    outputs,
  });
  return {
    stages: [
      scan("s0", "ipdr", "x0"),
      scan("s1", "calls", "x1"),
      reduce("s2", "x0", [
        dataset("totals", "SELECT * FROM totals_t"),
        dataset("heavy", "SELECT * FROM heavy_t"),
      ]),
      reduce("s3", "x1", [dataset("cells", "SELECT 1")]),
    ],
    exchanges: ["x0", "x1"].map((id) => ({ id, columns, keys: ["n"], partitions: 4, groups: 2 })),
    datasets: [
      { model: "totals", stage: "s2", columns },
      { model: "heavy", stage: "s2", columns },
      { model: "cells", stage: "s3", columns },
    ],
    reads: { heavy: ["totals"] },
    usesLogicalTime: false,
  };
}

/** A leader that has committed the day as revision 1. */
export function committed(whole = job()): Bench {
  const bench = new Bench();
  bench.memory.plan = plan();
  bench.lead();
  bench.attach(1);
  bench.submit(whole);
  bench.work();
  expect(bench.run(1).state).toBe("committed");
  bench.effects = [];
  return bench;
}

export function select(bench: Bench, texts: readonly string[], of: JobSpec | string = job()) {
  return bench.replyTo(bench.submit(of, { select: texts }));
}

export function refusal(reply: ReturnType<typeof select>): string {
  if (reply?.kind !== "failed") throw new Error(`not refused: ${JSON.stringify(reply)}`);
  return `${reply.failure.code}: ${reply.failure.message}`;
}

export const manifest = (bench: Bench, revision: number) =>
  bench.memory.manifests.get(`usage.${day}.r${revision}`);

/** `dataset: files` and, for one that was carried over, from where. */
export function made(bench: Bench, revision: number): string[] {
  return (manifest(bench, revision)?.datasets ?? []).map(({ dataset: name, files, madeIn }) => {
    const from = madeIn === undefined ? "" : ` of r${madeIn}`;
    return `${name}${from}: ${files.map(({ path }) => path).join(" ")}`;
  });
}

export function rows(bench: Bench, revision: number, model: string): readonly string[] {
  const found = manifest(bench, revision)?.datasets.find(({ dataset: name }) => name === model);
  return (found?.files ?? []).flatMap(({ path }) => bench.memory.files.get(path) ?? []);
}
