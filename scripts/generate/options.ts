/**
 * What the generator can be asked for, its defaults, and what it refuses.
 * Decides nothing about contents; never touches a file.
 */
import { fail } from "../../shared/kernel/failure.ts";
import { isDay } from "../../shared/kernel/time.ts";

export type Skew = "realistic" | "hostile";

/** Everything but `root`, `day` and `rows` has a default. Same options, same bytes, on any machine. */
export interface GenerateOptions {
  /** Storage root: `raw/`, `dims/` and `late/` are made under it. */
  readonly root: string;
  /** Data date, `YYYY-MM-DD`, in UTC. */
  readonly day: string;
  /** Lines of the day, malformed ones included, duplicates of whole files not. */
  readonly rows: number;
  /** Default 1. People, cells and devices depend on seed and `subscribers` only, so days fit together. */
  readonly seed?: number | undefined;
  /** Default one per 2.5 M rows, at least 4. */
  readonly gateways?: number | undefined;
  /** Minutes that one file covers; default 15, more where files would hold under 500 rows. Divides a day. */
  readonly periodMinutes?: number | undefined;
  /** Default false: plain `.csv`. */
  readonly gzip?: boolean | undefined;
  /** Default realistic (lognormal, sigma 1.68); hostile is Zipf 1.2 with machine subscribers on top. */
  readonly skew?: Skew | undefined;
  /** Default rows / 100, at least 10,000. */
  readonly subscribers?: number | undefined;
  /** Share of lines that are damaged, 0 (default) to 1. */
  readonly malformedShare?: number | undefined;
  /** Files delivered a second time under another name. */
  readonly duplicateFiles?: number | undefined;
  /** Files that control.json names but that never come. */
  readonly missingFiles?: number | undefined;
  /** Files written to `late/` instead, to be moved to `raw/` later. */
  readonly lateFiles?: number | undefined;
  /** Told after each file how many lines are written. */
  readonly progress?: ((lines: number, ofLines: number) => void) | undefined;
}

/** `GenerateOptions` with every default filled in. */
export interface Settings {
  readonly root: string;
  readonly day: string;
  /** Epoch milliseconds of the day's first moment, UTC. */
  readonly dayStartMs: number;
  readonly rows: number;
  readonly seed: number;
  readonly gateways: number;
  readonly periodMinutes: number;
  readonly gzip: boolean;
  readonly skew: Skew;
  readonly subscribers: number;
  readonly malformedShare: number;
  readonly duplicateFiles: number;
  readonly missingFiles: number;
  readonly lateFiles: number;
}

/** Lengths a file may cover: those that divide a day and start on quarter hours. */
const periods = [15, 30, 60, 120, 180, 240, 360, 480, 720, 1440];
const minutesOfDay = 1440;
const rowsPerFileMin = 500;
const rowsPerGateway = 2_500_000;
const gatewaysMax = 4_096;
/** Subscriber numbers have 29 bits (population.ts). */
const subscribersMax = 2 ** 29;
const rowsMax = 100_000_000_000;

/** Fills in defaults; `badRequest` names the option that cannot be and what is allowed. */
export function settle(options: GenerateOptions): Settings {
  if (!isDay(options.day)) {
    throw fail("badRequest", `--day ${options.day} is not a date: write it as YYYY-MM-DD`);
  }
  const rows = whole("--rows", options.rows, 1, rowsMax);
  const gateways = whole(
    "--gateways",
    options.gateways ?? Math.max(4, Math.ceil(rows / rowsPerGateway)),
    1,
    gatewaysMax,
  );
  const periodMinutes = options.periodMinutes ?? smallestPeriod(rows, gateways);
  if (!periods.includes(periodMinutes)) {
    throw fail(
      "badRequest",
      `--period-minutes ${periodMinutes}: choose one of ${periods.join(", ")}`,
    );
  }
  const files = gateways * (minutesOfDay / periodMinutes);
  const missingFiles = whole("--missing-files", options.missingFiles ?? 0, 0, files);
  const lateFiles = whole("--late-files", options.lateFiles ?? 0, 0, files - missingFiles);
  return {
    root: options.root,
    day: options.day,
    dayStartMs: Date.parse(`${options.day}T00:00:00Z`),
    rows,
    seed: whole("--seed", options.seed ?? 1, 0, 2 ** 32 - 1),
    gateways,
    periodMinutes,
    gzip: options.gzip ?? false,
    skew: options.skew ?? "realistic",
    subscribers: whole(
      "--subscribers",
      options.subscribers ?? Math.max(10_000, Math.floor(rows / 100)),
      100,
      subscribersMax,
    ),
    malformedShare: share("--malformed", options.malformedShare ?? 0),
    duplicateFiles: whole(
      "--duplicate-files",
      options.duplicateFiles ?? 0,
      0,
      files - missingFiles - lateFiles,
    ),
    missingFiles,
    lateFiles,
  };
}

function smallestPeriod(rows: number, gateways: number): number {
  const fits = (minutes: number) => (rows * minutes) / (gateways * minutesOfDay) >= rowsPerFileMin;
  return periods.find(fits) ?? minutesOfDay;
}

function whole(option: string, value: number, least: number, most: number): number {
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw fail("badRequest", `${option} ${value}: give a whole number from ${least} to ${most}`);
}

function share(option: string, value: number): number {
  if (value >= 0 && value <= 1) return value;
  throw fail("badRequest", `${option} ${value}: give a share from 0 to 1`);
}
