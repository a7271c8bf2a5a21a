/** Job files that are too large in one way or another are refused before anything is planned. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseJob, readJobBundle } from "../../shared/adapters/job-file.ts";
import { type Failure, fromUnknown } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";

interface Shape {
  readonly columns?: number;
  readonly models?: number;
  readonly execution?: string;
}

function job({ columns = 1, models = 1, execution = "" }: Shape): string {
  const named = Array.from({ length: columns }, (_, index) => `c${index}: INT`).join(", ");
  const made = Array.from({ length: models }, (_, index) => `m${index}: { sql: m${index}.sql }`);
  return `name: big
sources:
  s: { path: "raw/{day}/*.csv", format: csv, columns: { ${named} } }
models: { ${made.join(", ")} }
${execution}`;
}

function refusal(jobYaml: string, sql: string): Failure | undefined {
  const names = Array.from({ length: 300 }, (_, index) => [`m${index}.sql`, sql] as const);
  try {
    parseJob({ jobPath: "job.yaml", jobYaml, sqlFiles: Object.fromEntries(names) });
    return undefined;
  } catch (error) {
    return fromUnknown(error);
  }
}

const select = "SELECT c0 FROM s";

test.each<[string, string, string, string]>([
  ["columns", job({ columns: limits.columnsPerTableMax + 1 }), select, "at most 1000 columns"],
  ["models", job({ models: limits.modelsPerJobMax + 1 }), select, "at most 200 models"],
  ["SQL", job({}), "x".repeat(limits.sqlBytesMax + 1), "the SQL file m0.sql is too large"],
  ["partitions", job({ execution: "execution: { partitions: 4097 }" }), select, "4096"],
  ["groups", job({ execution: "execution: { groups: 65 }" }), select, "64"],
])("too many %s are named", (_what, yaml, sql, words) => {
  const why = refusal(yaml, sql);
  expect(why?.code).toBe("jobInvalid");
  expect(why?.message).toContain(words);
});

test("as many as allowed are accepted", () => {
  const most = { columns: limits.columnsPerTableMax, models: limits.modelsPerJobMax };
  const execution = "execution: { partitions: 4096, groups: 64 }";
  expect(refusal(job({ ...most, execution }), select)).toBeUndefined();
});

test("a job whose SQL is too large together is refused where it is read", async () => {
  const folder = mkdtempSync(join(tmpdir(), "daymill-job-"));
  try {
    const models = Math.ceil(limits.jobBundleBytesMax / limits.sqlBytesMax) + 1;
    writeFileSync(join(folder, "job.yaml"), job({ models }));
    for (let index = 0; index < models; index++) {
      writeFileSync(join(folder, `m${index}.sql`), "x".repeat(limits.sqlBytesMax));
    }
    const why = await readJobBundle(join(folder, "job.yaml")).then(
      () => undefined,
      (error: unknown) => fromUnknown(error),
    );
    expect(why?.code).toBe("jobInvalid");
    expect(why?.message).toContain("the job with its SQL is over 4194304 bytes");
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
