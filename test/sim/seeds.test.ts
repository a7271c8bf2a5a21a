/**
 * Whole clusters on one thread, one per seed. Each half of the seeds has to cover everything. Both run at once, in
 * processes that give way to the other tests: those wait more than they work.
 */
import { describe, test } from "vitest";
import { proves } from "./campaign.ts";

describe.concurrent("every promise is kept, every cell and every fault met", () => {
  test("by seeds 1 to 250", { timeout: 900_000 }, () => proves(1, 250, 1_000));
  test("by seeds 251 to 500", { timeout: 900_000 }, () => proves(251, 250, 1_000));
});
