/**
 * Numbers, sizes, times and tables as people read them. Pure: values in, text out.
 */

/** `1234567` → `1,234,567`. */
export function formatCount(value: number | bigint): string {
  return value.toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

/** `1234567` → `1.23 M`: three digits are enough to compare. */
export function formatShort(value: number): string {
  const units = ["", " k", " M", " G", " T"];
  return scaled(value, 1_000, units);
}

/** Bytes in powers of 1024: `1536` → `1.50 KiB`. */
export function formatBytes(bytes: number): string {
  return scaled(bytes, 1_024, [" B", " KiB", " MiB", " GiB", " TiB"]);
}

function scaled(value: number, base: number, units: readonly string[]): string {
  let rest = value;
  let index = 0;
  while (rest >= base && index < units.length - 1) {
    rest /= base;
    index++;
  }
  const digits = index === 0 ? 0 : rest >= 100 ? 0 : rest >= 10 ? 1 : 2;
  return `${rest.toFixed(digits)}${units[index] ?? ""}`;
}

/** Milliseconds → `0.4 s`, `12 s`, `3 min 05 s`, `2 h 03 min`. */
export function formatDuration(durationMs: number): string {
  const seconds = Math.max(0, durationMs) / 1_000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const two = (value: number) => String(value).padStart(2, "0");
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3_600)} h ${two(Math.floor((whole % 3_600) / 60))} min`;
}

/** Epoch milliseconds → `2026-01-15 06:00:12Z`; 0 → `-`. */
export function formatTime(wallMs: number): string {
  if (wallMs === 0) return "-";
  return `${new Date(wallMs).toISOString().slice(0, 19).replace("T", " ")}Z`;
}

/** A cell of a table: numbers stand right, the rest left. */
export type Cell = string | number | bigint | boolean | null | undefined;

export interface TableOptions {
  /** Cells longer than this are cut; default 60. */
  readonly cellMax?: number;
  /** Columns of a terminal: columns that have no room are left out at the end, and named. Default: no bound. */
  readonly lineMax?: number;
  /** Columns that hold figures as texts (`1.78 MiB`): they stand right as numbers do. */
  readonly figures?: readonly string[];
}

/** Lines of a table: header, rule, rows. */
export function formatTable(
  header: readonly string[],
  rows: readonly (readonly Cell[])[],
  { cellMax = 60, lineMax = Number.POSITIVE_INFINITY, figures = [] }: TableOptions = {},
): readonly string[] {
  const texts = rows.map((row) => header.map((_, column) => cellText(row[column], cellMax)));
  const widths = header.map((name, column) =>
    Math.max(name.length, ...texts.map((row) => (row[column] ?? "").length)),
  );
  const right = header.map(
    (name, column) => figures.includes(name) || rows.some((row) => isNumber(row[column])),
  );
  const shown = columnsWithin(widths, lineMax);
  const line = (cells: readonly string[]) =>
    cells
      .slice(0, shown)
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return right[column] === true ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd();
  const rule = widths.slice(0, shown).map((width) => "─".repeat(width));
  const left = header.slice(shown).join(", ");
  const more = left === "" ? [] : [`no room for: ${left}`];
  return [line(header), rule.join("──"), ...texts.map(line), ...more];
}

/** How many columns fit in a line, the first one in any case. */
function columnsWithin(widths: readonly number[], lineMax: number): number {
  let used = -2;
  const over = widths.findIndex((width) => {
    used += width + 2;
    return used > lineMax;
  });
  return over < 0 ? widths.length : Math.max(1, over);
}

function isNumber(cell: Cell): boolean {
  return typeof cell === "number" || typeof cell === "bigint";
}

function cellText(cell: Cell, cellMax: number): string {
  if (cell === null || cell === undefined) return "-";
  const text =
    typeof cell === "number" || typeof cell === "bigint" ? formatNumber(cell) : String(cell);
  // A control character of a value must not reach the terminal.
  const plain = text.replace(/[\p{Cc}]/gu, "·");
  return plain.length <= cellMax ? plain : `${plain.slice(0, cellMax - 1)}…`;
}

function formatNumber(value: number | bigint): string {
  if (typeof value === "bigint" || Number.isInteger(value)) return String(value);
  return String(Number(value.toPrecision(12)));
}
