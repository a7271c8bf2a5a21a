/** Whole clusters on one thread, one per seed; the second half of the seeds. Each half has to cover everything. */
import { test } from "vitest";
import { proves } from "./campaign.ts";

test(
  "seeds 251 to 500 keep every promise and cover every cell and fault",
  {
    timeout: 900_000,
  },
  () => proves(251, 250, 1_000),
);
