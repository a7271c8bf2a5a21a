// A commit that dies before or after any one of its storage calls: readers see the old day or the new day, and the
// next leader finishes. One that was only paused there wakes up later and changes nothing.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openStore } from "../../shared/adapters/store.ts";
import { codeOf } from "../kit/failures.ts";
import { type Call, crashAt, freezeAt, type Moment, numberedCalls } from "./stoppable-calls.ts";
import type { StorageFixture } from "./storage.ts";
import {
  acts,
  everything,
  forEach,
  makeTemplate,
  rerun,
  seen,
  takeOver,
  wholeRevision,
} from "./story.ts";

interface Point extends Call {
  readonly act: string;
  readonly moment: Moment;
}

const template = await makeTemplate();
afterAll(() => template.remove());
const points = await allPoints();

/** Every call of the story, before and after it; writes also half done. */
async function allPoints(): Promise<readonly Point[]> {
  const storage = await template.copy();
  const found: Point[] = [];
  let act = "";
  const numbered = numberedCalls(async (call, carryOut) => {
    const moments: Moment[] =
      call.name === "write" ? ["before", "torn", "after"] : ["before", "after"];
    found.push(...moments.map((moment) => ({ ...call, act, moment })));
    return carryOut();
  });
  const store = await openStore(storage.root, numbered.calls);
  for (const [name, perform] of acts(template.files)) {
    act = name;
    await perform(store);
  }
  expect(await seen(storage.root)).toEqual(wholeRevision(2));
  await storage.remove();
  // The first one only opens the storage.
  return found.filter((point) => point.act !== "");
}

const nameOf = ({ moment, number, name, act }: Point) =>
  `${moment} call ${number}, ${name} of ${act}`;

/** What a leader must find when the work is done: no more, no less. */
async function checkFinished(storage: StorageFixture, revision: number): Promise<void> {
  expect(await seen(storage.root)).toEqual(wholeRevision(revision));
  const list = (folder: string) => readdir(join(storage.root, folder)).catch(() => []);
  const manifests = Array.from({ length: revision }, (_, i) => `r${i + 1}.json`);
  expect((await list("manifests/daily/2026-01-15")).sort()).toEqual(manifests);
  expect(await list("control/leaders")).toEqual(["e3"]);
  const [own = ""] = await list("control/leaders/e3");
  expect(await list(`control/leaders/e3/${own}`)).toEqual([]);
  for (const empty of ["control/retired", "control/requests", "staging"]) {
    expect(await list(empty)).toEqual([]);
  }
}

test("a crash leaves the old day or the new day, and the next leader finishes", {
  timeout: 60_000,
}, async () => {
  const outcomes = { old: 0, new: 0 };
  await forEach(points, async (point) => {
    const storage = await template.copy();
    const numbered = numberedCalls(crashAt(point.number, point.moment));
    const store = await openStore(storage.root, numbered.calls);
    try {
      for (const [, perform] of acts(template.files)) await perform(store);
    } catch {
      // Whatever it would have said, nobody hears it.
    }
    expect(numbered.made(), nameOf(point)).toBeGreaterThanOrEqual(point.number);
    await numbered.closeFiles();
    const shown = await seen(storage.root);
    const isNew = JSON.stringify(shown) === JSON.stringify(wholeRevisionSorted(2));
    expect(shown, nameOf(point)).toEqual(wholeRevision(isNew ? 2 : 1));
    outcomes[isNew ? "new" : "old"] += 1;
    await takeOver(storage, template.files);
    await checkFinished(storage, 2);
    await storage.remove();
  });
  console.info(`${points.length} points of ${points.at(-1)?.number} calls:`, outcomes);
  expect(outcomes.old).toBeGreaterThan(0);
  expect(outcomes.new).toBeGreaterThan(0);
});

function wholeRevisionSorted(revision: number) {
  return Object.fromEntries(
    Object.entries(wholeRevision(revision)).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

test("one that was paused there and wakes up changes nothing", { timeout: 60_000 }, async () => {
  const codes = new Map<string, number>();
  const pauses = points.filter(({ moment }) => moment !== "torn");
  await forEach(pauses, async (point) => {
    const storage = await template.copy();
    const freezer = freezeAt(point.number, point.moment);
    const numbered = numberedCalls(freezer.around);
    const zombie = await openStore(storage.root, numbered.calls);
    const told: [string, string][] = [];
    const lived = (async () => {
      // A leader goes on with everything that it has to do, whatever failed before.
      for (const [name, perform] of acts(template.files)) {
        told.push([name, await codeOf(perform(zombie))]);
      }
    })();
    await Promise.race([freezer.frozen, lived]);
    expect(told.length, `${nameOf(point)} was reached`).toBeLessThan(acts(template.files).length);
    await rerun(storage, await takeOver(storage, template.files));
    await checkFinished(storage, 3);
    const before = await everything(storage.root);
    freezer.thaw();
    await lived;
    expect(await everything(storage.root), nameOf(point)).toEqual(before);
    const later = told.slice(told.findIndex(([name]) => name === point.act) + 1);
    expect(
      later.filter(([, code]) => code !== "storageFenced"),
      nameOf(point),
    ).toEqual([]);
    const own = told.find(([name]) => name === point.act)?.[1] ?? "";
    codes.set(own, (codes.get(own) ?? 0) + 1);
    await storage.remove();
  });
  console.info(
    `${pauses.length} pauses; the act that was under way was told:`,
    Object.fromEntries(codes),
  );
  // Fenced, or done before the pause: nothing else can come out.
  expect([...codes.keys()].sort()).toEqual(["no error", "storageFenced"]);
  expect(codes.get("storageFenced")).toBeGreaterThan(codes.get("no error") ?? 0);
});
