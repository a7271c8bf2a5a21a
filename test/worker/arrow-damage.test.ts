/**
 * Arrow IPC inputs that are cut, altered or not what their format says: an error that names the file, never fewer rows.
 */
import {
  CompressionType,
  compressionRegistry,
  Int32,
  RecordBatchStreamWriter,
  Table,
  Utf8,
  vectorFromArray,
} from "apache-arrow";
import { expect, test } from "vitest";
import { createColumnReader, loadedType } from "../../shared/adapters/arrow-columns.ts";
import { openArrowFile } from "../../shared/adapters/arrow-file.ts";
import { parseMessage } from "../../shared/adapters/arrow-metadata.ts";
import { openInputs } from "../../shared/adapters/inputs.ts";
import { openInput } from "../../shared/adapters/integrity-open.ts";
import { DaymillError } from "../../shared/kernel/failure.ts";
import type { Column } from "../../shared/kernel/job.ts";
import { type FileFingerprint, mapKey } from "../../shared/kernel/work.ts";
import { copied, forms, ipc, rowsOf, sample } from "./arrow-files.ts";
import { columns, copyWork, failsWith, rootOfEachTest, source } from "./setup.ts";

const root = rootOfEachTest();

const run = (file: FileFingerprint, declared: readonly Column[]) => copied(root, file, declared);

const sampleColumns = columns("a INTEGER, t VARCHAR, w VARCHAR");

test.each(forms)("a %s cut anywhere is inputTruncated, never fewer rows", async (form) => {
  const bytes = ipc(form, sample());
  const whole = await run(root.write("raw/a.arrow", bytes), sampleColumns);
  expect(whole.accounts[0]).toMatchObject({ lines: 150, rows: 150 });
  const messages = starts(bytes);
  expect(messages.length).toBeGreaterThanOrEqual(5);
  const lengths = [1, 5, 7, 8, 12, 100, bytes.length - 1, bytes.length - 8, bytes.length >> 1];
  // Where a message ends is where a cut is hardest to see.
  for (const length of [...new Set([...messages, ...lengths])]) {
    if (length === 0) continue;
    const file = root.write("raw/a.arrow", bytes.subarray(0, length));
    await expect(run(file, sampleColumns), `${length} bytes`).rejects.toMatchObject(
      failsWith("inputTruncated", "file raw/a.arrow"),
    );
  }
});

test.each(forms)("bytes behind the end of a %s, or before it, are inputMalformed", async (form) => {
  const bytes = ipc(form, sample());
  const files = form === "stream" ? [Buffer.concat([bytes, Buffer.alloc(8)])] : [];
  files.push(Buffer.concat([Buffer.from("x"), bytes]), Buffer.from("a,b,c\n1,2,3\n".repeat(10)));
  for (const wrong of files) {
    const file = root.write("raw/a.arrow", wrong);
    await expect(run(file, sampleColumns)).rejects.toMatchObject(
      failsWith("inputMalformed", "file raw/a.arrow"),
    );
  }
});

test.each(forms)(
  "a flipped bit of a %s is an error that names it, or a value: all rows are there",
  async (form) => {
    const bytes = ipc(form, sample());
    const ends: Record<string, number> = {};
    // About a hundred places, at all positions in a word.
    const step = Math.ceil(bytes.length / 100) | 1;
    for (let at = 3; at < bytes.length; at += step) {
      const flipped = Buffer.from(bytes);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
      const file = root.write("raw/a.arrow", flipped);
      const end = await run(file, sampleColumns).then(
        ({ accounts: [account] }) => `${account?.lines} lines, ${account?.rows} rows`,
        (error: { failure?: { code: string; message: string } }) => {
          expect(error.failure?.message, `byte ${at}`).toContain("file raw/a.arrow");
          return error.failure?.code ?? "";
        },
      );
      ends[end] = (ends[end] ?? 0) + 1;
    }
    expect(Object.keys(ends).sort()).toEqual(
      expect.arrayContaining(["150 lines, 150 rows", "inputMalformed"]),
    );
    const allowed = ["150 lines, 150 rows", "inputMalformed", "inputTruncated", "limitExceeded"];
    expect(Object.keys(ends).filter((end) => !allowed.includes(end))).toEqual([]);
  },
);

/** Rows that the reader gives for a file of the root, or the failure's code. */
async function readerEnd(file: FileFingerprint): Promise<string> {
  const input = await openInput(root.path, file);
  try {
    const { fields, messages } = await openArrowFile(input, new AbortController().signal);
    const sums = { node: 0, buffer: 0, views: 0 };
    const found = fields.flatMap((field) => {
      const at = { ...sums };
      sums.node += field.nodes;
      sums.buffer += field.buffers;
      sums.views += field.views;
      const loaded = loadedType(field);
      return loaded === undefined ? [] : [{ field, ...at, ...loaded }];
    });
    const reader = createColumnReader(file.path, fields, found);
    let rows = 0;
    for await (const { header, body } of messages()) {
      if (header.kind === "dictionary") reader.learn(header.id, header.delta, header.batch, body);
      else for (const batch of reader.read(header.batch, body)) rows += batch.rows;
    }
    return `${rows} rows`;
  } catch (error) {
    if (error instanceof RangeError) return "damaged";
    if (error instanceof DaymillError) return error.failure.code;
    throw error;
  } finally {
    await input.handle.close();
  }
}

/** Where messages begin. */
function starts(bytes: Buffer): readonly number[] {
  const found: number[] = [];
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    if (bytes.readUInt32LE(at) === 0xffffffff) found.push(at);
  }
  return found;
}

test("no flipped bit of a stream's own words hides a row", async () => {
  const bytes = ipc("stream", sample(), true);
  const ends = new Map<string, number>();
  for (const start of starts(bytes)) {
    const length = 8 + bytes.readInt32LE(start + 4);
    for (let bit = 0; bit < length * 8; bit += 3) {
      const flipped = Buffer.from(bytes);
      const at = start + (bit >> 3);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (bit & 7));
      const end = await readerEnd(root.write("raw/a.arrow", flipped));
      ends.set(end, (ends.get(end) ?? 0) + 1);
    }
  }
  expect([...ends.keys()].sort()).toEqual(
    expect.arrayContaining(["150 rows", "damaged", "inputMalformed", "inputTruncated"]),
  );
  for (const end of ends.keys()) expect(end).toMatch(/^(150 rows|damaged|[a-z]+[A-Z][A-Za-z]+)$/);
});

test("a batch that passes for a dictionary, or swallows the next one, is found out", async () => {
  const bytes = ipc("stream", sample());
  const kinds = starts(bytes)
    .slice(0, -1)
    .map((start) => {
      const metadata = bytes.subarray(start + 8, start + 8 + bytes.readInt32LE(start + 4));
      return { start, metadata, message: parseMessage(metadata) };
    });
  expect(kinds.map(({ message }) => message.header.kind)).toEqual([
    "schema",
    "dictionary",
    "batch",
    "batch",
    "batch",
  ]);
  const [first, second] = kinds.slice(2);
  const bodyBytes = first?.message.bodyBytes ?? 0;
  const place = bytes.indexOf(
    Buffer.from(BigInt64Array.of(BigInt(bodyBytes)).buffer),
    first?.start,
  );
  expect(place).toBeLessThan(second?.start ?? 0);
  const longer = Buffer.from(bytes);
  const next = 8 + (second?.metadata.length ?? 0) + (second?.message.bodyBytes ?? 0);
  longer.writeBigInt64LE(BigInt(bodyBytes + next), place);
  await expect(run(root.write("raw/a.arrow", longer), sampleColumns)).rejects.toMatchObject(
    failsWith("inputMalformed", "a batch is longer than its columns"),
  );
  const huge = Buffer.from(bytes);
  huge.writeBigInt64LE(2n ** 40n, place);
  await expect(run(root.write("raw/a.arrow", huge), sampleColumns)).rejects.toMatchObject(
    failsWith("limitExceeded", "file raw/a.arrow: a record batch has 1099511627776 bytes"),
  );
});

test("a file without bytes is refused at listing, and the format is part of the map key", async () => {
  const spec = source({ columns: sampleColumns, format: "arrow", path: "raw/*.arrow" });
  const file = root.write("raw/a.arrow", "");
  await expect(
    openInputs(root.path).listSource({ ...spec, allowEmptyFiles: true }, "2026-01-15"),
  ).rejects.toMatchObject(failsWith("inputEmpty", "raw/a.arrow"));
  const key = mapKey(copyWork(spec, [file]));
  expect(mapKey(copyWork({ ...spec, format: "parquet" }, [file]))).not.toBe(key);
});

test("texts that are no UTF-8, and characters cut in two, are inputMalformed", async () => {
  const bytes = ipc("stream", new Table({ t: vectorFromArray(["aé", "bb"], new Utf8()) }));
  const at = bytes.indexOf(Buffer.from("aébb"));
  const broken = Buffer.from(bytes);
  broken[at] = 0xff;
  const moved = Buffer.from(bytes);
  const offsets = bytes.indexOf(Buffer.from(Int32Array.of(0, 3, 5).buffer));
  moved.writeInt32LE(2, offsets + 4);
  for (const wrong of [broken, moved]) {
    const file = root.write("raw/a.arrow", wrong);
    await expect(run(file, columns("t VARCHAR"))).rejects.toMatchObject(
      failsWith("inputMalformed", "a text is not UTF-8"),
    );
  }
});

test("ZSTD is refused with the way out", async () => {
  const table = new Table({ a: vectorFromArray([1, 2], new Int32()) });
  const bytes = ipc("stream", table, true);
  const magic = Buffer.of(0x28, 0xb5, 0x2f, 0xfd);
  const zstd = {
    encode: (plain: Uint8Array) => Buffer.concat([magic, plain]),
    decode: (packed: Uint8Array) => packed.subarray(4),
  };
  compressionRegistry.set(CompressionType.ZSTD, zstd);
  const options = { compressionType: CompressionType.ZSTD };
  const other = Buffer.from(RecordBatchStreamWriter.writeAll(table, options).toUint8Array(true));
  expect(
    await rowsOf(root, await run(root.write("raw/a.arrow", bytes), columns("a INTEGER"))),
  ).toEqual([["1"], ["2"]]);
  await expect(run(root.write("raw/a.arrow", other), columns("a INTEGER"))).rejects.toMatchObject(
    failsWith("inputMalformed", "it is packed with ZSTD; write it with LZ4"),
  );
});
