// A quarantined revision and its release on storage: readers see the old day or the new day, whole, wherever it dies.
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openStore } from "../../shared/adapters/store.ts";
import type { Store } from "../../shared/ports.ts";
import { codeOf } from "../kit/failures.ts";
import { crashAt, numberedCalls } from "./stoppable-calls.ts";
import { manifest, run, type StorageFixture } from "./storage.ts";
import { forEach, makeTemplate, seen, wholeRevision } from "./story.ts";

const day = "2026-01-15";
const template = await makeTemplate();
afterAll(() => template.remove());

/** Revision 2 by the leader of `epoch`, in quarantine. */
async function quarantine(store: Store, epoch: number): Promise<void> {
  const paths = await store.arrange(epoch, run(2), template.files);
  const datasets = ["hits", "tops", "quiet", "fresh"].map((dataset) => [
    dataset,
    paths.filter((path) => path.includes(`/${dataset}/`)),
  ]);
  await store.commit(epoch, manifest(run(2), epoch, Object.fromEntries(datasets), "quarantined"));
}

async function quarantined(): Promise<{ storage: StorageFixture; store: Store }> {
  const storage = await template.copy();
  const store = await openStore(storage.root);
  await store.claim(2);
  await quarantine(store, 2);
  return { storage, store };
}

const state = async (store: Store) => (await store.readManifest("daily", day, 2))?.state;

describe("a quarantined revision", () => {
  test("has its files and is shown by nobody, also not after a takeover", async () => {
    const { storage, store } = await quarantined();
    expect(await seen(storage.root)).toEqual(wholeRevision(1));
    const held = await store.readManifest("daily", day, 2);
    expect(held?.state).toBe("quarantined");
    for (const { path } of held?.datasets.flatMap(({ files }) => files) ?? []) {
      expect((await readFile(join(storage.root, path), "utf8")).startsWith("2 ")).toBe(true);
    }
    expect(await codeOf(store.publish(2, held ?? manifest(run(2), 2, {})))).toBe("internal");
    const next = await openStore(storage.root);
    await next.claim(3);
    await next.rebuildViews(3);
    expect(await seen(storage.root)).toEqual(wholeRevision(1));
    await storage.remove();
  });

  test("is released by a file of its own: the manifest stays as it was written", async () => {
    const { storage, store } = await quarantined();
    const folder = join(storage.root, "manifests/daily", day);
    const written = await readFile(join(folder, "r2.json"), "utf8");
    const released = await store.release(2, run(2), 7);
    expect(released).toMatchObject({ state: "committed", released: { epoch: 2, wallMs: 7 } });
    expect(await seen(storage.root)).toEqual(wholeRevision(1));
    await store.publish(2, released);
    expect(await seen(storage.root)).toEqual(wholeRevision(2));
    expect(await readFile(join(folder, "r2.json"), "utf8")).toBe(written);
    expect((await readdir(folder)).sort()).toEqual(["r1.json", "r2.json", "r2.released.json"]);
    const [listed] = (await store.listRevisions(undefined, 5)).days;
    expect(listed?.folders.map((one) => one.manifest?.state)).toEqual(["committed", "committed"]);
    // Once more it changes nothing, whoever asks.
    const next = await openStore(storage.root);
    await next.claim(3);
    expect(await next.release(3, run(2), 9)).toEqual(released);
    await storage.remove();
  });

  test("can't be released by a leader whose time is over", async () => {
    const { storage, store } = await quarantined();
    const next = await openStore(storage.root);
    await next.claim(3);
    expect(await codeOf(store.release(2, run(2), 7))).toBe("storageFenced");
    expect(await state(next)).toBe("quarantined");
    await storage.remove();
  });
});

test("a crash anywhere in a release leaves the old day or the new day, and the next leader shows what was released", async () => {
  const { storage: counted } = await quarantined();
  const count = numberedCalls((_call, act) => act());
  const first = await openStore(counted.root, count.calls);
  await first.claim(3);
  const from = count.made() + 1;
  await first.publish(3, await first.release(3, run(2), 7));
  const points = Array.from({ length: count.made() - from + 1 }, (_, index) => from + index);
  await counted.remove();
  const outcomes = { old: 0, new: 0 };

  await forEach(
    points.flatMap((number) =>
      (["before", "torn", "after"] as const).map((m) => [number, m] as const),
    ),
    async ([number, moment]) => {
      const { storage } = await quarantined();
      const numbered = numberedCalls(crashAt(number, moment));
      const store = await openStore(storage.root, numbered.calls);
      await store.claim(3);
      await store
        .release(3, run(2), 7)
        .then((released) => store.publish(3, released))
        .catch(() => undefined);
      await numbered.closeFiles();
      const name = `${moment} call ${number}`;
      const shown = JSON.stringify(await seen(storage.root));
      const isNew = shown === JSON.stringify(sorted(wholeRevision(2)));
      expect(isNew || shown === JSON.stringify(sorted(wholeRevision(1))), name).toBe(true);
      const next = await openStore(storage.root);
      await next.claim(4);
      await next.rebuildViews(4);
      const isReleased = (await state(next)) === "committed";
      expect(await seen(storage.root), name).toEqual(wholeRevision(isReleased ? 2 : 1));
      if (isNew) expect(isReleased, name).toBe(true);
      await next.publish(4, await next.release(4, run(2), 8));
      expect(await seen(storage.root), name).toEqual(wholeRevision(2));
      outcomes[isReleased ? "new" : "old"] += 1;
      await storage.remove();
    },
  );
  expect(points.length).toBeGreaterThan(10);
  expect(Math.min(outcomes.old, outcomes.new)).toBeGreaterThan(0);
}, 60_000);

function sorted(shown: Record<string, readonly string[]>) {
  return Object.fromEntries(Object.entries(shown).sort(([a], [b]) => (a < b ? -1 : 1)));
}
