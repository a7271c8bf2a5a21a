/** Whole clusters on one thread, one per seed; the first half of the seeds. Each half has to cover everything. */
import { test } from "vitest";
import { proves } from "./campaign.ts";

test("seeds 1 to 250 keep every promise and cover every cell and fault", { timeout: 900_000 }, () =>
  proves(1, 250, 1_000),
);
