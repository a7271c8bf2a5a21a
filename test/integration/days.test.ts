/**
 * Days that run by themselves, on real clusters. Most of the time they wait for a start or a look: both stories are told
 * at once.
 */
import { describe, test } from "vitest";
import { filesBeforeTheStart } from "./days-ahead.ts";
import { sevenDays } from "./days-week.ts";

describe.concurrent("days by themselves", () => {
  test(
    "each day's truth is told, and what was missing makes it whole without a command",
    { timeout: 780_000 },
    sevenDays,
  );

  test(
    "files that come before the start are mapped by then; only the last one and the reduces remain",
    { timeout: 780_000 },
    filesBeforeTheStart,
  );
});
