/** Arrow files for tests, made by the library itself; and the rows of what became of them. */
import { join } from "node:path";
import {
  CompressionType,
  Dictionary,
  Int8,
  Int32,
  RecordBatchFileWriter,
  RecordBatchStreamWriter,
  Table,
  Utf8,
  type Vector,
  vectorFromArray,
} from "apache-arrow";
import { runWork } from "../../executor/shell/worker/run-work.ts";
// Teaches the library LZ4.
import "../../shared/adapters/arrow.ts";
import type { Column } from "../../shared/kernel/job.ts";
import type { AttemptSuccess, FileFingerprint } from "../../shared/kernel/work.ts";
import { query } from "./query.ts";
import { context, copyWork, delivery, type Root, source } from "./setup.ts";

export type Form = "file" | "stream";
export const forms: readonly Form[] = ["file", "stream"];

export function ipc(form: Form, table: Table, lz4 = false): Buffer {
  const options = { compressionType: lz4 ? CompressionType.LZ4_FRAME : null };
  const writer =
    form === "file"
      ? RecordBatchFileWriter.writeAll(table, options)
      : RecordBatchStreamWriter.writeAll(table, options);
  return Buffer.from(writer.toUint8Array(true));
}

/** Batches of equal columns as one table. */
export function batches(...parts: readonly Readonly<Record<string, Vector>>[]): Table {
  return new Table(parts.flatMap((part) => new Table(part).batches));
}

/** An integer as the four words of a decimal. */
export function words(value: bigint): Uint32Array {
  const whole = BigInt.asUintN(128, value);
  return Uint32Array.from([0n, 32n, 64n, 96n], (shift) => Number((whole >> shift) & 0xffffffffn));
}

/** Three batches of one dictionary, with texts and NULLs. */
export function sample(): Table {
  const rows = Array.from({ length: 150 }, (_, row) => row);
  const whole = new Table({
    a: vectorFromArray(rows, new Int32()),
    t: vectorFromArray(
      rows.map((row) => (row % 9 === 0 ? null : `text ${row} é`)),
      new Utf8(),
    ),
    w: vectorFromArray(
      rows.map((row) => `w${row % 5}`),
      new Dictionary(new Utf8(), new Int8()),
    ),
  });
  return new Table([0, 50, 100].flatMap((from) => whole.slice(from, from + 50).batches));
}

/** An attempt that copies the declared columns of an Arrow file to a dataset. */
export async function copied(
  root: Root,
  file: FileFingerprint,
  declared: readonly Column[],
): Promise<AttemptSuccess> {
  const work = copyWork(source({ columns: declared, format: "arrow" }), [file]);
  return await runWork(work, delivery(), context(root));
}

/** Rows of the dataset that an attempt staged, as texts. */
export async function rowsOf(
  root: Root,
  done: AttemptSuccess,
): Promise<readonly (readonly (string | null)[])[]> {
  const path = join(root.path, done.files[0]?.path ?? "");
  return await query("SET TimeZone = 'UTC'", `SELECT * FROM read_parquet('${path}')`);
}
