/**
 * Job files: what is accepted with which defaults, and what each mistake is told: file, line, field, way out.
 */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { canonicalType } from "../../shared/adapters/job-fields.ts";
import { parseJob, readJobBundle } from "../../shared/adapters/job-file.ts";
import { projectRoot } from "../../shared/adapters/project.ts";
import { type Failure, fromUnknown } from "../../shared/kernel/failure.ts";
import { editDistance, nearestName } from "../../shared/kernel/nearest.ts";

const good = `name: sales-daily
sources:
  sales:
    path: raw/{day}/*.csv
    format: csv
    columns: { id: INT, amount: "decimal(10, 2)", note: text }
models:
  totals: { sql: models/totals.sql }
`;

const sql = { "models/totals.sql": "SELECT sum(amount) AS amount FROM sales" };

function parse(jobYaml: string) {
  return parseJob({ jobPath: "job.yaml", jobYaml, sqlFiles: sql });
}

function withLate(jobYaml: string): string {
  const rule = "    event_time: { column: id, outside: late_table }\n";
  return jobYaml.replace("models:\n", `${rule}models:\n`);
}

function refusal(jobYaml: string): Failure {
  try {
    parse(jobYaml);
  } catch (error) {
    return fromUnknown(error);
  }
  throw new Error("it was accepted");
}

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function write(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), "daymill-job-"));
  folders.push(folder);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return folder;
}

describe("accepted", () => {
  test("the smallest job, with every default", () => {
    const csv = {
      delimiter: ",",
      quote: "",
      escape: "",
      header: false,
      nullString: "",
      timestampFormat: "",
      dateFormat: "",
      decimalSeparator: ".",
    };
    expect(parse(good)).toEqual({
      name: "sales-daily",
      timezone: "UTC",
      sources: [
        {
          name: "sales",
          path: "raw/{day}/*.csv",
          format: "csv",
          columns: [
            { name: "id", type: "INTEGER" },
            { name: "amount", type: "DECIMAL(10,2)" },
            { name: "note", type: "VARCHAR" },
          ],
          csv,
          rejectsMaxShare: 0,
          allowEmptyFiles: false,
        },
      ],
      dimensions: [],
      models: [{ name: "totals", sql: sql["models/totals.sql"], file: "models/totals.sql" }],
      checks: [],
      backlogDays: 7,
      execution: { partitions: 32, groups: 8, splitBytes: 128 * 1024 * 1024, maxAttempts: 4 },
    });
  });

  test("everything given is taken over", () => {
    const job = parse(`${good}
timezone: Asia/Kolkata
schedule: { cron: "0 1 * * *" }
dimensions:
  shops:
    path: dims/shops.csv
    format: csv
    csv: { delimiter: ";", quote: '"', header: true, null: "NULL", decimal_separator: "," }
    columns: [ { name: shop, type: BIGINT }, { name: city, type: VARCHAR } ]
checks:
  - { model: totals, sql: "SELECT 1", expect: 1 }
  - { name: named, model: totals, sql: "SELECT 2", expect: null, severity: warn }
deadline: { finish_by: "06:00" }
backlog: { days: 3 }
retention: { revisions: 0, revisions_bytes: 500GiB, rejects_days: 14 }
execution: { partitions: 64, groups: 16, split_bytes: 64MiB, max_attempts: 2 }
`);
    expect(job.timezone).toBe("Asia/Kolkata");
    expect([job.schedule, job.finishBy, job.backlogDays]).toEqual(["0 1 * * *", "06:00", 3]);
    expect(job.retention).toEqual({
      revisions: 0,
      revisionsBytes: 500 * 1024 ** 3,
      rejectsDays: 14,
      lateDays: 90,
    });
    expect(job.execution).toEqual({
      partitions: 64,
      groups: 16,
      splitBytes: 67_108_864,
      maxAttempts: 2,
    });
    expect(job.dimensions[0]?.csv).toMatchObject({
      delimiter: ";",
      quote: '"',
      escape: '"',
      header: true,
      nullString: "NULL",
      decimalSeparator: ",",
    });
    expect(job.dimensions[0]?.columns).toEqual([
      { name: "shop", type: "BIGINT" },
      { name: "city", type: "VARCHAR" },
    ]);
    expect(job.checks).toEqual([
      { name: "totals-1", model: "totals", sql: "SELECT 1", expect: 1, severity: "block" },
      { name: "named", model: "totals", sql: "SELECT 2", expect: null, severity: "warn" },
    ]);
  });

  test("that duplicate files count is said beside the sources, too, and only when they do", () => {
    const job = parse(good.replace("format:", "duplicates: keep\n    format:"));
    expect(job.duplicates).toEqual({ sales: "keep" });
    expect(job.sources).toEqual(parse(good).sources);
    expect(parse(good)).not.toHaveProperty("duplicates");
    expect(parse(good.replace("format:", "duplicates: drop\n    format:"))).toEqual(parse(good));
    expect(() => parse(good.replace("format:", "duplicates: never\n    format:"))).toThrow(
      /sources\.sales\.duplicates: one of drop, keep is expected/,
    );
  });

  test("the example job of the project", async () => {
    const job = parseJob(await readJobBundle(join(projectRoot(), "jobs/ipdr-daily.yaml")));
    expect(job.name).toBe("ipdr-daily");
    expect(job.sources[0]?.columns).toHaveLength(20);
    expect(job.sources[0]?.eventTime).toEqual({ column: "start_ms", unit: "ms", outside: "keep" });
    expect(job.models.map((model) => model.name)).toContain("usage_hourly");
  });
});

describe("refused, with file, line, field and a way out", () => {
  const cases: readonly [name: string, yaml: string, message: RegExp][] = [
    ["no YAML", "name: [", /^job\.yaml:1: not valid YAML/],
    [
      "a key twice",
      `${good}name: other\n`,
      /^job\.yaml:9: not valid YAML: Map keys must be unique/,
    ],
    [
      "an unknown key",
      `${good}modells: {}\n`,
      /^job\.yaml:9: modells: unknown key; did you mean models\?/,
    ],
    [
      "an unknown key deep inside",
      good.replace("columns:", "colums: {}\n    columns:"),
      /^job\.yaml:6: sources\.sales\.colums: unknown key; did you mean columns\? \(allowed: path/,
    ],
    ["nothing", "", /^job\.yaml:1: the file: expected a map of keys, nothing is there/],
    [
      "a path with {day} that needs quotes",
      "name: a\nsources: { s: { path: raw/{day}/x.csv, format: csv } }\n",
      /^job\.yaml:2: not valid YAML: .*; put a path that holds \{day\} in quotes/,
    ],
    [
      "folders of any depth",
      good.replace("{day}/", "{day}/**/"),
      /^job\.yaml:4: sources\.sales\.path: \*\* is not supported: name each folder level/,
    ],
    [
      "a missing name",
      good.replace("name: sales-daily\n", ""),
      /name: is missing \(a text expected\)/,
    ],
    ["a bad job name", good.replace("sales-daily", "Sales"), /^job\.yaml:1: name: a job's name is/],
    [
      "a bad table name",
      good.replace("  sales:", "  Sales:"),
      /^job\.yaml:3: sources\.Sales: a name is/,
    ],
    ["a reserved name", good.replace("  sales:", "  sales_files:"), /_files are reserved/],
    [
      "a name that every object has",
      good.replace("  totals:", "  constructor:"),
      /constructor is reserved/,
    ],
    ["an exchange's name", good.replace("  totals:", "  x0:"), /x0, x1 … are reserved/],
    [
      "one name twice",
      good.replace("  totals:", "  sales:"),
      /^job\.yaml:8: models\.sales: .*used by sources/,
    ],
    [
      "a model where late records go",
      withLate(good).replace("  totals:", "  sales_late:"),
      /^job\.yaml:9: models\.sales_late: late records of source sales go by that name/,
    ],
    [
      "no room for the name of late records",
      withLate(good).replace("  sales:", `  ${"s".repeat(60)}:`),
      /^job\.yaml:3: sources\.s+: late records go to s+_late: a name is/,
    ],
    [
      "an unknown type",
      good.replace("INT,", "INTEGR,"),
      /columns\.id: unknown column type INTEGR; did you mean INTEGER\?/,
    ],
    [
      "a type that is no column type",
      good.replace("INT,", "HUGEINT,"),
      /unknown column type HUGEINT/,
    ],
    [
      "a column twice",
      good.replace("note:", "ID:"),
      /columns\.ID: the column name ID is reserved or used twice/,
    ],
    [
      "a column that the workers add themselves",
      good.replace("note: text", "__file: text"),
      /the column name __file is reserved/,
    ],
    [
      "a column that DuckDB adds to files",
      good.replace("note: text", "file_row_number: bigint"),
      /the column name file_row_number is reserved/,
    ],
    ["no columns", good.replace(/columns:.*/, "columns: {}"), /columns: columns are a map/],
    [
      "a share above the whole",
      good.replace("format:", "rejects: { max_share: 2 }\n    format:"),
      /sources\.sales\.rejects\.max_share: at most 1 is allowed/,
    ],
    ["an unknown format", good.replace("format: csv", "format: json"), /^job\.yaml:5: .*format/],
    ["a path without day", good.replace("{day}", "all"), /path: a source's path holds \{day\}/],
    [
      "an unknown placeholder",
      good.replace("{day}", "{day}/{hour}"),
      /unknown placeholder \{hour\}/,
    ],
    [
      "a model that reads itself on the same day",
      good.replace("totals.sql", "totals.sql, history: { totals: 7 }"),
      /models\.totals\.history\.totals: .*say own_day: false/,
    ],
    [
      "csv options of a parquet file",
      good.replace("format: csv", "format: parquet\n    csv: { header: true }"),
      /has no csv options/,
    ],
    [
      "csv options of an arrow file",
      good.replace("format: csv", "format: arrow\n    csv: { header: true }"),
      /a file of format arrow has no csv options/,
    ],
    [
      "an unknown event time",
      good.replace("format:", "event_time: { column: idd }\n    format:"),
      /event_time\.column: no column idd; did you mean id\?/,
    ],
    [
      "an event time of text",
      good.replace("format:", "event_time: { column: note }\n    format:"),
      /not VARCHAR/,
    ],
    [
      "a check of an unknown model",
      `${good}checks: [{ model: total, sql: x, expect: 0 }]\n`,
      /^job\.yaml:9: checks\.0\.model: no model total; did you mean totals\?/,
    ],
    [
      "too many groups",
      `${good}execution: { partitions: 4, groups: 8 }\n`,
      /groups \(8\) may not exceed partitions/,
    ],
    [
      "a bad size",
      `${good}execution: { split_bytes: 5 apples }\n`,
      /split_bytes: a size such as 64MiB/,
    ],
    ["SQL that was not sent", good.replace("totals.sql", "other.sql"), /other\.sql was not sent/],
  ];
  test.each(cases)("%s", (_name, yaml, message) => {
    const got = refusal(yaml);
    expect(got.message).toMatch(message);
    expect(got.code).toBe("jobInvalid");
    expect(got.detail?.["file"]).toBe("job.yaml");
  });

  test.each([
    ["../raw/{day}/*.csv", /leaves its root/],
    ["/etc/{day}/passwd", /must be relative/],
    ["s3://bucket/{day}/x.csv", /must be relative/],
  ])("the path %s", (path, message) => {
    const got = refusal(good.replace("raw/{day}/*.csv", path));
    expect(got.code).toBe("pathForbidden");
    expect(got.message).toMatch(message);
    expect(got.detail).toEqual({ file: "job.yaml", line: 4, field: "sources.sales.path" });
  });

  test("several problems at once, in the order of the lines", () => {
    const got = refusal(good.replace("format: csv", "format: cvs").replace("totals:", "Totals:"));
    expect(got.message.split("\n").map((line) => line.split(":")[1])).toEqual(["5", "8"]);
  });
});

describe("reading a job with its SQL", () => {
  test("exactly the named SQL files travel", async () => {
    const folder = write({ "job.yaml": good, ...sql, "models/other.sql": "SELECT 1" });
    const bundle = await readJobBundle(join(folder, "job.yaml"));
    expect(bundle).toEqual({ jobPath: join(folder, "job.yaml"), jobYaml: good, sqlFiles: sql });
  });

  const reading = async (folder: string): Promise<Failure> =>
    readJobBundle(join(folder, "job.yaml")).then(
      () => {
        throw new Error("it was read");
      },
      (error: unknown) => fromUnknown(error),
    );

  test("a missing SQL file is named with the line that names it", async () => {
    const got = await reading(write({ "job.yaml": good }));
    expect(got.code).toBe("jobInvalid");
    expect(got.message).toMatch(
      /job\.yaml:8: models\.totals\.sql: models\/totals\.sql does not exist; check the path/,
    );
  });

  test("a missing job file", async () => {
    expect((await reading(write({}))).message).toMatch(
      /job file .*job\.yaml does not exist; check the path/,
    );
  });

  test("SQL outside the job's folder, by path or by link", async () => {
    const up = write({ "job.yaml": good.replace("models/", "../models/") });
    expect((await reading(up)).code).toBe("pathForbidden");
    const secret = write({ "secret.sql": "SELECT 1" });
    const linked = write({ "job.yaml": good, "models/x.sql": "" });
    symlinkSync(join(secret, "secret.sql"), join(linked, "models/totals.sql"));
    expect((await reading(linked)).code).toBe("pathForbidden");
  });
});

test.each([
  ["int8", "BIGINT"],
  ["numeric(38)", "DECIMAL(38,0)"],
  ["Decimal( 12 , 4 )", "DECIMAL(12,4)"],
  ["double  precision", "DOUBLE"],
  ["timestamptz", "TIMESTAMP WITH TIME ZONE"],
  ["decimal(39,0)", undefined],
  ["UUID", undefined],
])("type %s is %s", (text, canonical) => {
  expect(canonicalType(text)).toBe(canonical);
});

test("the nearest name is a likely slip or none", () => {
  expect(editDistance("kitten", "sitting")).toBe(3);
  expect(editDistance("msisdn", "msidsn")).toBe(1);
  expect(nearestName("mssidn", ["imsi", "msisdn", "cell"])).toBe("msisdn");
  expect(nearestName("revenue", ["imsi", "msisdn", "cell"])).toBeUndefined();
});
