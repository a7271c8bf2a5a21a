/** A split that lost all of its files to their twins: its task gives nothing, with an account of nothing. */
import { describe, expect, test } from "vitest";
import { runWork } from "../../executor/shell/worker/run-work.ts";
import type { OutsideRule, SourceFormat } from "../../shared/kernel/job.ts";
import type { StagePlan } from "../../shared/kernel/plan.ts";
import { query } from "./query.ts";
import { columns, context, copyWork, delivery, mapWork, rootOfEachTest, source } from "./setup.ts";

const root = rootOfEachTest();

const formats: readonly SourceFormat[] = ["csv", "csv.gz", "parquet", "arrow"];
const rules: readonly (OutsideRule | undefined)[] = [undefined, "keep", "late_table", "reject"];
const cases = formats.flatMap((format) => rules.map((outside) => ({ format, outside })));

describe("no files", () => {
  test.each(cases)("$format, event times $outside", async ({ format, outside }) => {
    const spec = source({
      columns: columns("t BIGINT, a VARCHAR"),
      format,
      ...(outside === undefined ? {} : { eventTime: { column: "t", outside, unit: "ms" } }),
    });
    const work = copyWork(spec, [], { day: "2026-01-15" });
    const done = await runWork(work, delivery(), context(root));
    expect(done).toMatchObject({ accounts: [], outputs: [], files: [] });
    expect(done.counters).toMatchObject({ rowsIn: 0, bytesIn: 0, rowsOut: 0 });
    expect([done.rejectsFile, done.lateFile]).toEqual([undefined, undefined]);
  });

  test("a table of the files has none, and a sum over them is that of nothing", async () => {
    const spec = source({ columns: columns("t BIGINT, a VARCHAR") });
    const sums = columns("files BIGINT, n BIGINT");
    const stage: StagePlan = {
      id: "s0",
      input: { kind: "scan", source: "src", keep: ["t"], files: true },
      dimensions: [],
      tables: [],
      outputs: [
        {
          kind: "dataset",
          model: "sums",
          sql: "SELECT (SELECT count(*) FROM src_files) AS files, (SELECT count(*) FROM src) AS n",
          columns: sums,
          single: false,
        },
      ],
    };
    const done = await runWork(mapWork(spec, [], stage), delivery(), context(root));
    const path = `${root.path}/${done.files[0]?.path}`;
    expect(await query(`SELECT files, n FROM read_parquet('${path}')`)).toEqual([["0", "0"]]);
  });
});
