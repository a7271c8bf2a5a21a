/**
 * `daymill generate`: a day of made-up records with its truth, for trying things out. The work is scripts/generate.
 */
import type { Command } from "commander";
import {
  type GenerateOptions,
  type GenerateSummary,
  generate,
} from "../../scripts/generate/generate.ts";
import { DaymillError, fail } from "../../shared/kernel/failure.ts";
import { checkDay, finish, needed, printing, show, wholeNumber } from "../command.ts";
import { exitCodes } from "../exit-codes.ts";
import { formatBytes, formatCount } from "../format.ts";

interface GenerateCommandOptions {
  readonly json?: boolean;
  readonly root?: string;
  readonly day?: string;
  readonly rows?: string;
  readonly seed: string;
  readonly gateways?: string;
  readonly periodMinutes?: string;
  readonly gzip?: boolean;
  readonly skew: string;
  readonly subscribers?: string;
  readonly malformed: string;
  readonly duplicateFiles: string;
  readonly missingFiles: string;
  readonly lateFiles: string;
}

export function generateCommand(): Command {
  return printing("generate", "make a day of IPDR files with dimensions and the truth about them")
    .option("--root <dir>", "storage root: raw/, dims/ and late/ are made under it (needed)")
    .option("--day <date>", "data date, YYYY-MM-DD (needed)")
    .option("--rows <n>", "lines of the day (needed)")
    .option("--seed <n>", "same options, same bytes", "1")
    .option("--gateways <n>", "default one per 2.5 M rows, at least 4")
    .option(
      "--period-minutes <n>",
      "one file per gateway and period; default 15, more for few rows",
    )
    .option("--gzip", "write .csv.gz instead of .csv")
    .option("--skew <kind>", "realistic or hostile", "realistic")
    .option("--subscribers <n>", "default rows / 100, at least 10,000")
    .option("--malformed <share>", "share of damaged lines, 0 to 1", "0")
    .option("--duplicate-files <n>", "files delivered twice", "0")
    .option("--missing-files <n>", "files announced but never delivered", "0")
    .option("--late-files <n>", "files written to late/ instead of raw/", "0")
    .action((options: GenerateCommandOptions) => finish(() => run(options)));
}

/** Folders that cannot be made and disks that are full are the user's news, not a defect. */
async function writing(root: string, asked: GenerateOptions): Promise<GenerateSummary> {
  try {
    return await generate(asked);
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code;
    if (error instanceof DaymillError || errno === undefined) throw error;
    const text = `files cannot be written under ${root} (${errno}); check --root and its disk`;
    throw fail("storageFailed", text, { errno }, error);
  }
}

async function run(options: GenerateCommandOptions): Promise<number> {
  const whole = (option: string, text: string | undefined) =>
    text === undefined ? undefined : wholeNumber(option, text, 0, Number.MAX_SAFE_INTEGER);
  const root = needed("--root", "the storage root to write under", options.root);
  const day = checkDay(options.day);
  const rows = needed("--rows", "the lines of the day", options.rows);
  const { skew } = options;
  if (skew !== "realistic" && skew !== "hostile") {
    throw fail("badRequest", `--skew ${skew}: choose realistic or hostile`);
  }
  const malformedShare = Number(options.malformed);
  if (!(malformedShare >= 0 && malformedShare <= 1)) {
    throw fail("badRequest", `--malformed ${options.malformed}: a share from 0 to 1 is expected`);
  }
  const made = await writing(root, {
    root,
    day,
    rows: wholeNumber("--rows", rows, 1, Number.MAX_SAFE_INTEGER),
    seed: whole("--seed", options.seed),
    gateways: whole("--gateways", options.gateways),
    periodMinutes: whole("--period-minutes", options.periodMinutes),
    gzip: options.gzip === true,
    skew,
    subscribers: whole("--subscribers", options.subscribers),
    malformedShare,
    duplicateFiles: whole("--duplicate-files", options.duplicateFiles),
    missingFiles: whole("--missing-files", options.missingFiles),
    lateFiles: whole("--late-files", options.lateFiles),
  });
  show(options, made, () => [
    `${formatCount(made.lines)} lines in ${made.files} files, ${formatBytes(made.bytes)}, under ${made.root}`,
    `distinct: ${Object.entries(made.distinct)
      .map(([what, count]) => `${what} ${formatCount(Number(count))}`)
      .join(", ")}`,
    `made in ${made.seconds.toFixed(1)} s (${formatCount(Math.round(made.recordsPerSecond))} records/s); truth in ${made.truth}`,
  ]);
  return exitCodes.ok;
}
