/**
 * Finds the lines that the scan left out, and why. The engine keeps about 1 KB outside its memory limit for each wrong
 * field, so it looks at a block at a time, at parts of it where many lines are bad, and only at a bounded number.
 */
import { unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Engine, sqlText } from "../../../shared/adapters/duckdb.ts";
import { fileError } from "../../../shared/adapters/inputs-files.ts";
import { quotingOf } from "../../../shared/adapters/integrity.ts";
import {
  type Block,
  fileBlocks,
  smallerBlocks,
  takeShortLines,
} from "../../../shared/adapters/integrity-blocks.ts";
import { fail } from "../../../shared/kernel/failure.ts";
import type { Column, CsvOptions } from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { csvTable, noteTables, readsAll } from "./csv-table.ts";
import { collectDefects, collectRejects, rejectsTable } from "./rejects.ts";

export interface BadLinesRequest {
  readonly engine: Engine;
  /** The attempt's temporary folder, absolute. */
  readonly folder: string;
  /** Path for people. */
  readonly file: string;
  /** What the scan read. */
  readonly scanPath: string;
  readonly csv: CsvOptions;
  readonly columns: readonly Column[];
  /** Lines that the integrity pass took out: known already. */
  readonly defectsPath: string | undefined;
  /** Bytes of all its lines. */
  readonly plainBytes: number;
  /** How many lines the scan left out. */
  readonly expected: number;
}

/** Adds the bad lines to the rejects. Errors: `internal` when they are not as many as the scan left out. */
export async function findBadLines(request: BadLinesRequest): Promise<void> {
  const { scanPath, plainBytes, expected } = request;
  const evenly = evenBytes(plainBytes, expected);
  let found = 0;
  for await (const block of fileBlocks(scanPath, cuts(request, limits.rejectBlockBytes))) {
    found += await noteParts(request, block, evenly, found);
    if (found >= limits.rejectLinesKeptPerFile) break;
  }
  if (found === expected) return;
  if (found < limits.rejectLinesKeptPerFile) {
    throw fail(
      "internal",
      `file ${request.file}: the scan left out ${expected} lines, ${found} of them were found; nothing of it is used`,
      { file: request.file, expected, found },
    );
  }
  await noteRest(request, expected - found);
}

/** Bytes that have half as many bad lines as are noted at a time, where those lie evenly. */
function evenBytes(bytes: number, bad: number): number {
  return Math.ceil((bytes * limits.rejectLinesPerBlockMax) / (2 * bad));
}

function cuts({ csv }: BadLinesRequest, blockBytes: number) {
  return { quoting: quotingOf(csv), lineBytesMax: limits.lineBytesMax, blockBytes };
}

/** Gives the number of lines that were added to the rejects; `found`: those before. */
async function noteParts(
  request: BadLinesRequest,
  block: Block,
  partBytes: number,
  found: number,
): Promise<number> {
  let added = 0;
  for (const part of smallerBlocks(block, cuts(request, partBytes))) {
    added += await noteBlock(request, part, found + added);
    if (found + added >= limits.rejectLinesKeptPerFile) break;
  }
  return added;
}

/** In parts where the bad lines are too many. */
async function noteBlock(request: BadLinesRequest, block: Block, found: number): Promise<number> {
  if (isSparse(request, block, request.expected - found)) return await noteBad(request, block);
  const bad = await countBad(request, block);
  if (bad === 0) return 0;
  if (bad <= limits.rejectLinesPerBlockMax) return await noteBad(request, block);
  return await noteParts(request, block, evenBytes(block.bytes.length, bad), found);
}

/** Can it have no more bad lines than are noted at a time, but some? Then counting them first would be a reading more. */
function isSparse({ columns, defectsPath }: BadLinesRequest, block: Block, left: number): boolean {
  // Marker lines of one-column files are bad lines, and not among those that are left.
  const isMarked = columns.length === 1 && defectsPath !== undefined;
  const bound = isMarked ? block.records : Math.min(block.records, left);
  return left > 0 && bound <= limits.rejectLinesPerBlockMax;
}

/** Bad lines of a block, cheaply. Marker lines of one-column files count as bad here. */
async function countBad(request: BadLinesRequest, block: Block): Promise<number> {
  const { engine, columns } = request;
  return await withBlock(request, block, async (path, csv) => {
    const rows = await engine.rows(
      `SELECT count(*)::VARCHAR FROM ${csvTable(csv, columns, [path], "skip")} WHERE ${readsAll(columns)}`,
      `file ${request.file}`,
    );
    const header = csv.header ? 1 : 0;
    const skipped = columns.length > 1 ? block.blank : 0;
    return block.records - header - skipped - Number(rows[0]?.[0]);
  });
}

/** Gives the number of lines that were added to the rejects. */
async function noteBad(request: BadLinesRequest, block: Block): Promise<number> {
  const { engine, columns, file, defectsPath } = request;
  const short = shortLines(request, block);
  const known = await noteShort(request, short.lines);
  return await withBlock(request, { ...block, bytes: short.bytes }, async (path, csv) => {
    await engine.rows(
      `SELECT count(*) FROM ${csvTable(csv, columns, [path], "note")} WHERE ${readsAll(columns)}`,
      `file ${file}`,
    );
    const found = await collectRejects(engine, { file, before: block.before, defectsPath });
    for (const table of noteTables) await engine.run(`DROP TABLE ${table}`, "rejects");
    return known + found;
  });
}

function shortLines(request: BadLinesRequest, block: Block): ReturnType<typeof takeShortLines> {
  const { csv, columns } = request;
  if (csv.quote !== "" || columns.length === 1) return { bytes: block.bytes, lines: [] };
  const line = {
    delimiter: Buffer.from(csv.delimiter),
    columns: columns.length,
    rawBytesKept: limits.rejectLineBytesKept,
  };
  return takeShortLines(block, line, csv.header && block.before === 0);
}

async function noteShort(
  request: BadLinesRequest,
  lines: ReturnType<typeof takeShortLines>["lines"],
): Promise<number> {
  if (lines.length === 0) return 0;
  const path = join(request.folder, "short.json");
  await written(request, path, Buffer.from(lines.map((line) => JSON.stringify(line)).join("\n")));
  const count = await collectDefects(request.engine, request.file, path);
  await unlink(path);
  return count;
}

async function withBlock<T>(
  request: BadLinesRequest,
  block: Block,
  read: (path: string, csv: CsvOptions) => Promise<T>,
): Promise<T> {
  const path = join(request.folder, "block.csv");
  await written(request, path, block.bytes);
  const result = await read(path, {
    ...request.csv,
    header: request.csv.header && block.before === 0,
  });
  await unlink(path);
  return result;
}

async function written(request: BadLinesRequest, path: string, bytes: Buffer): Promise<void> {
  try {
    await writeFile(path, bytes, { mode: 0o600 });
  } catch (error) {
    throw fileError(error, `${request.file} (a block of it in the work folder)`);
  }
}

async function noteRest(request: BadLinesRequest, rest: number): Promise<void> {
  await request.engine.run(
    `INSERT INTO ${rejectsTable} VALUES (${sqlText(request.file)}, NULL,
       '${rest} more rejected lines of this file are counted but not kept', NULL)`,
    `rejects of ${request.file}`,
  );
}
