/** Some models of a job, in the words of dbt. */
import { describe, expect, test } from "vitest";
import { selectionProblem, selectModels } from "../../shared/kernel/selection.ts";

//   hourly → daily → segments → offers
//   cells  ↗
const models = ["hourly", "cells", "daily", "segments", "offers"];
const reads = { daily: ["hourly", "cells"], segments: ["daily"], offers: ["segments"] };

function select(...texts: readonly string[]): string {
  const found = selectModels(texts, models, reads);
  return "code" in found ? `${found.code}: ${found.message}` : found.join(" ");
}

test.each([
  [["daily"], "daily"],
  [["+daily"], "hourly cells daily"],
  [["daily+"], "daily segments offers"],
  [["+daily+"], "hourly cells daily segments offers"],
  [["1+segments"], "daily segments"],
  [["2+segments"], "hourly cells daily segments"],
  [["hourly+1"], "hourly daily"],
  [["0+segments"], "segments"],
  [["offers", "hourly"], "hourly offers"],
  [["offers hourly"], "hourly offers"],
  [["hourly+,+segments"], "hourly daily segments"],
  [["hourly+,+segments cells"], "hourly cells daily segments"],
  [["daily,daily+,+daily"], "daily"],
])("%j is %s", (texts, chosen) => {
  expect(select(...texts)).toBe(chosen);
  expect(selectionProblem(texts, models)).toBeUndefined();
});

describe("is refused", () => {
  test.each([
    [["dayly+"], "badRequest: --select: the job has no model dayly; did you mean daily?"],
    [
      ["xyz"],
      "badRequest: --select: the job has no model xyz; there are hourly, cells, daily, segments, offers",
    ],
    [["daily++"], /^badRequest: --select: "daily\+\+" is no selection; write model, \+model/],
    [["tag:nightly"], /"tag:nightly" is no selection/],
    [["daily,"], /"" is no selection/],
    [[""], "badRequest: --select names no model"],
    [["hourly,cells"], /^badRequest: --select hourly,cells leaves no model/],
  ])("%j", (texts, message) => {
    if (typeof message === "string") expect(select(...texts)).toBe(message);
    else expect(select(...texts)).toMatch(message);
  });
});
