/**
 * What the bench prints: medians, ratios and tables from measured values. Pure: values in, values or lines out.
 */

/** One way of doing the day, all its runs. */
export interface WayResult {
  readonly name: string;
  /** Wall seconds of each run, from the command to the last committed file. */
  readonly seconds: readonly number[];
  /** Largest sum of PSS over all its processes in any run. */
  readonly peakBytes: number;
  /** Only where rows were exchanged. */
  readonly exchangeBytes?: number;
  readonly exchangeRows?: number;
}

export interface WaySummary extends WayResult {
  readonly medianSeconds: number;
  readonly recordsPerSecond: number;
  /** Speed relative to the first way: 2 is twice as fast. */
  readonly ratio: number;
  readonly exchangeRowsPerInputRow?: number;
}

/** One direction of the exchange without NATS. */
export interface ExchangeFigure {
  readonly name: string;
  readonly rows: number;
  readonly seconds: number;
  /** Processor seconds over all threads. */
  readonly cpuSeconds: number;
  /** JavaScript heap allocated, what was collected meanwhile included; buffers outside the heap are not. */
  readonly heapBytes: number;
}

/** The middle value; of an even number the mean of the two. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** Adds what follows from the measurements; `ways[0]` is what the others are compared with. */
export function summarize(rows: number, ways: readonly WayResult[]): readonly WaySummary[] {
  const base = median(ways[0]?.seconds ?? []);
  return ways.map((way) => {
    const medianSeconds = median(way.seconds);
    const summary = {
      ...way,
      medianSeconds: round(medianSeconds, 3),
      recordsPerSecond: Math.round(rows / medianSeconds),
      ratio: round(base / medianSeconds, 2),
    };
    if (way.exchangeRows === undefined) return summary;
    return { ...summary, exchangeRowsPerInputRow: round(way.exchangeRows / rows, 3) };
  });
}

/** The three ways as an aligned table. */
export function wayTable(ways: readonly WaySummary[]): readonly string[] {
  const head = ["way", "median s", "records/s", "ratio", "peak MiB", "exchanged MiB", "rows/row"];
  const lines = ways.map((way) => [
    way.name,
    way.medianSeconds.toFixed(2),
    String(way.recordsPerSecond),
    way.ratio.toFixed(2),
    mebibytes(way.peakBytes),
    way.exchangeBytes === undefined ? "-" : mebibytes(way.exchangeBytes),
    way.exchangeRowsPerInputRow === undefined ? "-" : way.exchangeRowsPerInputRow.toFixed(3),
  ]);
  return aligned([head, ...lines]);
}

/** The exchange's directions as an aligned table; rows per second are per core (processor time). */
export function exchangeTable(figures: readonly ExchangeFigure[]): readonly string[] {
  const head = ["exchange alone", "rows", "rows/s per core", "rows/s", "heap MB per M rows"];
  const lines = figures.map((figure) => [
    figure.name,
    String(figure.rows),
    String(Math.round(figure.rows / figure.cpuSeconds)),
    String(Math.round(figure.rows / figure.seconds)),
    (figure.heapBytes / figure.rows).toFixed(1),
  ]);
  return aligned([head, ...lines]);
}

/** First column to the left, numbers to the right. */
function aligned(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  );
  return rows.map((row) =>
    row
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column === 0 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join("  "),
  );
}

function mebibytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(1);
}

function round(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
