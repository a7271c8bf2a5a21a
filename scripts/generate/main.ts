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

const { values } = parseArgs({
  options: {
    rows: { type: "string" },
    day: { type: "string" },
    root: { type: "string" },
    seed: { type: "string" },
    gateways: { type: "string" },
    "period-minutes": { type: "string" },
    gzip: { type: "boolean" },
    plain: { type: "boolean" },
    skew: { type: "string" },
    subscribers: { type: "string" },
    malformed: { type: "string" },
    "duplicate-files": { type: "string" },
    "missing-files": { type: "string" },
    "late-files": { type: "string" },
    help: { type: "boolean", short: "h" },
  },
});

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
  console.error(`error: --skew ${text}: choose realistic or hostile`);
  process.exit(2);
}

const { rows, day, root } = values;
if (values.help) {
  console.log(usage);
} else if (rows === undefined || day === undefined || root === undefined) {
  console.error(`error: --rows, --day and --root are needed\n\n${usage}`);
  process.exitCode = 2;
} else {
  try {
    console.log(JSON.stringify(await generate(optionsFrom(rows, day, root))));
  } catch (error) {
    console.error(`error: ${fromUnknown(error).message}`);
    process.exitCode = 1;
  }
}
