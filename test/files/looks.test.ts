/** Looks at real folders: links, things that are no files, files that come and go, and days that the generator made. */
import { execFileSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { judgeReadiness } from "../../coordinator/core/days/readiness.ts";
import { seeSource } from "../../coordinator/core/days/seen.ts";
import { generate } from "../../scripts/generate/generate.ts";
import { openInputs } from "../../shared/adapters/inputs.ts";
import { controlMemory } from "../../shared/adapters/inputs-control.ts";
import { lookAtDay } from "../../shared/adapters/inputs-look.ts";
import type { ReadyRule } from "../../shared/kernel/job.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { columns, makeRoot, type Root, source } from "../worker/setup.ts";

const day = "2026-01-15";
const folder = `raw/ipdr/day=${day}`;
const manifest: ReadyRule = { by: "manifest", value: "control.json" };
const marker: ReadyRule = { by: "marker", value: "_SUCCESS" };
const calls = source({
  name: "ipdr",
  columns: columns("a BIGINT"),
  path: "raw/ipdr/day={day}/gw=*/*.csv",
});

let root: Root;
beforeEach(() => {
  root = makeRoot();
  root.write(`${folder}/gw=1/a.csv`, "1\n");
});
afterEach(() => root.remove());

async function lookAt(rule?: ReadyRule) {
  const [look] = await openInputs(root.path).look([{ source: calls, rule }], day);
  if (look === undefined) throw new Error("one source, one look");
  return look;
}

const at = (path: string) => join(root.path, path);
const paths = async () => (await lookAt()).files.map(({ path }) => path.slice(folder.length + 1));

describe("files", () => {
  test("behind links within the root are seen, folders and pipes are not", async () => {
    root.write("elsewhere/gw/b.csv", "22\n");
    symlinkSync(at("elsewhere/gw"), at(`${folder}/gw=2`));
    symlinkSync(at("elsewhere/gw/b.csv"), at(`${folder}/gw=1/link.csv`));
    mkdirSync(at(`${folder}/gw=1/folder.csv`));
    execFileSync("mkfifo", [at(`${folder}/gw=1/pipe.csv`)]);
    expect(await paths()).toEqual(["gw=1/a.csv", "gw=1/link.csv", "gw=2/b.csv"]);
    const [, link, behind] = (await lookAt()).files;
    expect(link?.inode).toBe(behind?.inode);
    expect(link?.size).toBe(3);
  });

  test("a link to nothing is nothing; a run would be told of it", async () => {
    symlinkSync(at("gone.csv"), at(`${folder}/gw=1/b.csv`));
    expect(await paths()).toEqual(["gw=1/a.csv"]);
    await expect(openInputs(root.path).listSource(calls, day)).rejects.toMatchObject({
      failure: { code: "inputMissing", message: expect.stringContaining("gw=1/b.csv") },
    });
  });

  test.each(["a file", "a folder"])(
    "%s whose link leads out of the root is a problem",
    async (what) => {
      if (what === "a file") symlinkSync("/etc/hostname", at(`${folder}/gw=1/out.csv`));
      else {
        mkdirSync(join(root.temp, "out"));
        writeFileSync(join(root.temp, "out/out.csv"), "1\n");
        symlinkSync(join(root.temp, "out"), at(`${folder}/gw=2`));
      }
      const look = await lookAt();
      expect(look).toMatchObject({ files: [], newestMs: 0, problem: { code: "pathForbidden" } });
      expect(look.problem?.message).toMatch(/^file raw.*out\.csv: its link leads out/);
    },
  );

  test("a pattern that may not be is a problem, not a crash", async () => {
    const wrong = { ...calls, path: "../{day}/*.csv" };
    const looks = await openInputs(root.path).look([{ source: wrong }, { source: calls }], day);
    expect(looks[0]?.problem?.code).toBe("pathForbidden");
    expect(looks[1]?.files).toHaveLength(1);
  });
});

describe("a control file", () => {
  test.each([
    ["a folder", () => mkdirSync(at(`${folder}/control.json`)), "no regular file"],
    ["a pipe", () => execFileSync("mkfifo", [at(`${folder}/control.json`)]), "no regular file"],
    ["no UTF-8", () => root.write(`${folder}/control.json`, Buffer.from([0xff])), "no UTF-8"],
    ["empty yet", () => root.write(`${folder}/control.json`, ""), "ends in the middle"],
  ])("that is %s is a problem", async (_what, make, message) => {
    make();
    const look = await lookAt(manifest);
    expect(look.problem?.code).toBe("inputMalformed");
    expect(look.problem?.message).toContain(`${folder}/control.json`);
    expect(look.problem?.message).toContain(message);
    expect(look.files).toHaveLength(1);
  });

  test("of more than the limit is not read", async () => {
    root.write(`${folder}/control.json`, "{");
    truncateSync(at(`${folder}/control.json`), limits.controlFileBytesMax + 1);
    expect((await lookAt(manifest)).problem).toMatchObject({
      code: "limitExceeded",
      message: expect.stringMatching(/control\.json: 67108865 bytes, more than 67108864/),
    });
  });

  test("that has not changed for some time is not read again, a changed one is", async () => {
    const path = `${folder}/control.json`;
    const write = (file: string) => root.write(path, JSON.stringify({ day, files: [{ file }] }));
    let wallMs = Date.now();
    const memory = controlMemory(() => wallMs);
    const look = async () =>
      (await lookAtDay(root.path, [{ source: calls, rule: manifest }], day, memory))[0];
    write("gw=1/a.csv");
    await look();
    // It may still change without a new time.
    expect(memory.known.size).toBe(0);
    wallMs += 3_600_000;
    const first = await look();
    expect(memory.known.size).toBe(1);
    expect((await look())?.announced).toBe(first?.announced);
    expect(first?.announced).toEqual([{ path: `${folder}/gw=1/a.csv` }]);
    write("gw=1/b.csv");
    expect((await look())?.announced).toEqual([{ path: `${folder}/gw=1/b.csv` }]);
    for (let other = 0; other < limits.controlFilesKept + 3; other++) {
      const name = `control-${other}.json`;
      root.write(`${folder}/${name}`, JSON.stringify({ files: [{ file: "gw=1/b.csv" }] }));
      const rule: ReadyRule = { by: "manifest", value: name };
      await lookAtDay(root.path, [{ source: calls, rule }], day, memory);
    }
    expect(memory.known.size).toBe(limits.controlFilesKept);
  });

  test("or a marker whose link leads out of the root is a problem", async () => {
    symlinkSync("/etc/hostname", at(`${folder}/_SUCCESS`));
    const look = await lookAt(marker);
    expect(look.problem?.code).toBe("pathForbidden");
    expect(look).not.toHaveProperty("isMarked");
  });
});

test("a marker is a file, whatever is in it", async () => {
  expect((await lookAt(marker)).isMarked).toBe(false);
  root.write(`${folder}/_SUCCESS`, "");
  expect((await lookAt(marker)).isMarked).toBe(true);
});

test("a generated day with late and missing files: who is waited for, and what comes late", async () => {
  rmSync(at("raw"), { recursive: true });
  await generate({
    root: root.path,
    day,
    rows: 8_000,
    gateways: 2,
    lateFiles: 2,
    missingFiles: 1,
    duplicateFiles: 1,
  });
  const rule: ReadyRule = { ...manifest, completeness: 0.9, grace: "2h" };
  const startMs = Date.UTC(2026, 0, 16, 1);
  const judged = async (nowMs: number) => {
    const seen = seeSource(undefined, await lookAt(rule), nowMs);
    const source = { source: "ipdr", rule, seen, isDelivered: false };
    return judgeReadiness({ sources: [source], startMs, nowMs });
  };
  const first = await judged(startMs);
  expect(first.reason).toMatch(
    /^ipdr: 13 of 16 announced files; 3 missing, first raw.*\.csv; 1 more that were not announced/,
  );
  expect(first.sources[0]?.final).toHaveLength(13);
  expect((await judged(startMs + 7_200_000)).state).toBe("waiting");
  for (const path of first.sources[0]?.missing.paths ?? []) {
    const late = path.replace("raw/", "late/");
    try {
      renameSync(at(late), at(path));
    } catch (error) {
      expect(error).toMatchObject({ code: "ENOENT" });
    }
  }
  expect((await judged(startMs)).state).toBe("waiting");
  const later = await judged(startMs + 7_200_000);
  expect(later.state).toBe("gaps");
  expect(later.reason).toMatch(/^ipdr: 15 of 16 announced files; 1 missing, first raw/);
});
