// A leader that was paused and wakes up: whatever it tries on storage fails and leaves no trace.
import { createHash } from "node:crypto";
import { mkdir, readFile, readlink, rename, rm, stat, symlink } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openStore } from "../../shared/adapters/store.ts";
import { storageFailure } from "../../shared/adapters/store-files.ts";
import { DaymillError } from "../../shared/kernel/failure.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { Store } from "../../shared/ports.ts";
import { codeOf } from "../kit/failures.ts";
import { makeStorage, manifest, run, type StorageFixture } from "./storage.ts";

let storage: StorageFixture;
beforeEach(async () => {
  storage = await makeStorage();
});
afterEach(() => storage.remove());

const staged = "staging/daily.2026-01-15.r1/t0-a/part.parquet";
const files = [{ dataset: "hits", staged }];

const committedBefore = manifest(run(9), 1, { hits: [] });

/** Every write of the port, named. */
const writes: Readonly<Record<string, (store: Store, epoch: number) => Promise<unknown>>> = {
  saveJob: (store, epoch) =>
    store.saveJob(epoch, { spec: { name: "daily" } as JobSpec, digest: "zombie" }),
  saveSnapshot: (store, epoch) => store.saveSnapshot(epoch, { sequence: 99, texts: ["zombie"] }),
  arrange: (store, epoch) => store.arrange(epoch, run(1), files),
  commit: (store, epoch) => store.commit(epoch, manifest(run(1), epoch, {})),
  publish: (store, epoch) => store.publish(epoch, committedBefore),
  rebuildViews: (store, epoch) => store.rebuildViews(epoch),
  dropStaging: (store, epoch) => store.dropStaging(epoch, "daily.2026-01-15.r1"),
};

describe("after a newer claim", () => {
  test.each(Object.entries(writes))(
    "%s of the old epoch is fenced and changes nothing",
    async (_name, write) => {
      const zombie = await openStore(storage.root);
      expect(await zombie.claim(1)).toBe(true);
      await zombie.commit(1, committedBefore);
      await storage.stage(staged, "rows");
      const leader = await openStore(storage.root);
      expect(await leader.claim(2)).toBe(true);
      const before = await storage.tree("");
      expect(await codeOf(write(zombie, 1))).toBe("storageFenced");
      expect(await storage.tree("")).toEqual(before);
      // The same call of the new leader works: nothing else stood in its way.
      expect(await codeOf(write(leader, 2))).toBe("no error");
    },
  );

  test("also when the folder of the old epoch is made again by somebody", async () => {
    const zombie = await openStore(storage.root);
    await zombie.claim(1);
    const leader = await openStore(storage.root);
    await leader.claim(2);
    await mkdir(join(storage.root, "control/leaders/e1"));
    await storage.stage(staged, "rows");
    for (const write of Object.values(writes)) {
      expect(await codeOf(write(zombie, 1))).toBe("storageFenced");
    }
  });

  test("a write that was half done when the claim came is not finished", async () => {
    const zombie = await openStore(storage.root);
    await zombie.claim(1);
    const leader = await openStore(storage.root);
    let seenByLeader = -1;
    const outcomes = await Promise.all([
      ...Array.from({ length: 50 }, (_, i) =>
        codeOf(zombie.commit(1, manifest(run(i + 1), 1, {}, "aborted"))),
      ),
      leader.claim(2).then(async (claimed) => {
        seenByLeader = (await leader.readManifests()).length;
        return claimed;
      }),
    ]);
    expect(outcomes.at(-1)).toBe(true);
    const told = outcomes.slice(0, -1);
    const won = told.filter((outcome) => outcome === "no error").length;
    expect(told.filter((one) => one !== "no error" && one !== "storageFenced")).toEqual([]);
    // One that was placed just before the claim may be told as fenced. What the new leader then sees is final: nothing
    // comes after it, and every commit that was told as done is in it.
    expect((await leader.readManifests()).length).toBe(seenByLeader);
    expect(seenByLeader).toBeGreaterThanOrEqual(won);
    const later = await leader.commit(2, manifest(run(1), 2, {}));
    expect([1, 2]).toContain(later.epoch);
  });
});

describe("commit", () => {
  test("the loser of a race for a revision gets the winner's manifest", async () => {
    const store = await openStore(storage.root);
    await store.claim(1);
    const mine = manifest(run(1), 1, { hits: [] });
    const abort = { ...manifest(run(1), 1, {}, "aborted"), coordinator: "other" };
    const [a, b] = await Promise.all([store.commit(1, mine), store.commit(1, abort)]);
    expect(a).toEqual(b);
    expect(await store.readManifests()).toEqual([a]);
  });

  test("a later leader arranges the same staged files again, beside the old ones", async () => {
    const first = await openStore(storage.root);
    await first.claim(1);
    await storage.stage(staged, "rows");
    const [old = ""] = await first.arrange(1, run(1), files);
    const second = await openStore(storage.root);
    await second.claim(2);
    const [path = ""] = await second.arrange(2, run(1), files);
    expect([old, path]).toEqual([
      "revisions/daily/2026-01-15/r1-e1/hits/r1-00000.parquet",
      "revisions/daily/2026-01-15/r1-e2/hits/r1-00000.parquet",
    ]);
    const committed = manifest(run(1), 2, { hits: [path] });
    await second.commit(2, committed);
    await second.publish(2, committed);
    await second.dropStaging(2, committed.run);
    const shown = join(storage.root, "out/hits/day=2026-01-15/r1-00000.parquet");
    expect(await readFile(shown, "utf8")).toBe("rows");
  });

  test("an arrangement with other files replaces the one before", async () => {
    const store = await openStore(storage.root);
    await store.claim(1);
    await storage.stage(staged, "first try");
    await store.arrange(1, run(1), files);
    const again = staged.replace("t0-a", "t0-b");
    await storage.stage(again, "second try");
    const [path = ""] = await store.arrange(1, run(1), [{ dataset: "hits", staged: again }]);
    expect(await readFile(join(storage.root, path), "utf8")).toBe("second try");
  });

  test("reject files are for their owner only, datasets for everybody", async () => {
    const store = await openStore(storage.root);
    await store.claim(1);
    const rejects = staged.replace("part.parquet", "rejects.csv");
    await storage.stage(staged, "rows");
    await storage.stage(rejects, "lines");
    const paths = await store.arrange(1, run(1), [
      ...files,
      { dataset: "_rejects", staged: rejects },
    ]);
    const modes = await Promise.all(
      paths.map(async (path) => ((await stat(join(storage.root, path))).mode & 0o777).toString(8)),
    );
    expect(modes).toEqual(["644", "600"]);
    expect(paths[1]).toBe("revisions/daily/2026-01-15/r1-e1/_rejects/r1-00000.csv");
  });

  test("a staged file that is gone is an error, and nothing is arranged", async () => {
    const store = await openStore(storage.root);
    await store.claim(1);
    const error = await store.arrange(1, run(1), files).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ failure: { code: "storageFailed" } });
    expect(String(error)).toContain("submit the whole day again");
    expect(await storage.tree("")).not.toContain("revisions/daily/2026-01-15/r1-e1/");
  });

  test("a late move of the view never takes it back to an earlier revision", async () => {
    const store = await openStore(storage.root);
    await store.claim(1);
    for (let revision = 2; revision <= 16; revision += 2) {
      const older = await store.commit(1, manifest(run(revision - 1), 1, { hits: [] }));
      const newer = await store.commit(1, manifest(run(revision), 1, { hits: [] }));
      await Promise.all([store.publish(1, newer), store.publish(1, older)]);
      const shown = await readlink(join(storage.root, "current/daily/2026-01-15"));
      expect(shown).toContain(`/r${revision}-e1`);
    }
  });

  test.each(["../../etc/passwd", "/etc/passwd", "staging/x/../../y", "out/hits/a.parquet"])(
    "a staged path that leaves staging is refused: %s",
    async (path) => {
      const store = await openStore(storage.root);
      await store.claim(1);
      const wrong = [{ dataset: "hits", staged: path }];
      expect(await codeOf(store.arrange(1, run(1), wrong))).toBe("pathForbidden");
    },
  );
});

describe("views", () => {
  test("after a takeover every day shows its highest committed revision again", async () => {
    const store = await openStore(storage.root);
    await store.claim(1);
    for (const revision of [1, 2]) {
      await store.arrange(1, run(revision), []);
      await store.commit(1, manifest(run(revision), 1, { hits: [] }));
    }
    await store.commit(1, manifest(run(3), 1, {}, "aborted"));
    await store.publish(1, manifest(run(1), 1, { hits: [] }));
    await rm(join(storage.root, "out"), { recursive: true });
    const next = await openStore(storage.root);
    await next.claim(2);
    await next.rebuildViews(2);
    expect(await storage.tree("out/hits/day=2026-01-15")).toEqual([]);
    const shown = await stat(join(storage.root, "current/daily/2026-01-15"));
    const wanted = await stat(join(storage.root, "revisions/daily/2026-01-15/r2-e1"));
    expect(shown.ino).toBe(wanted.ino);
  });

  test("a dataset that another job shows is named with its owner, and keeps no other day from being shown", async () => {
    const store = await openStore(storage.root);
    await store.claim(1);
    const theirs = {
      ...manifest(run(1), 1, { hits: [] }),
      job: "another",
      run: "another.2026-01-15.r1",
    };
    const mine = manifest(run(1), 1, { hits: [] });
    const later = manifest(run(1, "2026-01-16"), 1, { hits: [] });
    for (const each of [theirs, mine, later]) await store.commit(1, each);
    await store.publish(1, theirs);
    const problem = await store.rebuildViews(1).catch((error: unknown) => error);
    expect((problem as DaymillError).failure).toMatchObject({
      code: "conflict",
      message: expect.stringContaining("out/hits/day=2026-01-15 belongs to job another"),
    });
    expect(await storage.tree("out")).toContain("out/hits/day=2026-01-16");
  });
});

describe("trouble", () => {
  test("a storage root that is not there is refused, not made", async () => {
    expect(await codeOf(openStore(join(storage.root, "unmounted")))).toBe("storageFailed");
  });

  test("a snapshot that was torn or damaged anywhere is passed over", async () => {
    const store = await openStore(storage.root);
    await store.claim(1);
    await store.saveSnapshot(1, { sequence: 5, texts: ["whole"] });
    await store.saveSnapshot(1, { sequence: 9, texts: ["one", "two"] });
    const newest = "control/snapshots/e1-s9.json";
    const text = await readFile(join(storage.root, newest), "utf8");
    expect(text).toMatch(
      /^\{"version":2,"sequence":9\}\nonetwo\n\{"bytes":\[3,3\],"sha256":"[0-9a-f]{64}"\}\n$/,
    );
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === "1" ? "2" : "1";
      for (const broken of [text.slice(0, at), text.slice(0, at) + other + text.slice(at + 1)]) {
        await storage.stage(newest, broken);
        expect(await store.readSnapshot(), broken).toEqual({ sequence: 5, texts: ["whole"] });
      }
    }
    await storage.stage(newest, text);
    expect(await store.readSnapshot()).toEqual({ sequence: 9, texts: ["one", "two"] });
  });

  test("a snapshot that is written in many parts comes back as it was", async () => {
    const store = await openStore(storage.root);
    await store.claim(1);
    // One letter, then pairs of units: the middle of a pair is where a part would end.
    const pairs = `x${"𝄞".repeat(limits.snapshotPartUnits)}`;
    const texts = ["", "é".repeat(10), pairs, "last"];
    await store.saveSnapshot(1, { sequence: 7, texts });
    expect((await store.readSnapshot())?.texts.map((text) => text.length)).toEqual([
      0,
      10,
      1 + 2 * limits.snapshotPartUnits,
      4,
    ]);
    expect((await store.readSnapshot())?.texts.join("") === texts.join("")).toBe(true);
  });

  test("a snapshot as it was written before, one text behind its checksum, is read as well", async () => {
    const store = await openStore(storage.root);
    await store.claim(1);
    const text = '{"version":2}\nstate ✓';
    const sha256 = createHash("sha256").update(text).digest("hex");
    const head = JSON.stringify({ version: 1, sequence: 4, sha256 });
    await storage.stage("control/snapshots/e1-s4.json", `${head}\n${text}`);
    expect(await store.readSnapshot()).toEqual({ sequence: 4, texts: [text] });
    await storage.stage("control/snapshots/e1-s4.json", `${head}\n${text}.`);
    expect(await store.readSnapshot()).toBeUndefined();
  });

  test("only the newest three snapshots are kept", async () => {
    const store = await openStore(storage.root);
    await store.claim(1);
    for (const sequence of [1, 2, 3, 10, 11]) {
      await store.saveSnapshot(1, { sequence, texts: [`at ${sequence}`] });
    }
    expect(await storage.tree("control/snapshots")).toEqual([
      "control/snapshots/e1-s10.json",
      "control/snapshots/e1-s11.json",
      "control/snapshots/e1-s3.json",
    ]);
  });

  test("a manifest that does not parse is an error that names it", async () => {
    const store = await openStore(storage.root);
    await storage.stage("manifests/daily/2026-01-15/r1.json", "{");
    const problem = await store.readManifests().catch((error: unknown) => error);
    expect(problem).toBeInstanceOf(DaymillError);
    expect((problem as DaymillError).message).toContain("manifests/daily/2026-01-15/r1.json");
  });

  test("a file that is no job's folder is passed over among the manifests", async () => {
    const store = await openStore(storage.root);
    await store.claim(1);
    const committed = await store.commit(1, manifest(run(1), 1, {}));
    await storage.stage("manifests/.DS_Store", "not ours");
    await storage.stage("manifests/README.txt", "not ours");
    expect(await store.readManifests()).toEqual([committed]);
  });

  test.each([
    ["ENOSPC", "storageFull"],
    ["EDQUOT", "storageFull"],
    ["EROFS", "storageReadOnly"],
    ["EACCES", "storageDenied"],
    ["EIO", "storageFailed"],
  ])("%s is %s, with path and errno", (errno, expected) => {
    const cause = Object.assign(new Error(errno), { code: errno });
    const { failure } = storageFailure(cause, "write", "/data/x");
    expect(failure).toMatchObject({ code: expected, detail: { path: "/data/x", errno } });
    expect(failure.message).toContain("/data/x");
  });

  test("something in the way of a folder is an error that names it", async () => {
    const store = await openStore(storage.root);
    await store.claim(1);
    await storage.stage("manifests", "a file, not a folder");
    const problem = await store.commit(1, manifest(run(1), 1, {})).catch((error: unknown) => error);
    expect((problem as DaymillError).failure).toMatchObject({
      code: "storageFailed",
      detail: { path: expect.stringContaining("manifests") },
    });
  });

  test("a root behind a symbolic link works the same", async () => {
    const real = join(storage.root, "real");
    await mkdir(real);
    await symlink(real, join(storage.root, "linked"));
    const store = await openStore(join(storage.root, "linked"));
    expect(await store.claim(1)).toBe(true);
    await store.publish(1, await store.commit(1, manifest(run(1), 1, { hits: [] })));
    await rename(real, `${real}-moved`);
    expect(await codeOf(store.publish(1, manifest(run(2), 1, { hits: [] })))).toBe("storageFenced");
  });
});
