/** What `daymill explain` prints: every stage, exchange, key and SQL text of the plan, and what is known of its cost. */
import { describe, expect, test } from "vitest";
import { explainPlan } from "../../coordinator/core/planner/explain.ts";
import { figuresOf, runToCompare } from "../../coordinator/core/planner/explain-figures.ts";
import type { RunStatus, StageStatus } from "../../shared/kernel/status.ts";
import { stageStatus } from "../shell/serving.ts";
import { jobOf } from "../sql/tables.ts";
import { planOf } from "./planning.ts";

const models = {
  users: "SELECT user_id, count(DISTINCT cell) AS cells FROM events WHERE ok GROUP BY user_id",
  by_app: "SELECT app_id, count(DISTINCT user_id) AS n FROM events WHERE ok GROUP BY app_id",
};

const reports = {
  users: "SELECT user_id, median(score) AS m FROM events GROUP BY user_id",
  by_app:
    "SELECT category, count(DISTINCT user_id) AS n FROM events JOIN apps USING (app_id) GROUP BY category",
  best: "SELECT category, n FROM by_app ORDER BY n DESC LIMIT 3",
  feeds: "SELECT file, sum(rejects) AS r FROM events_files GROUP BY file",
};

function jobWith(given: Readonly<Record<string, string>>) {
  return jobOf(Object.entries(given).map(([name, sql]) => ({ name, sql })));
}

async function explained(given: Readonly<Record<string, string>>, run?: RunStatus) {
  const plan = await planOf(given);
  return explainPlan(jobWith(given), plan, { sizes: [], figures: figuresOf(plan, run, "d1") });
}

/** From the line that begins with `start` on. */
function linesFrom(text: string, start: string): readonly string[] {
  const lines = text.trimEnd().split("\n");
  return lines.slice(lines.findIndex((line) => line.startsWith(start)));
}

test("a plan reads as stages with their exchanges, keys, SQL and sizes", async () => {
  const plan = await planOf(models);
  const figures = figuresOf(plan, undefined, "d1");
  const sizes = [{ source: "events", files: 96, bytes: 3 * 1024 ** 3 }];
  const text = explainPlan(jobWith(models), plan, { sizes, figures });
  const lines = text.split("\n");
  expect(lines[0]).toBe("job sql-test: 2 datasets, 3 stages, 2 exchanges");
  expect(text).toContain(
    "stage s0: scans events once, keeps 4 of 11 columns (user_id, app_id, cell, ok); 96 files, 3.0 GiB",
  );
  expect(text).toContain(
    "sends x0 by user_id in 7 partitions, 7 groups, to s1; rows per input row: ≤ 1; about 14 bytes",
  );
  expect(text).toContain("stage s1: reads x0 in 7 tasks");
  expect(text).toContain("  users (written by s1): user_id BIGINT, cells BIGINT");
  const sqlTexts = plan.stages.flatMap((stage) =>
    [...stage.tables, ...stage.outputs].map((entry) => entry.sql),
  );
  for (const sql of sqlTexts) expect(lines).toContain(`    ${sql}`);
});

test("without sizes it says only what the plan knows", async () => {
  const text = await explained({ n: "SELECT count(*) AS n FROM events" });
  expect(text).toContain("keeps 1 of 11 columns (id)\n");
  expect(text).toContain("to one partition, to s1; rows per input row: ≤ splits");
});

describe("exchanges in rows per input row", () => {
  test("as predicted, while no run is known", async () => {
    expect(linesFrom(await explained(reports), "exchanges,")).toEqual([
      "exchanges, in rows sent per input row:",
      "  EXCHANGE  FROM    PREDICTED",
      "  x0        events  1",
      "  x1        events  ≤ 1, ≤ groups × 7 tasks *",
      "  x2        events  ≤ files",
      "  x3        events  ≤ 1, ≤ 3 × 7 tasks *",
      "  total             1 to 3 and x2",
      "  * if each key stands once in apps",
      "  real figures: none, no committed run of sql-test is known",
    ]);
  });

  test("beside the real ones of a committed run", async () => {
    expect(linesFrom(await explained(reports, ranOn("2026-01-15", "d1")), "exchanges,")).toEqual([
      "exchanges, in rows sent per input row:",
      "  EXCHANGE  FROM    PREDICTED                     REAL   ROWS      SIZE",
      "  x0        events  1                            0.999  1,998  54.7 KiB",
      "  x1        events  ≤ 1, ≤ groups × 7 tasks *    0.014     28     700 B",
      "  x2        events  ≤ files                      0.006     12     300 B",
      "  x3        events  ≤ 1, ≤ 3 × 7 tasks *       < 0.001      1      90 B",
      "  total             1 to 3 and x2                1.020  2,039  55.8 KiB",
      "  * if each key stands once in apps",
      "  real: run sql-test.2026-01-15.r1, day 2026-01-15, 2,000 rows read",
    ]);
  });

  test("a run of another form of the job keeps its exchanges to itself", async () => {
    const lines = linesFrom(await explained(models, ranOn("2026-01-14", "d0")), "exchanges,");
    expect(lines).toEqual([
      "exchanges, in rows sent per input row:",
      "  EXCHANGE  FROM    PREDICTED",
      "  x0        events  ≤ 1",
      "  x1        events  ≤ 1, ≤ groups × 7 tasks",
      "  total             ≤ 2",
      "  real: run sql-test.2026-01-14.r1, day 2026-01-14, 2,000 rows read",
      "  the job has been changed since that run; its exchanges were others:",
      "    EXCHANGE     REAL   ROWS      SIZE",
      "    x0          0.999  1,998  54.7 KiB",
      "    x1          0.014     28     700 B",
      "    x2          0.006     12     300 B",
      "    x3        < 0.001      1      90 B",
      "    total       1.020  2,039  55.8 KiB",
    ]);
  });

  test("as data: bounds as numbers, what was real with what it is divided by", async () => {
    const figures = figuresOf(await planOf(reports), ranOn("2026-01-15", "d1"), "d1");
    expect(figures.exchangeFigures[1]).toEqual({
      exchange: "x1",
      sources: ["events"],
      predicted: {
        atLeast: 0,
        atMost: 1,
        rows: { each: "groups", times: "task" },
        tasks: 7,
        assumes: ["apps"],
      },
      real: { rows: 28, bytes: 700, inputRows: 2_000, rowsPerInputRow: 0.014 },
    });
    expect(figures.total).toEqual({
      predicted: { atLeast: 1, atMost: 3, without: ["x2"] },
      real: { rows: 2_039, bytes: 57_090, inputRows: 2_000, rowsPerInputRow: 1.0195 },
    });
    expect(figures.run).toMatchObject({ runId: "sql-test.2026-01-15.r1", sameJob: true });
  });

  test("a run that kept no sums per exchange gives its total", async () => {
    const { stages, ...run } = ranOn("2026-01-15", "d1");
    const older = stages.map(({ exchanges: _, source: __, makes: ___, ...stage }) => stage);
    const figures = figuresOf(await planOf(reports), { ...run, stages: older }, "d1");
    expect(figures.exchangeFigures.map((entry) => entry.real)).toEqual([null, null, null, null]);
    expect(figures.total.real?.rowsPerInputRow).toBe(1.0195);
  });

  test("rows of two sources: each exchange by its own, the total by whichever causes more", async () => {
    const joined = {
      n: "SELECT user_id, count(DISTINCT cell) AS c FROM events GROUP BY user_id",
      j: "SELECT page, median(e.score) AS m FROM events e JOIN visits v USING (user_id) GROUP BY page",
    };
    expect(linesFrom(await explained(joined), "  EXCHANGE")).toEqual([
      "  EXCHANGE  FROM           PREDICTED",
      "  x0        events         1",
      "  x1        visits         1",
      "  x2        events+visits  no bound",
      "  total                    1 and x2",
      "  real figures: none, no committed run of sql-test is known",
    ]);
  });
});

test("compared is the newest committed run, of the day that is asked for where there is one", () => {
  const failed = { ...ranOn("2026-01-17", "d1"), state: "failed" } as const;
  const runs = [failed, ranOn("2026-01-16", "d1"), ranOn("2026-01-15", "d1")];
  const dayOf = (day: string) => runToCompare(runs, day)?.day;
  expect([dayOf(""), dayOf("2026-01-15"), dayOf("2026-01-17")]).toEqual([
    "2026-01-16",
    "2026-01-15",
    "2026-01-16",
  ]);
  expect(runToCompare([failed], "")).toBeUndefined();
});

/** 2,000 rows of `reports`, committed. */
function ranOn(day: string, jobDigest: string): RunStatus {
  const sent = (exchange: string, rows: number, bytes: number) => {
    return { exchange, sources: ["events"], rows, bytes };
  };
  return {
    runId: `sql-test.${day}.r1`,
    job: "sql-test",
    jobDigest,
    day,
    revision: 1,
    state: "committed",
    stages: [
      stage("s0", {
        source: "events",
        rowsIn: 2_000,
        exchanges: [sent("x0", 1_998, 56_000), sent("x2", 12, 300)],
      }),
      stage("s1", { rowsIn: 1_998, exchanges: [sent("x1", 28, 700)] }),
      stage("s2", { rowsIn: 40, exchanges: [sent("x3", 1, 90)] }),
    ],
    datasets: [],
    createdMs: 1,
    endedMs: 2,
    rowsIn: 2_000,
    rejects: 2,
    exchangeRows: 2_039,
    exchangeBytes: 57_090,
    committedBy: {},
    manifest: "m",
    warnings: [],
  };
}

function stage(id: string, change: Partial<StageStatus>): StageStatus {
  return { ...stageStatus, id, ...change };
}
