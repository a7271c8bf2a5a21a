/** The name of a map output changes with everything that its bytes depend on, and with nothing else. */

import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Run } from "../../coordinator/core/durable.ts";
import { buildWork, dayAfter, scanScope } from "../../coordinator/core/work-builder.ts";
import { canonicalJson, type Json } from "../../shared/kernel/canonical.ts";
import type { DimensionSpec, JobSpec, SourceSpec } from "../../shared/kernel/job.ts";
import { plainCsv } from "../../shared/kernel/job.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import { type FileFingerprint, mapKey, mapKeys, workText } from "../../shared/kernel/work.ts";
import { sampleFiles, sampleJob, samplePlan } from "../sim/sample-job.ts";

const appsFile: FileFingerprint = {
  path: "dims/apps.csv",
  size: 10,
  mtimeNs: "1",
  ctimeNs: "1",
  inode: "77",
};

const apps: DimensionSpec = {
  name: "apps",
  path: "dims/apps.csv",
  format: "csv",
  columns: [{ name: "app_id", type: "SMALLINT" }],
  csv: plainCsv,
};

const job = sampleJob({ dimensions: [apps] });
const [source] = job.sources;
if (source === undefined) throw new Error("the sample has a source");
const plan = joined(samplePlan());

/** The sample plan with the dimension joined in its scan. */
function joined(of: JobPlan): JobPlan {
  return { ...of, stages: of.stages.map((stage) => ({ ...stage, dimensions: ["apps"] })) };
}

interface Setting {
  readonly job: JobSpec;
  readonly plan: JobPlan;
  readonly files: readonly FileFingerprint[];
  readonly apps: FileFingerprint;
  readonly duckdb: string;
  readonly day: string;
}

const setting: Setting = {
  job,
  plan,
  files: sampleFiles(2),
  apps: appsFile,
  duckdb: "v1",
  day: "2026-01-15",
};

function runOf({ plan: planned, files, apps: file, duckdb, day }: Setting): Run {
  const stage = { id: "s0", kind: "scan", splits: [{ files }], tasks: [] } as never;
  return {
    id: `usage.${day}.r1`,
    job: "usage",
    day,
    revision: 1,
    jobDigest: "",
    duckdb,
    createdMs: 0,
    plan: planned,
    state: "running",
    stages: [stage],
    dimensions: new Map([["apps", file]]),
    exchanges: new Map(),
    warnings: [],
  };
}

function keyOf(of: Setting): string {
  const work = buildWork(of.job, runOf(of), 0, 0);
  if (work.kind !== "map") throw new Error("a scan is map work");
  return mapKey(work);
}

function withSource(changes: Partial<SourceSpec>): Setting {
  return { ...setting, job: { ...job, sources: [{ ...(source as SourceSpec), ...changes }] } };
}

function withScanSql(sql: string): Setting {
  const stages = plan.stages.map((stage, index) =>
    index > 0 ? stage : { ...stage, outputs: [{ kind: "exchange", exchange: "x0", sql } as const] },
  );
  return { ...setting, plan: { ...plan, stages } };
}

function withExchange(changes: object): Setting {
  const exchanges = plan.exchanges.map((exchange) => ({ ...exchange, ...changes }));
  return { ...setting, plan: { ...plan, exchanges } };
}

const touched = sampleFiles(2).map((file, index) =>
  index === 1 ? { ...file, mtimeNs: "9" } : file,
);
const eventTime = { column: "start_ms", outside: "reject", unit: "ms" } as const;
const usesTime = withScanSql("SELECT getvariable('logical_time') AS t FROM ipdr");

describe("another key", () => {
  const changes: Record<string, Setting> = {
    "dimension contents": { ...setting, apps: { ...appsFile, mtimeNs: "2" } },
    delimiter: withSource({ csv: { ...plainCsv, delimiter: ";" } }),
    "null string": withSource({ csv: { ...plainCsv, nullString: "\\N" } }),
    quote: withSource({ csv: { ...plainCsv, quote: '"' } }),
    "time zone": { ...setting, job: { ...job, timezone: "Asia/Kolkata" } },
    "partition count": withExchange({ partitions: 8 }),
    "group count": withExchange({ groups: 4 }),
    "exchange keys": withExchange({ keys: ["bytes"] }),
    SQL: withScanSql("SELECT msisdn, bytes + 1 AS bytes FROM ipdr"),
    "file bytes": { ...setting, files: touched },
    "another file": { ...setting, files: sampleFiles(3) },
    "a column's type": withSource({ columns: [{ name: "msisdn", type: "VARCHAR" }] }),
    format: withSource({ format: "csv.gz" }),
    "event time": withSource({ eventTime }),
    "DuckDB version": { ...setting, duckdb: "v2" },
  };

  test.each(Object.keys(changes))("%s", (name) => {
    expect(keyOf(changes[name] ?? setting)).not.toBe(keyOf(setting));
  });

  test("all of them differ from each other", () => {
    const keys = Object.values(changes).map(keyOf);
    expect(new Set(keys).size).toBe(keys.length);
  });

  test("the day, where the event time is compared with it", () => {
    const one = withSource({ eventTime });
    expect(keyOf({ ...one, day: "2026-01-16" })).not.toBe(keyOf(one));
  });

  test("the day, where the SQL asks what time it is", () => {
    const one = { ...usesTime, plan: { ...usesTime.plan, usesLogicalTime: true } };
    expect(keyOf({ ...one, day: "2026-01-16" })).not.toBe(keyOf(one));
  });
});

describe("the same key", () => {
  const changes: Record<string, Setting> = {
    "where files are looked for": withSource({ path: "elsewhere/{day}/*.csv" }),
    "the rejects limit": withSource({ rejectsMaxShare: 0.5 }),
    "whether empty files are allowed": withSource({ allowEmptyFiles: true }),
    "the day, where nothing asks for it": { ...setting, day: "2026-01-16" },
    "attempts per task": {
      ...setting,
      job: { ...job, execution: { ...job.execution, maxAttempts: 1 } },
    },
    "bytes per split": {
      ...setting,
      job: { ...job, execution: { ...job.execution, splitBytes: 1 } },
    },
    "a dimension's glob": {
      ...setting,
      job: { ...job, dimensions: [{ ...apps, path: "dims/{day}.csv" }] },
    },
    "what makes a day ready": {
      ...setting,
      job: { ...job, ready: { ipdr: { by: "marker", value: "_SUCCESS" } } },
    },
    "days of backlog": { ...setting, job: { ...job, backlogDays: 9 } },
    "what is done after the exchange": {
      ...setting,
      plan: { ...plan, stages: plan.stages.slice(0, 1), datasets: [] },
    },
    "another stage's use of the time": { ...setting, plan: { ...plan, usesLogicalTime: true } },
  };

  test.each(Object.keys(changes))("%s", (name) => {
    expect(keyOf(changes[name] ?? setting)).toBe(keyOf(setting));
  });
});

describe("the scope of kept outputs", () => {
  const scopeOf = (of: Setting) => {
    const [stage] = of.plan.stages;
    if (stage === undefined) throw new Error("a stage is planned");
    return scanScope(of.job, runOf(of), stage);
  };

  test("does not depend on files or dimension contents, so that a late file finds the others", () => {
    expect(scopeOf({ ...setting, files: sampleFiles(9), apps: touched[1] ?? appsFile })).toBe(
      scopeOf(setting),
    );
  });

  test("changes with what every output depends on", () => {
    const others = [withScanSql("SELECT 1"), withExchange({ partitions: 8 })];
    for (const other of others) expect(scopeOf(other)).not.toBe(scopeOf(setting));
  });
});

test("the day after", () => {
  const days = ["2026-01-15", "2026-01-31", "2024-02-28", "2026-02-28", "1999-12-31"];
  expect(days.map(dayAfter)).toEqual([
    "2026-01-16",
    "2026-02-01",
    "2024-02-29",
    "2026-03-01",
    "2000-01-01",
  ]);
});

describe("keys of a stage's tasks", () => {
  test("are those of their work, whatever the split holds", () => {
    const work = buildWork(job, runOf(setting), 0, 0);
    if (work.kind !== "map") throw new Error("stage 0 maps");
    const { split: _, ...frame } = work;
    const keyOfSplit = mapKeys(frame);
    const splits = [
      work.split,
      { files: [] },
      { files: sampleFiles(3, 7) },
      { files: sampleFiles(1), rows: { from: 122_880, to: 245_760 } },
      { files: sampleFiles(1).map((file) => ({ ...file, path: 'raw/"split":{é}.csv' })) },
    ];
    const keys = splits.map(keyOfSplit);
    expect(keys).toEqual(splits.map((split) => mapKey({ ...frame, split })));
    expect(new Set(keys).size).toBe(5);
  });

  test("hash every byte that the worker receives, those of the split last", () => {
    const work = buildWork(job, runOf(setting), 0, 0);
    if (work.kind !== "map") throw new Error("stage 0 maps");
    const { split, ...frame } = work;
    const texts = [frame, split].map((part) => canonicalJson(part as unknown as Json));
    const [rest = "", cut = ""] = texts;
    const whole = workText(work);
    const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
    expect(mapKey(work)).toBe(sha256(rest + cut));
    // The work is these two texts and nothing else: the second in its place among the members of the first.
    const at = whole.indexOf(`"split":${cut},`);
    expect(whole.slice(0, at) + whole.slice(at + `"split":${cut},`.length)).toBe(rest);
    // Keys of before hashed the work as it is: no key of today is one of those.
    expect(mapKey(work)).not.toBe(sha256(whole));
  });
});
