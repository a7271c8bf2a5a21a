/** Columns of a source that have versions, valid from a day: what is accepted, and what each mistake is told. */
import { expect, test } from "vitest";
import { parseJob } from "../../shared/adapters/job-file.ts";
import { fromUnknown } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";

/** With the text under `columns:`, whose first line is the file's sixth. */
function parse(columns: string, more = "") {
  const jobYaml = `name: sales
sources:
  sales:
    path: "raw/{day}/*.csv"
    format: csv
    columns:${columns}
${more}models: { totals: { sql: totals.sql } }
`;
  return parseJob({ jobPath: "job.yaml", jobYaml, sqlFiles: { "totals.sql": "SELECT 1" } });
}

function refusal(columns: string, more = ""): string {
  try {
    parse(columns, more);
  } catch (error) {
    expect(fromUnknown(error).code).toBe("jobInvalid");
    return fromUnknown(error).message;
  }
  throw new Error("it was accepted");
}

const [id, note] = [
  { name: "id", type: "INTEGER" },
  { name: "note", type: "VARCHAR" },
];

test("the newest version is what the source has; all of them stand beside it", () => {
  const job = parse(`
      - columns: { id: INT }
      - from: 2026-02-01
        columns: [{ name: id, type: INT }, { name: note, type: TEXT }]`);
  expect(job.sources[0]).toMatchObject({
    columns: [id, note],
    versions: [{ columns: [id] }, { from: "2026-02-01", columns: [id, note] }],
  });
});

test("one that begins with a day", () => {
  const job = parse(" [{ from: 2026-01-01, columns: { id: INT } }]");
  expect(job.sources[0]?.versions).toEqual([{ from: "2026-01-01", columns: [id] }]);
});

test("a single version without a day is no more than its columns", () => {
  expect(parse(" [{ columns: { id: INT } }]")).toEqual(parse(" { id: INT }"));
});

const many = Array.from(
  { length: limits.columnVersionsMax + 1 },
  (_, index) => `{ from: ${2000 + index}-01-01, columns: { id: INT } }`,
);

test.each<[string, RegExp]>([
  [
    "\n      - columns: { id: INT }\n      - columns: { id: INT }",
    /^job\.yaml:8: sources\.sales\.columns\.1: a later version says from which day on/,
  ],
  [
    "\n      - { from: 2026-02-01, columns: { id: INT } }\n      - { from: 2026-02-01, columns: { id: INT } }",
    /^job\.yaml:8: sources\.sales\.columns\.1\.from: .*2026-02-01 is not after 2026-02-01/,
  ],
  [
    "\n      - columns: { id: INT }\n      - { from: 2026-02-30, columns: { id: INT } }",
    /^job\.yaml:8: sources\.sales\.columns\.1\.from: a day is written YYYY-MM-DD/,
  ],
  [
    "\n      - columns: { id: INT }\n      - from: 2026-02-01\n        columns: { id: INTEGR }",
    /^job\.yaml:9: sources\.sales\.columns\.1\.columns\.id: unknown column type INTEGR; did you/,
  ],
  [
    "\n      - columns: { id: INT }\n      - from: 2026-02-01",
    /^job\.yaml:8: sources\.sales\.columns\.1\.columns: columns are a map of name: TYPE/,
  ],
  [
    "\n      - columns: { id: INT }\n      - form: 2026-02-01\n        columns: { id: INT }",
    /^job\.yaml:8: sources\.sales\.columns\.1\.form: unknown key; did you mean from\?/,
  ],
  [` [${many.join(", ")}]`, /^job\.yaml:6: sources\.sales\.columns: at most 32 is allowed/],
])("refused:%s", (columns, message) => {
  expect(refusal(columns)).toMatch(message);
});

test.each<[string, string, RegExp]>([
  ["t", "{ id: INT }", /no column t in the columns of the first days/],
  ["t", "{ t: TEXT }", /is an integer, .* not VARCHAR in the columns of the first days/],
  ["at", "{ at: DATE }", /no column at in the columns from 2026-02-01 on/],
])("the event time %s beside %s has to be in every version", (column, first, message) => {
  const columns = `\n      - columns: ${first}\n      - from: 2026-02-01\n        columns: { t: BIGINT }`;
  const time = `    event_time: { column: ${column} }\n`;
  expect(refusal(columns, time)).toMatch(message);
  expect(refusal(columns, time)).toMatch(/^job\.yaml:10: sources\.sales\.event_time\.column: /);
});
