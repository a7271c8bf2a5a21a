/**
 * The generator: same options, same bytes; the shape it promises; and a truth that equals what DuckDB counts.
 */
import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type GenerateOptions,
  type GenerateSummary,
  generate,
} from "../../scripts/generate/generate.ts";
import type { Truth } from "../../scripts/generate/tally.ts";
import { openRecords } from "./records.ts";

const day = "2026-01-15";
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "daymill-generate-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

type DayTruth = Truth & { late: Truth; missing: Truth };

async function make(
  name: string,
  options: Partial<GenerateOptions>,
): Promise<{ root: string; summary: GenerateSummary; truth: DayTruth }> {
  const root = path.join(folder, name);
  const summary = await generate({ root, day, rows: 20_000, ...options });
  return {
    root,
    summary,
    truth: JSON.parse(await readFile(path.join(root, summary.truth), "utf8")),
  };
}

/** Every file under a folder, sorted, relative. */
async function filesOf(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
    .sort();
}

async function digest(root: string): Promise<string> {
  const hash = createHash("sha256");
  for (const file of await filesOf(root)) {
    hash.update(file);
    hash.update(await readFile(path.join(root, file)));
  }
  return hash.digest("hex");
}

describe("same options, same bytes", () => {
  test("two runs agree, another seed or day does not", async () => {
    const [one, two] = [await make("one", {}), await make("two", {})];
    expect(await digest(one.root)).toBe(await digest(two.root));
    expect(await digest((await make("seed", { seed: 2 })).root)).not.toBe(await digest(one.root));
    const other = await make("day", { day: "2026-01-16" });
    expect(await digest(path.join(other.root, "dims"))).toBe(
      await digest(path.join(one.root, "dims")),
    );
    expect(await digest(path.join(other.root, "raw"))).not.toBe(
      await digest(path.join(one.root, "raw")),
    );
  });

  test("these bytes are pinned: a change of them is a decision, not an accident", async () => {
    const { root } = await make("pinned", { rows: 5_000, malformedShare: 0.01 });
    expect(await digest(path.join(root, "dims"))).toMatchInlineSnapshot(
      `"507aa8fce7eff1ec52f4e018afee8e5436f28ced7d95e66167209f654ea242ed"`,
    );
    expect(await digest(path.join(root, "raw"))).toMatchInlineSnapshot(
      `"f8d48b56d98fc00300a7799c2c1822db78df915cbfdbdcc050b5001aa291cea2"`,
    );
  });

  test("gzip holds the same lines", async () => {
    const plain = await make("plain", { rows: 3_000 });
    const packed = await make("packed", { rows: 3_000, gzip: true });
    const names = (await filesOf(packed.root)).filter((name) => name.endsWith(".csv.gz"));
    expect(names.length).toBe(plain.summary.files);
    const raw = (await filesOf(plain.root)).find((name) => name.includes("gw=1/")) ?? "";
    const unpacked = gunzipSync(await readFile(path.join(packed.root, `${raw}.gz`)));
    expect(unpacked.equals(await readFile(path.join(plain.root, raw)))).toBe(true);
  });

  test("a day made again replaces itself, a folder of somebody else stays", async () => {
    const { root } = await make("again", { rows: 4_000, gateways: 8 });
    const { summary } = await make("again", { rows: 1_000, gateways: 2 });
    const csv = (await filesOf(root)).filter(
      (name) => name.startsWith("raw/") && name.endsWith(".csv"),
    );
    expect(csv.length).toBe(summary.files);
    const mark = (await filesOf(root)).find((name) => name.endsWith(".generated")) ?? "";
    await rm(path.join(root, mark));
    await writeFile(path.join(root, "raw/ipdr", `day=${day}`, "mine.csv"), "1\n");
    await expect(make("again", {})).rejects.toThrow(/not made by the generator/);
  });
});

describe("shape of a realistic day", () => {
  test("lines, skew, distinct counts and diurnal shape are as promised", async () => {
    const { root, summary, truth } = await make("realistic", {
      rows: 400_000,
      subscribers: 20_000,
    });
    console.log(
      `generator: ${summary.recordsPerSecond} records/s, mean ${summary.plainBytes / summary.lines} bytes`,
    );
    const meanBytes = summary.plainBytes / summary.lines;
    expect(meanBytes).toBeGreaterThan(140);
    expect(meanBytes).toBeLessThan(158);

    const { one, close } = await openRecords(root, day);
    const shares = await one(`WITH per AS (SELECT count(*) AS n FROM ipdr GROUP BY msisdn),
      ranked AS (SELECT n, row_number() OVER (ORDER BY n DESC) AS place FROM per)
      SELECT sum(n) FILTER (WHERE place <= 4000) / sum(n) AS top_fifth, max(n) / sum(n) AS top_one
      FROM ranked`);
    expect(Number(shares["top_fifth"])).toBeGreaterThan(0.77);
    expect(Number(shares["top_fifth"])).toBeLessThan(0.83);
    expect(Number(shares["top_one"])).toBeLessThan(0.03);

    const apps = await one(`WITH per AS (SELECT count(*) AS n FROM ipdr GROUP BY app_id)
      SELECT max(n) / sum(n) AS top_one FROM per`);
    expect(Number(apps["top_one"])).toBeCloseTo(0.18, 1);
    const hours = await one(`SELECT count(*) FILTER (WHERE h BETWEEN 20 AND 21) AS busy,
      count(*) FILTER (WHERE h BETWEEN 3 AND 4) AS quiet
      FROM (SELECT start_ms // 3600000 % 24 AS h FROM ipdr)`);
    expect(Number(hours["busy"]) / Number(hours["quiet"])).toBeGreaterThan(7);
    const kinds = await one(`SELECT count(*) FILTER (WHERE proto = 6) / count(*) AS tcp,
      count(*) FILTER (WHERE proto = 17) / count(*) AS udp,
      count(*) FILTER (WHERE dst_port = 443) / count(*) AS secure,
      count(*) FILTER (WHERE plmn = 40445) / count(*) AS home FROM ipdr`);
    expect(Number(kinds["tcp"])).toBeCloseTo(0.59, 2);
    expect(Number(kinds["udp"])).toBeCloseTo(0.4, 2);
    expect(Number(kinds["secure"])).toBeCloseTo(0.7, 2);
    expect(Number(kinds["home"])).toBeGreaterThan(0.9);
    const outside = truth.outside_day / truth.rows;
    expect(outside).toBeGreaterThan(0.01);
    expect(outside).toBeLessThan(0.02);
    expect(summary.subscribers).toBe(20_000);
    expect(truth.distinct.apps).toBeGreaterThan(1_100);
    expect(truth.distinct.cells).toBe(500);
    await close();
  });

  test("a hostile day has one key with a tenth of all records", async () => {
    const { root } = await make("hostile", { rows: 100_000, skew: "hostile" });
    const { one, close } = await openRecords(root, day);
    const top = await one(`WITH per AS (SELECT count(*) AS n FROM ipdr GROUP BY msisdn)
      SELECT max(n) / sum(n) AS share FROM per`);
    expect(Number(top["share"])).toBeGreaterThan(0.1);
    await close();
  });
});

describe("the truth", () => {
  test("equals what DuckDB counts from the files", async () => {
    const { root, truth } = await make("truth", { rows: 60_000, gateways: 3 });
    const { one, all, close } = await openRecords(root, day);
    const total = await one(`SELECT count(*) AS rows, sum(ul_bytes) AS ul, sum(dl_bytes) AS dl,
      sum(dur_ms) AS dur, min(start_ms) AS first, max(start_ms) AS last,
      count(DISTINCT msisdn) AS msisdn, count(DISTINCT cell) AS cells,
      count(DISTINCT app_id) AS apps, count(DISTINCT tac8) AS devices FROM ipdr`);
    expect(total).toEqual({
      rows: String(truth.rows),
      ul: truth.ul_bytes,
      dl: truth.dl_bytes,
      dur: truth.dur_ms,
      first: String(truth.min_start_ms),
      last: String(truth.max_start_ms),
      msisdn: String(truth.distinct.msisdn),
      cells: String(truth.distinct.cells),
      apps: String(truth.distinct.apps),
      devices: String(truth.distinct.devices),
    });
    const group = async (key: string) =>
      Object.fromEntries(
        (
          await all(`SELECT ${key} AS key, count(*) AS n, sum(ul_bytes) AS ul, sum(dl_bytes) AS dl
            FROM ipdr GROUP BY 1`)
        ).map((row) => [
          String(row["key"]),
          { rows: Number(row["n"]), ul_bytes: String(row["ul"]), dl_bytes: String(row["dl"]) },
        ]),
      );
    expect(await group("gw_id")).toEqual(truth.by_gateway);
    expect(await group("app_id")).toEqual(truth.by_app);
    expect(await group("strftime(make_timestamp(start_ms * 1000), '%Y-%m-%dT%H')")).toEqual(
      truth.by_hour,
    );
    await close();
  });

  test("counts damaged lines by kind; every one but the empty ones is a reject", async () => {
    const { root, truth } = await make("damaged", { rows: 30_000, malformedShare: 0.1 });
    expect(Object.keys(truth.malformed)).toHaveLength(7);
    for (const lines of Object.values(truth.malformed)) expect(lines).toBeGreaterThan(300);
    expect(truth.rows + truth.malformed_lines).toBe(30_000);
    const { one, close } = await openRecords(root, day);
    expect(await one("SELECT count(*) AS n FROM ipdr")).toEqual({ n: String(truth.rows) });
    expect(await one("SELECT count(DISTINCT (file_id, line)) AS n FROM reject_errors")).toEqual({
      n: String(truth.malformed_lines - truth.blank_lines),
    });
    await close();
  });

  test("double files count once; late and missing ones not, but are announced", async () => {
    const switches = { duplicateFiles: 2, lateFiles: 3, missingFiles: 1, rows: 40_000 };
    const { root, summary, truth } = await make("fates", switches);
    const whole = (await make("whole", { rows: 40_000 })).truth;
    const present = (await filesOf(path.join(root, "raw"))).filter((file) => file.endsWith(".csv"));
    expect(present).toHaveLength(truth.files + 2);
    expect(present.filter((file) => file.includes("-again"))).toHaveLength(2);
    expect(await filesOf(path.join(root, "late"))).toHaveLength(3);
    const control = JSON.parse(await readFile(path.join(root, summary.control), "utf8"));
    expect(control.files).toHaveLength(whole.files);
    expect(truth.files).toBe(whole.files - 3 - 1);
    for (const file of present.filter((one) => one.includes("-again"))) {
      await rm(path.join(root, "raw", file));
    }
    const { one, close } = await openRecords(root, day);
    const total = await one("SELECT count(*) AS rows, sum(dl_bytes) AS dl FROM ipdr");
    expect(total).toEqual({ rows: String(truth.rows), dl: truth.dl_bytes });
    close();
    expect(truth.rows + truth.late.rows + truth.missing.rows).toBe(whole.rows);
  });

  test("control.json tells each file's size and checksum as stored", async () => {
    const { root, summary } = await make("control", { rows: 3_000, gzip: true });
    const control = JSON.parse(await readFile(path.join(root, summary.control), "utf8"));
    let records = 0;
    for (const announced of control.files) {
      const bytes = await readFile(path.join(root, "raw/ipdr", `day=${day}`, announced.file));
      expect(bytes.length).toBe(announced.bytes);
      expect(createHash("sha256").update(bytes).digest("hex")).toBe(announced.sha256);
      records += announced.records;
    }
    expect(records).toBe(3_000);
  });
});

describe("options that cannot be", () => {
  test.each([
    [{ rows: 0 }, /--rows 0: give a whole number/],
    [{ day: "2026-02-30" }, /not a date/],
    [{ malformedShare: 2 }, /--malformed 2: give a share/],
    [{ periodMinutes: 7 }, /choose one of 15, 30/],
    [{ gateways: 1, periodMinutes: 1440, missingFiles: 2 }, /--missing-files 2/],
  ])("%j is refused by name", async (options, message) => {
    await expect(make("refused", options)).rejects.toThrow(message);
  });
});
