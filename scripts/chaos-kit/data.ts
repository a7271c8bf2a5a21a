/**
 * What a trial's day is made of: a job and the files that it reads. Ours (IPDR, or a shop chain's day) are made anew for
 * each trial, the same for the same options; the user's own are copied from a folder.
 */
import { cpSync, existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { projectRoot } from "../../shared/adapters/project.ts";
import { fail } from "../../shared/kernel/failure.ts";
import { isDay } from "../../shared/kernel/time.ts";
import { generate } from "../generate/generate.ts";
import type { Skew } from "../generate/options.ts";
import { makeRetailData } from "../retail-day.ts";

export interface Data {
  /** For the report: how to get the same again. */
  readonly name: string;
  readonly day: string;
  /** Its job; `gzip`: the one that reads gzip files, where there are two. */
  jobFile(gzip: boolean): string;
  /** Puts the day's files below the root. */
  make(root: string, wants: Wants): Promise<void>;
}

/** What a scenario asks of its day. The user's own files are what they are. */
export interface Wants {
  readonly rows: number;
  /** Files of lines; a multiple of four. */
  readonly files: number;
  readonly gzip: boolean;
}

export interface DataWish {
  /** `ipdr`, `retail` or a folder that is laid out as a storage root. */
  readonly data: string;
  /** Draws the rows of ours. */
  readonly seed: number;
  readonly skew: Skew;
  /** YAML of the job that reads the folder. */
  readonly job?: string | undefined;
  readonly day?: string | undefined;
}

export const usualWish: DataWish = { data: "ipdr", seed: 1, skew: "realistic" };

const usualDay = "2026-01-15";

/** `badRequest` for a wish that can't be met. */
export function dataOf(wish: DataWish): Data {
  const { data, job, day = usualDay } = wish;
  if (!isDay(day)) throw fail("badRequest", `--day ${day}: a date as ${usualDay} is expected`);
  const isOurs = data === "ipdr" || data === "retail";
  if (isOurs && job !== undefined) {
    throw fail("badRequest", "--job reads files of yours: say where they are with --data FOLDER");
  }
  if (data === "ipdr") return ipdr(wish, day);
  return data === "retail" ? retail(wish, day) : ownFiles(data, job, day);
}

function ipdr({ seed, skew }: DataWish, day: string): Data {
  return {
    name: `ipdr, ${skew}, data seed ${seed}`,
    day,
    jobFile: (gzip) => example(gzip ? "ipdr-daily-gzip" : "ipdr-daily"),
    make: async (root, { rows, files, gzip }) => {
      const gateways = files / 4;
      await generate({ root, day, rows, seed, skew, gateways, periodMinutes: 360, gzip });
    },
  };
}

function retail({ seed }: DataWish, day: string): Data {
  return {
    name: `retail, data seed ${seed}`,
    day,
    jobFile: () => join(projectRoot(), "test/fixtures/retail/job.yaml"),
    make: async (root, { rows, files }) => {
      await makeRetailData(root, day, {
        tills: files,
        linesPerTill: Math.ceil(rows / files),
        seed,
      });
    },
  };
}

function ownFiles(data: string, job: string | undefined, day: string): Data {
  const folder = resolve(data);
  const jobFile = job === undefined ? example("ipdr-daily") : resolve(job);
  if (!existsSync(folder) || !statSync(folder).isDirectory()) {
    throw fail("badRequest", `--data ${data}: ipdr, retail or a folder is expected`);
  }
  if (!existsSync(jobFile)) throw fail("badRequest", `--job ${job}: there is no such file`);
  return {
    name: `${data}, ${day}`,
    day,
    jobFile: () => jobFile,
    make: async (root) => cpSync(folder, root, { recursive: true, preserveTimestamps: true }),
  };
}

function example(name: string): string {
  return join(projectRoot(), "jobs", `${name}.yaml`);
}
