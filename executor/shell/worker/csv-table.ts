/**
 * The SQL of a delimited file as a table: nothing is detected, everything is declared. Two readings of the same lines:
 * one that skips bad lines for the rows, one that notes them for the rejects.
 */
import { sqlName, sqlText } from "../../../shared/adapters/duckdb.ts";
import type { Column, CsvOptions } from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";

/** What the engine does with a bad line. `note` fills the tables `__errors` and `__scans`. */
export type BadLines = "skip" | "note";

/** Tables that a reading with `note` leaves behind. */
export const noteTables = ["__errors", "__scans"] as const;

/** `read_csv(…)` with all declared columns; `file_index` counts the paths from 0. */
export function csvTable(
  csv: CsvOptions,
  columns: readonly Column[],
  paths: readonly string[],
  badLines: BadLines,
): string {
  const declared = columns.map(({ name, type }) => `${sqlText(name)}: ${sqlText(type)}`);
  const options = [
    `columns = {${declared.join(", ")}}`,
    "auto_detect = false",
    `header = ${csv.header}`,
    `delim = ${sqlText(csv.delimiter)}`,
    `quote = ${sqlText(csv.quote)}`,
    `escape = ${sqlText(csv.escape)}`,
    `nullstr = ${sqlText(csv.nullString)}`,
    "compression = 'none'",
    // Folders like gw=3 would replace a declared column of that name.
    "hive_partitioning = false",
    `max_line_size = ${limits.lineBytesMax}`,
    `buffer_size = ${limits.scanBufferBytes}`,
    // A quoted line feed may lie where two threads would divide the file.
    `parallel = ${csv.quote === ""}`,
    ...(badLines === "skip" ? ["ignore_errors = true"] : noteOptions),
  ];
  if (csv.timestampFormat !== "") options.push(`timestampformat = ${sqlText(csv.timestampFormat)}`);
  if (csv.dateFormat !== "") options.push(`dateformat = ${sqlText(csv.dateFormat)}`);
  if (csv.decimalSeparator !== "") {
    options.push(`decimal_separator = ${sqlText(csv.decimalSeparator)}`);
  }
  return `read_csv([${paths.map(sqlText).join(", ")}], ${options.join(", ")})`;
}

const noteOptions = [
  "store_rejects = true",
  `rejects_table = '${noteTables[0]}'`,
  `rejects_scan = '${noteTables[1]}'`,
  "rejects_limit = 0",
];

/** Always true, but the optimiser cannot know it: a column that nothing reads would not be checked. */
export function readsAll(columns: readonly Column[]): string {
  return `${columns.map(({ name }) => `(${sqlName(name)} IS NULL)::INTEGER`).join(" + ")} >= 0`;
}
