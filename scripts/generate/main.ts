/**
 * The generator as a command: options in, files and one JSON line out. The work is in generate.ts.
 */
import { parseArgs } from "node:util";
import { fromUnknown } from "../../shared/kernel/failure.ts";
import { type GenerateOptions, generate } from "./generate.ts";

const usage = `Makes a day of IPDR files with dimensions, control.json and truth.json.

  node dist/scripts/generate/main.js --rows N --day YYYY-MM-DD --root DIR [options]

  --rows N               lines of the day
  --day D                data date (UTC)
  --root DIR             storage root: raw/, dims/ and late/ are made under it
  --seed N               default 1; same options, same bytes
  --gateways N           default one per 2.5 M rows, at least 4
  --period-minutes N     one file per gateway and period; default 15, more for few rows
  --gzip | --plain       default plain
  --skew KIND            realistic (default) or hostile
  --subscribers N        default rows / 100, at least 10,000
  --malformed SHARE      damaged lines, 0 to 1
  --duplicate-files N    delivered twice
  --missing-files N      announced in control.json, never delivered
  --late-files N         written to late/ instead of raw/
`;

const text = { type: "string" } as const;
const flag = { type: "boolean" } as const;
const known = {
  rows: text,
  day: text,
  root: text,
  seed: text,
  gateways: text,
  "period-minutes": text,
  gzip: flag,
  plain: flag,
  skew: text,
  subscribers: text,
  malformed: text,
  "duplicate-files": text,
  "missing-files": text,
  "late-files": text,
  help: { ...flag, short: "h" },
} as const;

const values = readOptions();

function readOptions() {
  try {
    return parseArgs({ options: known }).values;
  } catch (error) {
    return usageError(fromUnknown(error).message);
  }
}

function usageError(message: string): never {
  console.error(`error: ${message}\n\n${usage}`);
  process.exit(2);
}

function number(text: string | undefined): number | undefined {
  return text === undefined ? undefined : Number(text);
}

function optionsFrom(rows: string, day: string, root: string): GenerateOptions {
  return {
    root,
    day,
    rows: Number(rows),
    seed: number(values.seed),
    gateways: number(values.gateways),
    periodMinutes: number(values["period-minutes"]),
    gzip: values.gzip === true && values.plain !== true,
    skew: values.skew === undefined ? undefined : skewFrom(values.skew),
    subscribers: number(values.subscribers),
    malformedShare: number(values.malformed),
    duplicateFiles: number(values["duplicate-files"]),
    missingFiles: number(values["missing-files"]),
    lateFiles: number(values["late-files"]),
  };
}

function skewFrom(text: string): "realistic" | "hostile" {
  if (text === "realistic" || text === "hostile") return text;
  return usageError(`--skew ${text}: choose realistic or hostile`);
}

const { rows, day, root } = values;
if (values.help) {
  console.log(usage);
} else if (rows === undefined || day === undefined || root === undefined) {
  usageError("--rows, --day and --root are needed");
} else {
  try {
    console.log(JSON.stringify(await generate(optionsFrom(rows, day, root))));
  } catch (error) {
    console.error(`error: ${fromUnknown(error).message}`);
    process.exitCode = 1;
  }
}
