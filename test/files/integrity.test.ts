/** The pass before the scan: whole files only, exact counts whatever the chunks, damage named. */

import { createHash } from "node:crypto";
import {
  appendFileSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { inspect } from "../../shared/adapters/integrity.ts";
import { LineReader } from "../../shared/adapters/integrity-lines.ts";
import { assertUnchanged, openInput } from "../../shared/adapters/integrity-open.ts";
import type { CsvOptions } from "../../shared/kernel/job.ts";
import { plainCsv } from "../../shared/kernel/job.ts";
import { makeRoot, type Root } from "../worker/setup.ts";

let root: Root;
beforeAll(() => {
  root = makeRoot();
});
afterAll(() => root.remove());

let copies = 0;
async function pass(bytes: string | Buffer, gzip = false, csv: Partial<CsvOptions> = {}) {
  const input = await openInput(root.path, root.write("raw/file.csv", bytes));
  copies++;
  try {
    const copyPath = join(root.temp, `copy${copies}`);
    const { signal } = new AbortController();
    return await inspect({
      input,
      gzip,
      csv: { ...plainCsv, ...csv },
      columnCount: 3,
      copyPath,
      signal,
    });
  } finally {
    await input.handle.close();
  }
}

const text = Array.from({ length: 5000 }, (_, i) => `${i},name ${i % 7},${i * 31}\n`).join("");
const zipped = gzipSync(text);

describe("a plain file", () => {
  test("that is clean is counted and hashed, and scanned where it lies", async () => {
    const found = await pass(text);
    expect(found).toMatchObject({ lines: 5000, blank: 0, plainBytes: text.length });
    expect(found.contentSha256).toBe(createHash("sha256").update(text).digest("hex"));
    expect(found.scanPath).toBe(join(root.path, "raw/file.csv"));
  });

  test("with foreign line ends is scanned from a copy that has none", async () => {
    const found = await pass(text.replaceAll("\n", "\r\n"));
    expect(found.scanPath).not.toBe(join(root.path, "raw/file.csv"));
    expect(readFileSync(found.scanPath, "utf8")).toBe(text);
    expect(found.lines).toBe(5000);
  });

  test("a header is counted apart", async () => {
    const found = await pass(`id,name\n\n${text}`, false, { header: true });
    expect(found).toMatchObject({ lines: 5001, blank: 1, header: "id,name" });
    expect(await pass("\n1,2\n", false, { header: true })).toMatchObject({ lines: 1, blank: 0 });
  });
});

describe("a gzip file", () => {
  test("is unpacked, hashed as it is stored; several members are one file", async () => {
    const two = Buffer.concat([zipped, gzipSync("tail,1,2\n")]);
    const found = await pass(two, true);
    expect(found).toMatchObject({ lines: 5001, plainBytes: text.length + 9 });
    expect(found.contentSha256).toBe(createHash("sha256").update(two).digest("hex"));
    expect(readFileSync(found.scanPath, "utf8")).toBe(`${text}tail,1,2\n`);
  });

  test("cut at any byte is truncated, and says which file", async () => {
    for (const share of [0.1, 0.5, 0.99]) {
      const cut = zipped.subarray(0, Math.floor(zipped.length * share));
      await expect(pass(cut, true)).rejects.toMatchObject({
        failure: { code: "inputTruncated", message: expect.stringContaining("raw/file.csv") },
      });
    }
    const small = gzipSync("1,2,3\n4,5,6\n");
    for (let bytes = 1; bytes < small.length; bytes++) {
      await expect(pass(small.subarray(0, bytes), true), `${bytes}`).rejects.toMatchObject({
        failure: { code: "inputTruncated" },
      });
    }
  });

  test("with a flipped bit in checksum, length or data is malformed", async () => {
    for (const at of [zipped.length - 8, zipped.length - 1, Math.floor(zipped.length / 2)]) {
      const flipped = Buffer.from(zipped);
      flipped[at] = (flipped[at] ?? 0) ^ 0x10;
      await expect(pass(flipped, true), `${at}`).rejects.toMatchObject({
        failure: { code: expect.stringMatching(/^input(Malformed|Truncated)$/) },
      });
    }
  });

  test("followed by garbage, or no gzip at all, is malformed", async () => {
    for (const bytes of [Buffer.concat([zipped, Buffer.from("garbage")]), Buffer.from("1,2,3\n")]) {
      await expect(pass(bytes, true)).rejects.toMatchObject({
        failure: { code: "inputMalformed", message: expect.stringContaining("damaged") },
      });
    }
  });
});

describe("zero bytes behind a gzip file's last member", () => {
  const chunk = 1024 * 1024;

  test("are padding: they are hashed as they are stored, and nothing else", async () => {
    for (const zeros of [1, 512, 3 * chunk]) {
      const padded = Buffer.concat([zipped, Buffer.alloc(zeros)]);
      const found = await pass(padded, true);
      expect(found, `${zeros}`).toMatchObject({ lines: 5000, plainBytes: text.length });
      expect(found.contentSha256).toBe(createHash("sha256").update(padded).digest("hex"));
    }
  });

  test("are damage where more follows: no line behind them is lost without a word", async () => {
    for (const zeros of [1, 512, chunk - zipped.length, 3 * chunk]) {
      const torn = Buffer.concat([zipped, Buffer.alloc(zeros), gzipSync("tail,1,2\n")]);
      await expect(pass(torn, true), `${zeros}`).rejects.toMatchObject({
        failure: { code: "inputMalformed", message: expect.stringContaining("raw/file.csv") },
      });
    }
  });
});

describe("a file that is not what was planned", () => {
  const changed = { failure: { code: "inputChanged" } };

  test("grown, touched, replaced or gone between planning and opening", async () => {
    const planned = root.write("raw/a.csv", "1\n");
    const path = join(root.path, "raw/a.csv");
    appendFileSync(path, "2\n");
    await expect(openInput(root.path, planned)).rejects.toMatchObject(changed);
    const touched = root.write("raw/a.csv", "1\n");
    utimesSync(path, new Date(), new Date(0));
    await expect(openInput(root.path, touched)).rejects.toMatchObject(changed);
    const replaced = root.write("raw/a.csv", "1\n");
    rmSync(path);
    writeFileSync(path, "1\n");
    await expect(openInput(root.path, replaced)).rejects.toMatchObject(changed);
    rmSync(path);
    await expect(openInput(root.path, replaced)).rejects.toMatchObject({
      failure: { code: "inputMissing" },
    });
  });

  test("changed while it was read", async () => {
    const planned = root.write("raw/b.csv", "1\n");
    const input = await openInput(root.path, planned);
    await assertUnchanged(input);
    appendFileSync(join(root.path, "raw/b.csv"), "2\n");
    await expect(assertUnchanged(input)).rejects.toMatchObject(changed);
    await input.handle.close();
  });

  test("in another folder by now, under whose name there is another file", async () => {
    const planned = root.write("swapped/c.csv", "1\n");
    const input = await openInput(root.path, planned);
    // The open file is what it was: only its name leads elsewhere.
    renameSync(join(root.path, "swapped"), join(root.path, "swapped.old"));
    root.write("swapped/c.csv", "2\n");
    await expect(assertUnchanged(input)).rejects.toMatchObject(changed);
    await input.handle.close();
  });
});

async function chunked(bytes: Buffer, sizes: readonly number[], quoted: boolean) {
  const out: Buffer[] = [];
  const defects: string[] = [];
  const reader = new LineReader(
    {
      write: async (some) => {
        out.push(Buffer.from(some));
      },
      defect: async ({ line, defect }) => {
        defects.push(`${line} ${defect}`);
      },
    },
    {
      lineBytesMax: 20,
      rawBytesKept: 8,
      marker: Buffer.from([0xff]),
      quoting: quoted ? { quote: 34, escape: 34, delimiter: Buffer.from(",") } : undefined,
    },
  );
  let at = 0;
  for (const size of sizes) {
    await reader.push(bytes.subarray(at, at + size));
    at += size;
  }
  await reader.push(bytes.subarray(at));
  const counts = await reader.end();
  return { out: Buffer.concat(out).toString("latin1"), defects, counts };
}

test("where the chunks are cut changes nothing", async () => {
  const bytes = fc
    .array(
      fc.constantFrom(
        "a",
        "b,c",
        "\n",
        "\n",
        "\r",
        "\r\n",
        '"',
        '"x"',
        ",",
        "0123456789",
        "\ufeff",
      ),
      {
        maxLength: 40,
      },
    )
    .map((parts) => Buffer.from(parts.join("")));
  const sizes = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 30 });
  await fc.assert(
    fc.asyncProperty(bytes, sizes, fc.boolean(), async (file, cuts, quoted) => {
      const whole = await chunked(file, [], quoted);
      expect(await chunked(file, cuts, quoted)).toEqual(whole);
      // What comes out has one line a record: the scan after it can only count the same.
      if (!quoted) expect(whole.out.split("\n").length - 1).toBe(whole.counts.lines);
    }),
    { numRuns: 500 },
  );
});
