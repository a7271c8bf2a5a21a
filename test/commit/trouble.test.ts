// A storage call that fails, each one in turn and in each way that disks fail: the error says where and why, readers see
// whole revisions only, and the same act done again succeeds once the trouble is over.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { openStore } from "../../shared/adapters/store.ts";
import { DaymillError } from "../../shared/kernel/failure.ts";
import { type Around, failAt, failFrom, numberedCalls } from "./stoppable-calls.ts";
import { acts, forEach, makeTemplate, seen, takeOver, wholeRevision } from "./story.ts";

const template = await makeTemplate();
afterAll(() => template.remove());
const calls = await callsOfStory();

async function callsOfStory(): Promise<number> {
  const storage = await template.copy();
  const counted = numberedCalls((_call, act) => act());
  const store = await openStore(storage.root, counted.calls);
  for (const [, perform] of acts(template.files)) await perform(store);
  await storage.remove();
  return counted.made();
}

/** Does every act, each again when it failed. Gives what was told of the failures. */
async function live(around: (number: number) => Around & { over?: () => void }, number: number) {
  const storage = await template.copy();
  const trouble = around(number);
  const numbered = numberedCalls(trouble);
  const store = await openStore(storage.root, numbered.calls);
  const told: unknown[] = [];
  let epoch = 2;
  for (const [name, perform] of acts(template.files)) {
    try {
      await perform(store);
    } catch (error) {
      told.push(error);
      const shown = await seen(storage.root);
      const revision = shown["fresh"] === undefined ? 1 : 2;
      expect(shown, `${name}, call ${number}`).toEqual(wholeRevision(revision));
      trouble.over?.();
      if (name === "claim") {
        // An epoch is used up by the attempt: whoever goes on takes a higher one.
        await takeOver(storage, template.files);
        epoch = 3;
        break;
      }
      await perform(store);
    }
  }
  await numbered.closeFiles();
  expect(numbered.made(), `call ${number} was reached`).toBeGreaterThanOrEqual(number);
  expect(await seen(storage.root)).toEqual(wholeRevision(2));
  const list = (folder: string) => readdir(join(storage.root, folder)).catch(() => []);
  expect((await list("manifests/daily/2026-01-15")).sort()).toEqual(["r1.json", "r2.json"]);
  const [own = ""] = await list(`control/leaders/e${epoch}`);
  const left = await list(`control/leaders/e${epoch}/${own}`);
  await storage.remove();
  return { told, left: left.length };
}

const codes = {
  ENOSPC: "storageFull",
  EDQUOT: "storageFull",
  EROFS: "storageReadOnly",
  EACCES: "storageDenied",
  EIO: "storageFailed",
} as const;

test.each(Object.entries(codes))("%s at any one call", { timeout: 60_000 }, async (errno, code) => {
  const numbers = Array.from({ length: calls - 1 }, (_, n) => n + 2);
  let [failures, silent] = [0, 0];
  await forEach(numbers, async (number) => {
    const { told, left } = await live((at) => failAt(at, errno), number);
    expect(left, `call ${number} leaves nothing in the leader's folder`).toBe(0);
    // What is only tidying up may fail without a word.
    if (told.length === 0) silent++;
    for (const error of told) {
      failures++;
      expect(error, `call ${number}`).toBeInstanceOf(DaymillError);
      const { failure } = error as DaymillError;
      expect(failure.code, `call ${number}`).toBe(code);
      expect(failure.detail).toMatchObject({ errno, path: expect.stringMatching(/^\//) });
      expect(failure.message).toContain(`${failure.detail?.["path"]}: ${errno}; `);
    }
  });
  console.info(
    `${errno}: ${failures} of ${numbers.length} calls failed their act, ${silent} were tidying up`,
  );
  expect(failures + silent).toBe(numbers.length);
  expect(failures).toBeGreaterThan(0.9 * numbers.length);
});

test.each(["ENOSPC", "EROFS"])(
  "%s from any call on, until somebody mends it",
  { timeout: 60_000 },
  async (errno) => {
    const numbers = Array.from({ length: calls - 1 }, (_, n) => n + 2);
    let failures = 0;
    await forEach(numbers, async (number) => {
      const { told } = await live((at) => failFrom(at, errno), number);
      failures += told.length;
    });
    console.info(`${errno} from call k on: ${failures} acts failed`);
    expect(failures).toBeGreaterThan(0.5 * numbers.length);
  },
);

test("a file that can't be synced is thrown away, and the act fails", async () => {
  const storage = await template.copy();
  const torn: string[] = [];
  const numbered = numberedCalls(async (call, act) => {
    const isFile = call.name === "sync" && torn.length < 3;
    if (!isFile) return act();
    torn.push(call.path);
    throw Object.assign(new Error("EIO"), { code: "EIO" });
  });
  const store = await openStore(storage.root, numbered.calls);
  await store.claim(2);
  const snapshot = { sequence: 60, texts: ["state"] };
  for (let n = 0; n < 3; n++) {
    const error = await store.saveSnapshot(2, snapshot).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ failure: { code: "storageFailed", detail: { errno: "EIO" } } });
  }
  expect(torn.length).toBe(3);
  const [own = ""] = await readdir(join(storage.root, "control/leaders/e2"));
  expect(await readdir(join(storage.root, "control/leaders/e2", own))).toEqual([]);
  expect(await store.readSnapshot()).toEqual({ sequence: 30, texts: ["old"] });
  await store.saveSnapshot(2, snapshot);
  expect(await store.readSnapshot()).toEqual(snapshot);
  await storage.remove();
});
