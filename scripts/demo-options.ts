/**
 * Options of scripts/demo: texts from the command line in, checked values out.
 */

import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { wholeNumber } from "../client/command.ts";
import { parseBytes } from "../shared/adapters/config.ts";
import { projectRoot } from "../shared/adapters/project.ts";
import { fail } from "../shared/kernel/failure.ts";
import { limits } from "../shared/kernel/limits.ts";
import { isDay } from "../shared/kernel/time.ts";

export const demoUsage = `One day of IPDR through a real local cluster, from nothing.

  scripts/demo [options]

  --rows N          lines of the day                                   (default 2,000,000)
  --day D           data date, YYYY-MM-DD                              (default 2026-01-15)
  --executors N     executor processes                                 (default 2)
  --slots N         slots of an executor, one worker process each      (default 1)
  --memory SIZE     DuckDB's memory of one worker                      (default 1GiB)
  --threads N       DuckDB threads of one worker
  --work DIR        folder for everything it makes                     (default .cache/demo here)
  --keep            leave the cluster up and print how to use it
  --json            print one JSON summary as the last line
  --gzip            gzip files instead of plain ones
  --skew KIND       realistic or hostile                               (default realistic)
  --malformed SHARE share of damaged lines; the job's limit is raised  (default 0)
  --seed N          same options, same bytes                           (default 1)
`;

export interface DemoOptions {
  readonly rows: number;
  readonly day: string;
  readonly executors: number;
  readonly slots: number;
  readonly memoryBytes: number;
  readonly threads: number | undefined;
  readonly work: string;
  readonly keep: boolean;
  readonly json: boolean;
  readonly gzip: boolean;
  readonly skew: "realistic" | "hostile";
  readonly malformedShare: number;
  readonly seed: number;
}

/** `help` when asked for; `badRequest` names the option and what is allowed. */
export function demoOptions(argv: readonly string[]): DemoOptions | "help" {
  const values = parsed(argv);
  if (values.help === true) return "help";
  const { skew } = values;
  if (skew !== "realistic" && skew !== "hostile") {
    throw fail("badRequest", `--skew ${skew}: choose realistic or hostile`);
  }
  if (!isDay(values.day)) {
    throw fail("badRequest", `--day ${values.day} is not a date: write it as YYYY-MM-DD`);
  }
  const memoryBytes = parseBytes(values.memory);
  if (memoryBytes === undefined || memoryBytes < 64 * 1024 * 1024) {
    throw fail("badRequest", `--memory ${values.memory}: a size of at least 64MiB is expected`);
  }
  const malformedShare = Number(values.malformed);
  if (!(malformedShare >= 0 && malformedShare < 1)) {
    throw fail(
      "badRequest",
      `--malformed ${values.malformed}: a share from 0 to below 1 is expected`,
    );
  }
  return {
    rows: wholeNumber("--rows", values.rows, 1_000, 10_000_000_000),
    day: values.day,
    executors: wholeNumber("--executors", values.executors, 1, 64),
    slots: wholeNumber("--slots", values.slots, 1, limits.slotsPerExecutorMax),
    memoryBytes,
    threads:
      values.threads === undefined ? undefined : wholeNumber("--threads", values.threads, 1, 1_024),
    work: values.work === undefined ? join(projectRoot(), ".cache/demo") : resolve(values.work),
    keep: values.keep === true,
    json: values.json === true,
    gzip: values.gzip === true,
    skew,
    malformedShare,
    seed: wholeNumber("--seed", values.seed, 0, 2 ** 31),
  };
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        rows: { type: "string", default: "2000000" },
        day: { type: "string", default: "2026-01-15" },
        executors: { type: "string", default: "2" },
        slots: { type: "string", default: "1" },
        memory: { type: "string", default: "1GiB" },
        threads: { type: "string" },
        work: { type: "string" },
        keep: { type: "boolean" },
        json: { type: "boolean" },
        gzip: { type: "boolean" },
        skew: { type: "string", default: "realistic" },
        malformed: { type: "string", default: "0" },
        seed: { type: "string", default: "1" },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw fail("badRequest", `${reason}; see scripts/demo --help`);
  }
}
