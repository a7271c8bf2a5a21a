/**
 * Makes one day of record files, the dimensions, the gateways' control file and the truth, under a storage root.
 * Deterministic from the options. It never removes a day that it did not make itself.
 */
import { createHash } from "node:crypto";
import { closeSync, existsSync, mkdirSync, openSync, writeSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { fail } from "../../shared/kernel/failure.ts";
import { writeDimensions } from "./dimensions.ts";
import { LineWriter, lineBytesMax } from "./line-writer.ts";
import { type GenerateOptions, type Settings, settle } from "./options.ts";
import { deviceCount, makePopulation } from "./population.ts";
import { Random } from "./random.ts";
import { type PlannedFile, planFiles } from "./schedule.ts";
import { BlockTally, Tally, type Truth } from "./tally.ts";

export type { GenerateOptions } from "./options.ts";

/** What was made; `daymill generate --json` prints it. */
export interface GenerateSummary {
  readonly day: string;
  readonly root: string;
  /** Lines under raw/ for the day, damaged ones included. Here and below, what is there twice counts once. */
  readonly lines: number;
  /** Accepted records among them. */
  readonly rows: number;
  readonly malformedLines: number;
  readonly files: number;
  /** Stored bytes (after gzip) and bytes before, of all that is under raw/. */
  readonly bytes: number;
  readonly plainBytes: number;
  readonly gateways: number;
  readonly periodMinutes: number;
  readonly subscribers: number;
  readonly distinct: Truth["distinct"];
  readonly duplicateFiles: number;
  readonly missingFiles: number;
  readonly lateFiles: number;
  readonly seconds: number;
  readonly recordsPerSecond: number;
  /** Relative to the root. */
  readonly control: string;
  readonly truth: string;
}

/** One line of control.json: what a gateway announces, whether it comes or not. */
interface Announced {
  readonly file: string;
  readonly gateway: number;
  readonly records: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** Bytes of lines gathered before they are written; with gzip, one member each. */
const blockBytes = 8 * 1024 * 1024;

/** Everything that one call carries along. */
interface Workshop {
  readonly settings: Settings;
  readonly writer: LineWriter;
  readonly block: BlockTally;
  readonly present: Tally;
  readonly late: Tally;
  readonly missing: Tally;
  readonly rawFolder: string;
  readonly lateFolder: string;
}

/** Writes the day. `badRequest` for options that cannot be, `conflict` for a folder that is not ours. */
export async function generate(options: GenerateOptions): Promise<GenerateSummary> {
  const startedAt = process.hrtime.bigint();
  const settings = settle(options);
  const population = makePopulation(settings);
  const tally = () => new Tally(population.subscribers, population.cells, deviceCount);
  const workshop: Workshop = {
    settings,
    writer: new LineWriter(settings, population, blockBytes + lineBytesMax),
    block: new BlockTally(),
    present: tally(),
    late: tally(),
    missing: tally(),
    rawFolder: path.join(settings.root, "raw", "ipdr", `day=${settings.day}`),
    lateFolder: path.join(settings.root, "late", "ipdr", `day=${settings.day}`),
  };
  await clearDay(workshop);
  await writeDimensions(settings, population);
  const announced: Announced[] = [];
  const stored = { bytes: 0, plainBytes: 0 };
  let lines = 0;
  for (const file of planFiles(settings)) {
    const made = writeFileOfDay(workshop, file);
    announced.push(made.announced);
    stored.bytes += made.storedBytes;
    stored.plainBytes += made.plainBytes;
    lines += file.lines;
    options.progress?.(lines, settings.rows);
    await nextTurn();
  }
  const truth = workshop.present.truth(settings.dayStartMs);
  await writeJson(path.join(workshop.rawFolder, "control.json"), {
    day: settings.day,
    files: announced,
  });
  // Last of all: its presence says that the day is whole.
  await writeJson(path.join(workshop.rawFolder, "truth.json"), {
    day: settings.day,
    options: { ...settings, root: undefined, dayStartMs: undefined },
    ...truth,
    late: workshop.late.truth(settings.dayStartMs),
    missing: workshop.missing.truth(settings.dayStartMs),
  });
  const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
  return summary(settings, truth, stored, seconds);
}

function summary(
  settings: Settings,
  truth: Truth,
  stored: { readonly bytes: number; readonly plainBytes: number },
  seconds: number,
): GenerateSummary {
  const folder = `raw/ipdr/day=${settings.day}`;
  return {
    day: settings.day,
    root: settings.root,
    lines: truth.rows + truth.malformed_lines,
    rows: truth.rows,
    malformedLines: truth.malformed_lines,
    files: truth.files,
    bytes: stored.bytes,
    plainBytes: stored.plainBytes,
    gateways: settings.gateways,
    periodMinutes: settings.periodMinutes,
    subscribers: settings.subscribers,
    distinct: truth.distinct,
    duplicateFiles: settings.duplicateFiles,
    missingFiles: settings.missingFiles,
    lateFiles: settings.lateFiles,
    seconds: Math.round(seconds * 1000) / 1000,
    recordsPerSecond: Math.round(settings.rows / seconds),
    control: `${folder}/control.json`,
    truth: `${folder}/truth.json`,
  };
}

/** Makes room for the day: an earlier one of ours goes, anything else stays and is an error. */
async function clearDay(workshop: Workshop): Promise<void> {
  const { rawFolder, lateFolder } = workshop;
  const mark = path.join(rawFolder, ".generated");
  if (existsSync(rawFolder) && !existsSync(mark)) {
    throw fail(
      "conflict",
      `${rawFolder} exists and was not made by the generator: choose another --root or --day, ` +
        "or move the folder away",
    );
  }
  await rm(rawFolder, { recursive: true, force: true });
  await rm(lateFolder, { recursive: true, force: true });
  await mkdir(rawFolder, { recursive: true });
  await writeFile(mark, "");
}

function writeFileOfDay(
  workshop: Workshop,
  file: PlannedFile,
): { announced: Announced; storedBytes: number; plainBytes: number } {
  const { settings, writer, block } = workshop;
  const copies = file.fate === "twice" ? 2 : 1;
  const isHere = file.fate === "delivered" || file.fate === "twice";
  const target = isHere ? workshop.present : workshop[file.fate];
  const sink = new FileSink(placesOf(workshop, file), settings.gzip);
  const random = new Random(settings.seed, settings.dayStartMs, 3, file.gateway, file.period);
  const fromMs = file.period * settings.periodMinutes * 60_000;
  let left = file.lines;
  do {
    block.clear();
    writer.at = 0;
    for (; left > 0 && writer.at < blockBytes; left -= 1) {
      writer.write(random, file.gateway, fromMs, block, target);
    }
    target.add(block, file.gateway);
    sink.write(writer.bytes.subarray(0, writer.at));
  } while (left > 0);
  target.addFile();
  const made = sink.close();
  const delivered = isHere ? copies : 0;
  return {
    announced: {
      file: file.name,
      gateway: file.gateway,
      records: file.lines,
      bytes: made.bytes,
      sha256: made.sha256,
    },
    storedBytes: made.bytes * delivered,
    plainBytes: made.plainBytes * delivered,
  };
}

/** Full paths a file is written to: none if it is missing, two if it is delivered twice. */
function placesOf(workshop: Workshop, file: PlannedFile): string[] {
  switch (file.fate) {
    case "missing":
      return [];
    case "late":
      return [path.join(workshop.lateFolder, file.name)];
    case "delivered":
      return [path.join(workshop.rawFolder, file.name)];
    case "twice":
      return [
        path.join(workshop.rawFolder, file.name),
        path.join(workshop.rawFolder, file.name.replace(".csv", "-again.csv")),
      ];
  }
}

/** Writes blocks to every place at once and keeps size and checksum of what is stored. */
class FileSink {
  private readonly handles: number[];
  private readonly gzip: boolean;
  private readonly hash = createHash("sha256");
  private bytes = 0;
  private plainBytes = 0;

  constructor(places: readonly string[], gzip: boolean) {
    for (const place of places) mkdirSync(path.dirname(place), { recursive: true });
    this.handles = places.map((place) => openSync(place, "w"));
    this.gzip = gzip;
  }

  write(plain: Uint8Array): void {
    const stored = this.gzip ? gzipSync(plain, { level: 1 }) : plain;
    for (const handle of this.handles) {
      for (let at = 0; at < stored.length; ) at += writeSync(handle, stored, at);
    }
    this.hash.update(stored);
    this.bytes += stored.length;
    this.plainBytes += plain.length;
  }

  close(): { bytes: number; plainBytes: number; sha256: string } {
    for (const handle of this.handles) closeSync(handle);
    return { bytes: this.bytes, plainBytes: this.plainBytes, sha256: this.hash.digest("hex") };
  }
}

async function writeJson(place: string, value: unknown): Promise<void> {
  await writeFile(`${place}.part`, `${JSON.stringify(value, undefined, 1)}\n`);
  await rename(`${place}.part`, place);
}
