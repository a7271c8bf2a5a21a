// The Inputs port: one suite on the file system and on the memory form.
import { utimesSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openInputs } from "../../shared/adapters/inputs.ts";
import type { SourceToSee } from "../../shared/kernel/days.ts";
import { plainCsv, type ReadyRule } from "../../shared/kernel/job.ts";
import type { Inputs } from "../../shared/ports.ts";
import { memoryFolder, memoryInputs } from "../fakes/memory-inputs.ts";
import { codeOf } from "../kit/failures.ts";
import { columns, makeRoot, type Root, source } from "../worker/setup.ts";

const roots: Root[] = [];
afterAll(() => {
  for (const root of roots) root.remove();
});

interface Opened {
  readonly inputs: Inputs;
  write(path: string, text: string, mtimeMs?: number): void;
}

const forms: Record<string, () => Opened> = {
  "file system": () => {
    const root = makeRoot();
    roots.push(root);
    return {
      inputs: openInputs(root.path),
      write: (path, text, mtimeMs) => {
        root.write(path, text);
        if (mtimeMs === undefined) return;
        utimesSync(join(root.path, path), mtimeMs / 1_000, mtimeMs / 1_000);
      },
    };
  },
  memory: () => {
    const folder = memoryFolder();
    return { inputs: memoryInputs(folder), write: folder.write };
  },
};

const day = "2026-01-15";
const folder = `raw/ipdr/day=${day}`;
const calls = source({
  name: "ipdr",
  columns: columns("a BIGINT"),
  path: "raw/ipdr/day={day}/gw=*/*.csv",
});
const manifest: ReadyRule = { by: "manifest", value: "control.json" };

async function lookAt(inputs: Inputs, rule?: ReadyRule, of: SourceToSee["source"] = calls) {
  const [look] = await inputs.look([{ source: of, rule }], day);
  if (look === undefined) throw new Error("one source, one look");
  return look;
}

const control = (...files: object[]) => JSON.stringify({ day, files });

describe.each(Object.entries(forms))("%s", (_name, open) => {
  test("files that a run reads: in path order; none and empty ones are errors", async () => {
    const { inputs, write } = open();
    expect(await codeOf(inputs.listSource(calls, day))).toBe("inputMissing");
    write(`${folder}/gw=2/a.csv`, "1\n");
    write(`${folder}/gw=1/a.csv`, "1\n2\n");
    write(`${folder}/gw=1/a.csv.part`, "1\n");
    const listed = await inputs.listSource(calls, day);
    expect(listed.map(({ path, size }) => `${path.slice(folder.length + 1)} ${size}`)).toEqual([
      "gw=1/a.csv 4",
      "gw=2/a.csv 2",
    ]);
    write(`${folder}/gw=3/a.csv`, "");
    expect(await codeOf(inputs.listSource(calls, day))).toBe("inputEmpty");
    expect(await codeOf(inputs.listSource({ ...calls, allowEmptyFiles: true }, day))).toBe(
      "no error",
    );
    expect(await codeOf(inputs.listSource(calls, "2026-02-31"))).toBe("badRequest");
  });

  test("a dimension is one file with something in it", async () => {
    const { inputs, write } = open();
    const apps = {
      name: "apps",
      path: "dims/apps*.csv",
      format: "csv",
      columns: columns("a BIGINT"),
      csv: plainCsv,
    } as const;
    expect(await codeOf(inputs.dimension(apps, day))).toBe("inputMissing");
    write("dims/apps.csv", "");
    expect(await codeOf(inputs.dimension(apps, day))).toBe("inputEmpty");
    write("dims/apps.csv", "1\n");
    expect((await inputs.dimension(apps, day)).path).toBe("dims/apps.csv");
    write("dims/apps2.csv", "1\n");
    expect(await codeOf(inputs.dimension(apps, day))).toBe("jobInvalid");
  });

  test("a look at nothing, and at empty files, is a value", async () => {
    const { inputs, write } = open();
    expect(await lookAt(inputs, manifest)).toEqual({ source: "ipdr", files: [], newestMs: 0 });
    write(`${folder}/gw=1/a.csv`, "", 1_768_500_000_000);
    write(`${folder}/gw=1/b.csv`, "12\n", 1_768_400_000_000);
    const look = await lookAt(inputs);
    expect(look.newestMs).toBe(1_768_500_000_000);
    expect(look.files.map(({ path, size }) => [path, size])).toEqual([
      [`${folder}/gw=1/a.csv`, 0],
      [`${folder}/gw=1/b.csv`, 3],
    ]);
    expect(look.files[0]?.mtimeNs).toMatch(/^1768500000\d{9}$/);
  });

  test("a look sees files as a run sees them", async () => {
    const { inputs, write } = open();
    write(`${folder}/gw=1/a.csv`, "1\n");
    write(`${folder}/gw=2/a.csv`, "2\n");
    expect((await lookAt(inputs)).files).toEqual(await inputs.listSource(calls, day));
  });

  test("looks come in the order of the sources; a day that is none is refused", async () => {
    const { inputs } = open();
    const dns = { ...calls, name: "dns" };
    const looks = await inputs.look([{ source: dns }, { source: calls }], day);
    expect(looks.map(({ source: name }) => name)).toEqual(["dns", "ipdr"]);
    expect(await codeOf(inputs.look([{ source: calls }], "yesterday"))).toBe("badRequest");
  });

  test("a marker is there or not", async () => {
    const { inputs, write } = open();
    const marker: ReadyRule = { by: "marker", value: "done/{day}/_SUCCESS" };
    expect((await lookAt(inputs, marker)).isMarked).toBe(false);
    write(`done/${day}/_SUCCESS`, "");
    expect((await lookAt(inputs, marker)).isMarked).toBe(true);
  });

  test("a control file tells what will come, beside it or below the root", async () => {
    const { inputs, write } = open();
    const sha256 = "AB".repeat(32);
    write(
      `${folder}/control.json`,
      control(
        { file: "gw=2/a.csv", bytes: 5, records: 2, sha256, gateway: 2 },
        { file: `${folder}/gw=1/a.csv` },
      ),
    );
    expect((await lookAt(inputs, manifest)).announced).toEqual([
      { path: `${folder}/gw=1/a.csv` },
      { path: `${folder}/gw=2/a.csv`, bytes: 5, sha256: sha256.toLowerCase(), records: 2 },
    ]);
    const elsewhere: ReadyRule = { by: "manifest", value: "control/ipdr-{day}.json" };
    expect(await lookAt(inputs, elsewhere)).not.toHaveProperty("announced");
    write(`control/ipdr-${day}.json`, control({ file: `${folder}/gw=7/x.csv` }));
    expect((await lookAt(inputs, elsewhere)).announced).toEqual([{ path: `${folder}/gw=7/x.csv` }]);
  });

  test("a control file that is cut is a problem; the files are seen all the same", async () => {
    const { inputs, write } = open();
    write(`${folder}/gw=1/a.csv`, "1\n");
    write(`${folder}/control.json`, control({ file: "gw=1/a.csv" }).slice(0, -2));
    expect(await lookAt(inputs, manifest)).toMatchObject({
      files: [{ path: `${folder}/gw=1/a.csv` }],
      problem: {
        code: "inputMalformed",
        message: expect.stringMatching(/control\.json: it ends in the middle: .* rename it/),
      },
    });
  });

  test.each([
    ["would speak for every day", "all/_SUCCESS", calls.path],
    ["has a wildcard", "raw/ipdr/day={day}/gw=*/_SUCCESS", calls.path],
    ["would be read as records", "_SUCCESS", "raw/ipdr/day={day}/*"],
  ])("a rule's file that %s is a problem of the job", async (message, value, path) => {
    const { inputs, write } = open();
    write(`${folder}/gw=1/a.csv`, "1\n");
    const look = await lookAt(inputs, { by: "marker", value }, { ...calls, path });
    expect(look.problem?.code).toBe("jobInvalid");
    expect(look.problem?.message).toContain(message);
    expect(look).not.toHaveProperty("isMarked");
  });
});
