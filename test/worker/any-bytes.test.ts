/** Whatever bytes a file has: its sum closes, and what is rejected are its own lines. */
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runWork } from "../../executor/shell/worker/run-work.ts";
import type { CsvOptions } from "../../shared/kernel/job.ts";
import { plainCsv } from "../../shared/kernel/job.ts";
import { query } from "./query.ts";
import { columns, context, copyWork, delivery, makeRoot, type Root, source } from "./setup.ts";

let root: Root;
beforeAll(() => {
  root = makeRoot();
});
afterAll(() => root.remove());

const pieces = [
  "1",
  "22",
  "x",
  ",",
  ",",
  ",",
  "\n",
  "\n",
  "\r",
  "\r\n",
  " ",
  '"',
  "\0",
  "é",
  "\t",
  "-",
  "#",
  "\\",
  "'",
];
const nasty = fc
  .array(
    fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom("1,a,2\n", "3,b,4\n") },
      fc.constantFrom(...pieces),
    ),
    {
      maxLength: 60,
    },
  )
  .map((parts) => parts.join(""));

interface Found {
  readonly file: string;
  readonly line: number;
  readonly raw: string;
}

/** Scans many files in one task: gives the accounts and all rejects. */
async function scanAll(texts: readonly string[], types: string, csv: Partial<CsvOptions> = {}) {
  const files = texts.map((text, i) => root.write(`raw/n${i}.csv`, text));
  const spec = source({ columns: columns(types), csv: { ...plainCsv, ...csv } });
  const done = await runWork(copyWork(spec, files), delivery(), context(root));
  const found =
    done.rejectsFile === undefined
      ? []
      : await query(`SELECT file, line, raw FROM '${join(root.path, done.rejectsFile)}'`);
  const rejects: Found[] = found.map(([file, line, raw]) => ({
    file: file ?? "",
    line: Number(line),
    raw: raw ?? "",
  }));
  return { accounts: done.accounts, rows: done.counters.rowsOut, rejects };
}

const batch = fc.array(
  nasty.filter((text) => text.length > 0),
  { minLength: 8, maxLength: 30 },
);

describe("any bytes", () => {
  for (const types of [
    "a BIGINT, b VARCHAR, c BIGINT",
    "a VARCHAR, b VARCHAR",
    "a BIGINT",
    "a VARCHAR",
  ]) {
    test(`columns ${types}: rows + rejects + blank = lines, rejects are the file's own lines`, async () => {
      await fc.assert(
        fc.asyncProperty(batch, async (texts) => {
          const { accounts, rows, rejects } = await scanAll(texts, types);
          for (const [i, account] of accounts.entries()) {
            const text = texts[i] ?? "";
            const lines = (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n");
            expect(account.lines).toBe(lines.length);
            expect(account.rows + account.rejects + account.blank).toBe(account.lines);
            const wanted = types.split(", ").length;
            const full = lines.filter((line) => line.split(",").length === wanted);
            expect(account.rows).toBeLessThanOrEqual(full.length);
            const own = rejects.filter(({ file }) => file === account.file.path);
            expect(new Set(own.map(({ line }) => line)).size).toBe(account.rejects);
            for (const { line, raw } of own) expect(lines[line - 1]?.replace(/\r$/, "")).toBe(raw);
          }
          expect(rows).toBe(accounts.reduce((sum, account) => sum + account.rows, 0));
        }),
        { numRuns: 6 },
      );
    });
  }

  test("with quotes declared the sum closes as well", async () => {
    await fc.assert(
      fc.asyncProperty(batch, async (texts) => {
        const quoted = { quote: '"', escape: '"' };
        const { accounts, rows, rejects } = await scanAll(
          texts,
          "a BIGINT, b VARCHAR, c BIGINT",
          quoted,
        );
        const total = accounts.reduce((sum, a) => sum + a.lines - a.blank, 0);
        expect(rows + rejects.length).toBe(total);
      }),
      { numRuns: 10 },
    );
  });
});
