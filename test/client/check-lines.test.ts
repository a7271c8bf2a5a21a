/** What the command line says of checks: a line for each failed one, counts, and the way out of quarantine. */
import { expect, test } from "vitest";
import { changeLines, progressLines } from "../../client/progress.ts";
import { runSummary, runsTable } from "../../client/views.ts";
import type { CheckStatus, RunStatus } from "../../shared/adapters/grpc-types.ts";
import { emptyRun } from "./fake-coordinator.ts";

const head = { model: "usage", kind: "rows", bound: "", value: "12" } as const;
const few: CheckStatus = {
  ...head,
  name: "rows",
  severity: "quarantine",
  state: "failed",
  reason: "has 12 rows, expected 900 ± 360 (median of 8 Thursdays)",
};
const odd: CheckStatus = {
  ...head,
  name: "plans",
  severity: "warn",
  state: "failed",
  reason: "has 3 of 12 rows without plan (25 %), allowed at most 1 %",
};
const young: CheckStatus = {
  ...head,
  name: "volume",
  model: "ipdr",
  severity: "block",
  state: "skipped",
  reason: "brought 40 rows, not compared: no earlier Thursdays are known, at least 7 are needed",
};
const fine: CheckStatus = { ...odd, name: "keys", state: "passed" };

const fewLine = `check rows on usage ${few.reason}`;
const run: RunStatus = {
  ...emptyRun,
  state: "quarantined",
  endedMs: 3_000,
  checks: [few, odd, young, fine],
  failure: { code: "checkFailed", message: fewLine, detail: {} },
  datasets: [{ dataset: "usage", rows: 12, files: 1, bytes: 9, columns: [], path: "/d/usage" }],
};

test("a run says why it is in quarantine, what else was found, and what can be done", () => {
  const lines = runSummary(run);
  expect(lines.slice(0, 10)).toEqual([
    "ipdr-daily.2026-01-15.r1: quarantined in 3.0 s",
    "  started by ann at -",
    `  ${fewLine}`,
    "  checks: 1 passed, 2 failed, 1 skipped",
    `  ! check plans on usage ${odd.reason} (warn)`,
    `  - check volume on ipdr ${young.reason}`,
    "  readers see the day as it was before this run",
    "  look at it: daymill result usage --day 2026-01-15 --revision 1",
    "  let readers see it: daymill release ipdr-daily.2026-01-15.r1",
    "",
  ]);
  expect(runSummary({ ...run, checks: [], state: "committed", failure: null })[2]).toBe("");
});

test("the list of runs has a line for each failed check below it", () => {
  const table = runsTable([run, { ...emptyRun, checks: [fine] }]);
  expect(table.slice(-3)).toEqual([
    "",
    `ipdr-daily.2026-01-15.r1: ${fewLine} (quarantine)`,
    `ipdr-daily.2026-01-15.r1: check plans on usage ${odd.reason} (warn)`,
  ]);
  expect(runsTable([{ ...emptyRun, checks: [fine, young] }])).toEqual(runsTable([emptyRun]));
});

test("whoever watches is told of each failed check once", () => {
  const before = { ...run, state: "checking", endedMs: 0, checks: [] };
  expect(changeLines(before, run)).toEqual([
    `ipdr-daily.2026-01-15.r1: ${fewLine} (quarantine)`,
    `ipdr-daily.2026-01-15.r1: check plans on usage ${odd.reason} (warn)`,
    "ipdr-daily.2026-01-15.r1: quarantined",
  ]);
  expect(changeLines(run, run)).toEqual([]);
  expect(progressLines(run, 3_000, 200).slice(1)).toEqual([
    `  ! ${fewLine} (quarantine)`,
    `  ! check plans on usage ${odd.reason} (warn)`,
  ]);
});
