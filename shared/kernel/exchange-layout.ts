/**
 * How rows of an exchange lie in memory, in groups and in messages. Both ends compute it from the plan alone.
 * Pure arithmetic and texts: no library's types, no bytes of rows.
 */
import { assert } from "./assert.ts";

/** How the values of a column lie in a buffer. `width` is bytes per value in DuckDB's vectors. */
export type ColumnLayout =
  | { readonly kind: "fixed"; readonly width: 1 | 2 | 4 | 8 }
  | { readonly kind: "boolean" }
  /** `width` is DuckDB's physical width; on the wire it is always 16 bytes, two's complement. */
  | {
      readonly kind: "decimal";
      readonly width: 2 | 4 | 8 | 16;
      readonly precision: number;
      readonly scale: number;
    }
  /** Bytes of any length: VARCHAR (`utf8`) or BLOB. */
  | { readonly kind: "bytes"; readonly utf8: boolean };

const fixedWidths: Readonly<Record<string, 1 | 2 | 4 | 8>> = {
  TINYINT: 1,
  UTINYINT: 1,
  SMALLINT: 2,
  USMALLINT: 2,
  INTEGER: 4,
  UINTEGER: 4,
  FLOAT: 4,
  DATE: 4,
  BIGINT: 8,
  UBIGINT: 8,
  DOUBLE: 8,
  TIME: 8,
  TIMESTAMP: 8,
  "TIMESTAMP WITH TIME ZONE": 8,
};

/** Layout of a DuckDB type by its canonical name; undefined when the type may not cross an exchange. */
export function layoutOf(type: string): ColumnLayout | undefined {
  const width = fixedWidths[type];
  if (width !== undefined) return { kind: "fixed", width };
  if (type === "BOOLEAN") return { kind: "boolean" };
  if (type === "VARCHAR" || type === "BLOB") return { kind: "bytes", utf8: type === "VARCHAR" };
  const decimal = /^DECIMAL\((\d+),\s*(\d+)\)$/.exec(type);
  if (decimal === null) return undefined;
  const [precision, scale] = [Number(decimal[1]), Number(decimal[2])];
  return { kind: "decimal", width: decimalWidth(precision), precision, scale };
}

function decimalWidth(precision: number): 2 | 4 | 8 | 16 {
  if (precision <= 4) return 2;
  if (precision <= 9) return 4;
  return precision <= 18 ? 8 : 16;
}

/** Bytes of one value on the wire, without validity; strings count their offset only. */
export function wireWidth(layout: ColumnLayout): number {
  if (layout.kind === "fixed") return layout.width;
  if (layout.kind === "decimal") return 16;
  return layout.kind === "bytes" ? 4 : 1;
}

/** Group of a partition: groups are contiguous ranges, so rows sorted by partition are sorted by group. */
export function groupOf(partition: number, partitions: number, groups: number): number {
  assert(partition >= 0 && partition < partitions, "the partition exists");
  assert(groups >= 1 && groups <= partitions, "1 ≤ groups ≤ partitions");
  return Math.floor((partition * groups) / partitions);
}

/** Rows of one partition, in the order in which they lie in a message. */
export interface PartitionRows {
  readonly partition: number;
  readonly rows: number;
}

/** `7:120,9:3`: what a message holds, told in its header so that it can be judged unopened. */
export function formatPartitionRows(parts: readonly PartitionRows[]): string {
  return parts.map((part) => `${part.partition}:${part.rows}`).join(",");
}

/** The exact inverse of `formatPartitionRows`; undefined for anything else. */
export function parsePartitionRows(text: string): readonly PartitionRows[] | undefined {
  const parts: PartitionRows[] = [];
  for (const item of text.split(",")) {
    const match = /^(\d{1,5}):([1-9]\d{0,9})$/.exec(item);
    if (match === null) return undefined;
    parts.push({ partition: Number(match[1]), rows: Number(match[2]) });
  }
  return parts;
}
