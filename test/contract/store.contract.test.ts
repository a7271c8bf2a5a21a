// The Store port: one suite on the file system and on the memory form.
import { afterAll, describe, expect, test } from "vitest";
import { openStore } from "../../shared/adapters/store.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import type { Store } from "../../shared/ports.ts";
import { makeStorage, manifest, run, type StorageFixture } from "../commit/storage.ts";
import { memoryDisk, memoryStore } from "../fakes/memory-store.ts";
import { codeOf } from "../kit/failures.ts";

const made: StorageFixture[] = [];
afterAll(async () => {
  for (const storage of made) await storage.remove();
});

interface Opened {
  /** Two processes on one storage. */
  readonly one: Store;
  readonly other: Store;
  stage(path: string): Promise<void>;
}

const forms: Record<string, () => Promise<Opened>> = {
  "file store": async () => {
    const storage = await makeStorage();
    made.push(storage);
    return {
      one: await openStore(storage.root),
      other: await openStore(storage.root),
      stage: (path) => storage.stage(path, path),
    };
  },
  "memory store": async () => {
    const disk = memoryDisk();
    return {
      one: memoryStore(disk),
      other: memoryStore(disk),
      stage: async (path) => {
        disk.staging.add(path.split("/")[1] ?? "");
        disk.staged.add(path);
        disk.sizes.set(path, path.length);
      },
    };
  },
};

const job = (name: string, digest: string) => ({ spec: { name } as JobSpec, digest });
const nobody = { open: [], ended: [], waiting: [], told: [], silences: [] };
const alerts = (changes: number) => ({ changes, ...nobody });
const staged = (n: number) => `staging/daily.2026-01-15.r1/t${n}-a${n}/hits.parquet`;

describe.each(Object.entries(forms))("%s", (_name, open) => {
  test("an epoch is claimed once, and only above every earlier one", async () => {
    const { one, other } = await open();
    expect(await one.highestEpoch()).toBe(0);
    expect(await one.claim(3)).toBe(true);
    expect(await other.claim(3)).toBe(false);
    expect(await other.claim(2)).toBe(false);
    expect(await other.highestEpoch()).toBe(3);
    expect(await other.claim(4)).toBe(true);
    expect(await one.claim(3)).toBe(false);
    expect(await one.highestEpoch()).toBe(4);
  });

  test("a claim by many at once has one winner at most, and the highest epoch wins", async () => {
    const { one, other } = await open();
    const claims = [5, 6, 5, 6].map((epoch, i) => (i % 2 ? one : other).claim(epoch));
    const won = await Promise.all(claims);
    expect(won.filter(Boolean).length).toBeGreaterThan(0);
    expect(await one.highestEpoch()).toBe(6);
    expect(await one.claim(7)).toBe(true);
  });

  test("nothing can be written by an epoch that has not claimed, or no longer owns the storage", async () => {
    const { one, other, stage } = await open();
    await stage(staged(1));
    await one.claim(1);
    await other.claim(2);
    for (const [store, epoch] of [
      [one, 1],
      [one, 2],
      [other, 9],
    ] as const) {
      const files = [{ dataset: "hits", staged: staged(1) }];
      const writes = [
        store.saveJob(epoch, job("daily", "a")),
        store.saveSnapshot(epoch, { sequence: 1, texts: ["s"] }),
        store.arrange(epoch, run(1), files),
        store.commit(epoch, manifest(run(1), epoch, {})),
        store.publish(epoch, manifest(run(1), epoch, {})),
        store.rebuildViews(epoch),
        store.saveAlerts(epoch, alerts(1)),
        store.dropStaging(epoch, "daily.2026-01-15.r1"),
        store.dropRequest(epoch, "daily.2026-01-15.r1"),
        store.dropRevision(epoch, run(1), 1, "all"),
      ];
      expect(await Promise.all(writes.map(codeOf))).toEqual(writes.map(() => "storageFenced"));
    }
    expect(await other.readJobs()).toEqual([]);
    expect(await other.readSnapshot()).toBeUndefined();
    expect(await other.readManifests()).toEqual([]);
  });

  test("jobs are kept by name, the newest text of each", async () => {
    const { one, other } = await open();
    await one.claim(1);
    await one.saveJob(1, job("daily", "a"));
    await one.saveJob(1, job("another", "b"));
    await one.saveJob(1, job("daily", "c"));
    expect(await other.readJobs()).toEqual([job("another", "b"), job("daily", "c")]);
  });

  test("the account of alerts is the newest one, none before", async () => {
    const { one, other } = await open();
    await one.claim(1);
    expect(await other.readAlerts()).toBeUndefined();
    await one.saveAlerts(1, alerts(1));
    await one.saveAlerts(1, alerts(2));
    expect(await other.readAlerts()).toEqual(alerts(2));
  });

  test("the room of what it lies on can be told", async () => {
    const { one } = await open();
    const { usedBytes, totalBytes } = await one.room();
    expect(usedBytes).toBeGreaterThan(0);
    expect(totalBytes).toBeGreaterThanOrEqual(usedBytes);
  });

  test("requests of runs are kept until they are dropped", async () => {
    const { one, other } = await open();
    await one.claim(1);
    const request = (revision: number, requestId: string) => ({
      run: `daily.2026-01-15.r${revision}`,
      ...job("daily", "a"),
      day: "2026-01-15",
      revision,
      requestId,
    });
    for (const n of [2, 1]) await one.saveRequest(1, request(n, `q${n}`));
    await one.saveRequest(1, request(2, "again"));
    expect(await other.readRequests()).toEqual([request(1, "q1"), request(2, "again")]);
    await one.dropRequest(1, "daily.2026-01-15.r1");
    await one.dropRequest(1, "daily.2026-01-15.r7");
    expect(await other.readRequests()).toEqual([request(2, "again")]);
  });

  test("the newest snapshot is that of the newest leadership", async () => {
    const { one, other } = await open();
    await one.claim(1);
    await one.saveSnapshot(1, { sequence: 900, texts: ["old\nlife"] });
    await other.claim(2);
    await other.saveSnapshot(2, { sequence: 10, texts: ["new"] });
    await other.saveSnapshot(2, { sequence: 20, texts: ["newer ✓", "", "of two\nlines\n"] });
    expect(await one.readSnapshot()).toEqual({
      sequence: 20,
      texts: ["newer ✓", "", "of two\nlines\n"],
    });
  });

  test("arranged files have paths with revision and epoch; the same again gives the same", async () => {
    const { one, stage } = await open();
    await one.claim(1);
    for (const n of [1, 2, 3]) await stage(staged(n));
    const files = [
      { dataset: "hits", staged: staged(1) },
      { dataset: "tops", staged: staged(2) },
      { dataset: "hits", staged: staged(3) },
    ];
    const paths = await one.arrange(1, run(1), files);
    const folder = "revisions/daily/2026-01-15/r1-e1";
    expect(paths).toEqual([
      `${folder}/hits/r1-00000.parquet`,
      `${folder}/tops/r1-00000.parquet`,
      `${folder}/hits/r1-00001.parquet`,
    ]);
    expect(await one.arrange(1, run(1), files)).toEqual(paths);
  });

  test("a revision carries datasets over from an earlier one of its day, from no other place", async () => {
    const { one, stage } = await open();
    await one.claim(1);
    for (const n of [1, 2]) await stage(staged(n));
    const [hits = "", tops = ""] = await one.arrange(1, run(1), [
      { dataset: "hits", staged: staged(1) },
      { dataset: "tops", staged: staged(2) },
    ]);
    await one.commit(1, manifest(run(1), 1, { hits: [hits], tops: [tops] }));
    await stage(staged(3));
    const files = [
      { dataset: "hits", staged: staged(3) },
      { dataset: "tops", staged: tops },
    ];
    const paths = await one.arrange(1, run(2), files);
    const folder = "revisions/daily/2026-01-15/r2-e1";
    expect(paths).toEqual([`${folder}/hits/r2-00000.parquet`, `${folder}/tops/r2-00000.parquet`]);
    expect(await one.arrange(1, run(2), files)).toEqual(paths);
    const carry = (dataset: string, path: string, day = "2026-01-15") =>
      codeOf(one.arrange(1, run(3, day), [{ dataset, staged: path }]));
    expect(await carry("tops", tops, "2026-01-16")).toBe("pathForbidden");
    expect(await carry("hits", tops)).toBe("pathForbidden");
    expect(await carry("tops", tops.replace("daily", "hourly"))).toBe("pathForbidden");
    expect(await carry("tops", `${tops}/../../x.parquet`)).toBe("pathForbidden");
    expect(await carry("tops", "control/jobs/daily.json")).toBe("pathForbidden");
    // Nothing is lost with the revision that it came from.
    await one.publish(1, manifest(run(2), 1, { hits: [paths[0] ?? ""], tops: [paths[1] ?? ""] }));
    await one.dropRevision(1, run(1), 1, "all");
    expect(await one.arrange(1, run(2), files).catch(() => paths)).toEqual(paths);
  });

  test("staging folders are listed by run, and dropped one by one", async () => {
    const { one, other, stage } = await open();
    await one.claim(1);
    expect(await one.listStaging()).toEqual([]);
    const runs = ["daily.2026-01-15.r1", "daily.2026-01-15.r2", "hourly.2026-01-14.r1"];
    for (const name of [...runs].reverse()) await stage(`staging/${name}/t0-a0/hits.parquet`);
    expect(await other.listStaging()).toEqual(runs);
    await stage(`staging/${runs[0]}/t0-a0/rejects.parquet`);
    const files = ["hits", "rejects"].map((name) => `staging/${runs[0]}/t0-a0/${name}.parquet`);
    expect(await other.listStaged(runs[0] ?? "")).toEqual(files);
    expect(await other.listStaged("daily.2026-01-15.r9")).toEqual([]);
    const sum = files.reduce((bytes, path) => bytes + path.length, 0);
    expect(await other.stagingBytes(runs[0] ?? "")).toBe(sum);
    expect(await other.stagingBytes("daily.2026-01-15.r9")).toBe(0);
    await one.dropStaging(1, runs[1] ?? "");
    expect(await other.listStaged(runs[1] ?? "")).toEqual([]);
    await one.dropStaging(1, "daily.2026-01-15.r9");
    expect(await other.listStaging()).toEqual([runs[0], runs[2]]);
  });

  test("the first manifest of a revision is the commit; later ones learn what it says", async () => {
    const { one, other } = await open();
    await one.claim(1);
    const first = manifest(run(1), 1, { hits: [] });
    expect(await one.commit(1, first)).toEqual(first);
    await other.claim(2);
    const abort = manifest(run(1), 2, {}, "aborted");
    expect(await other.commit(2, abort)).toEqual(first);
    expect(await one.readManifest("daily", "2026-01-15", 1)).toEqual(first);
    expect(await one.readManifest("daily", "2026-01-15", 2)).toBeUndefined();
  });

  test("a quarantined revision is not shown until it is released, which can be done twice", async () => {
    const { one, other } = await open();
    await one.claim(1);
    const held = { ...manifest(run(1), 1, { hits: [] }, "quarantined") };
    await one.commit(1, held);
    expect(await codeOf(one.release(1, run(2), 5))).toBe("unknownRun");
    const released = {
      ...held,
      state: "committed",
      released: { run: held.run, epoch: 1, wallMs: 5 },
    };
    expect(await one.release(1, run(1), 5)).toEqual(released);
    expect(await one.release(1, run(1), 6)).toEqual(released);
    expect(await other.readManifest("daily", "2026-01-15", 1)).toEqual(released);
    expect(await other.readManifests()).toEqual([released]);
    const aborted = manifest(run(2), 1, {}, "aborted");
    await one.commit(1, aborted);
    expect(await one.release(1, run(2), 7)).toEqual(aborted);
    await other.claim(2);
    expect(await codeOf(one.release(1, run(1), 8))).toBe("storageFenced");
  });

  test("a quarantined revision whose dataset is another job's by now stays where it is", async () => {
    const { one } = await open();
    await one.claim(1);
    const held = manifest(run(1), 1, { hits: [] }, "quarantined");
    const theirs = { ...manifest(run(1), 1, { hits: [] }), job: "another" };
    for (const each of [held, theirs]) await one.commit(1, each);
    await one.publish(1, theirs);
    expect(await codeOf(one.release(1, run(1), 5))).toBe("conflict");
    expect(await one.readManifest("daily", "2026-01-15", 1)).toEqual(held);
  });

  test("a dataset that another job shows for that day is refused before anything is arranged", async () => {
    const { one, stage } = await open();
    await one.claim(1);
    for (const n of [1, 2]) await stage(staged(n));
    const theirs = { ...manifest(run(1), 1, { hits: [] }), job: "another" };
    const mine = manifest(run(1), 1, { hits: [] });
    for (const each of [theirs, mine]) await one.commit(1, each);
    await one.publish(1, theirs);
    const files = [{ dataset: "hits", staged: staged(1) }];
    expect(await codeOf(one.arrange(1, run(1), files))).toBe("conflict");
    expect(await codeOf(one.publish(1, mine))).toBe("conflict");
    const check = (job: string, day: string, ...datasets: string[]) =>
      one.checkViews(job, day, datasets).then(
        () => "free",
        (error: unknown) => String(error),
      );
    expect(await check("daily", "2026-01-15", "tops", "hits")).toContain("job another");
    expect(await check("daily", "2026-01-15", "tops")).toBe("free");
    expect(await check("daily", "2026-01-16", "hits")).toBe("free");
    expect(await check("another", "2026-01-15", "hits")).toBe("free");
    const otherDay = run(1, "2026-01-16");
    expect(await codeOf(one.arrange(1, otherDay, files))).toBe("no error");
    const otherData = [{ dataset: "tops", staged: staged(2) }];
    expect(await codeOf(one.arrange(1, run(1), otherData))).toBe("no error");
  });

  describe("old revisions", () => {
    const datasets = ["hits", "ipdr_late", "_rejects"];

    /** Revision n of a day, arranged with all three folders, not committed. */
    async function arranged({ one, stage }: Opened, epoch: number, place: ReturnType<typeof run>) {
      const files = datasets.map((dataset, n) => ({ dataset, staged: staged(n) }));
      for (const { staged: path } of files) await stage(path);
      const [hits = "", late = "", rejects = ""] = await one.arrange(epoch, place, files);
      const named = { rejectFiles: [rejects], lateFiles: [late] };
      return { ...manifest(place, epoch, { hits: [hits] }), ...named };
    }

    test("are listed by day with what is in them, its size, and what their manifest says", async () => {
      const opened = await open();
      const { one, other } = opened;
      await one.claim(1);
      expect(await one.listRevisions(undefined, 5)).toEqual({ days: [] });
      for (const place of [run(2), run(10), run(1, "2026-01-14")]) {
        const made = await arranged(opened, 1, place);
        if (place.revision === 2) await one.commit(1, made);
        if (place.revision === 10) await one.commit(1, manifest(place, 1, {}, "aborted"));
      }
      const sorted = [...datasets].sort();
      const wallMs = 1_800_000_000_000;
      const size = staged(0).length;
      const folder = { arrangedBy: 1, datasets: sorted, bytes: [size, size, size] };
      const committed = { state: "committed", arrangedBy: 1, wallMs, late: ["ipdr_late"] };
      const aborted = { state: "aborted", arrangedBy: 1, wallMs, late: [] };
      const days = [
        { job: "daily", day: "2026-01-14", folders: [{ ...folder, revision: 1 }] },
        {
          job: "daily",
          day: "2026-01-15",
          folders: [
            // What the manifest says of a dataset is believed: it may have thousands of files.
            { ...folder, revision: 2, bytes: [size, 1, size], manifest: committed },
            { ...folder, revision: 10, manifest: aborted },
          ],
        },
      ];
      expect(await other.listRevisions(undefined, 5)).toEqual({ days });
      const second = { job: "daily", day: "2026-01-15" };
      expect(await other.listRevisions(undefined, 1)).toEqual({
        days: days.slice(0, 1),
        next: second,
      });
      expect(await other.listRevisions(second, 1)).toEqual({ days: days.slice(1) });
      expect(await other.listRevisions({ job: "daily", day: "2026-01-16" }, 1)).toEqual({
        days: [],
      });
    });

    test("are removed whole or by folder, never what readers see, never by a fenced leader", async () => {
      const opened = await open();
      const { one, other } = opened;
      await one.claim(1);
      const old = await one.commit(1, await arranged(opened, 1, run(1)));
      const shown = await one.commit(1, await arranged(opened, 1, run(2)));
      for (const each of [old, shown]) await one.publish(1, each);
      const left = async () => {
        const { days } = await one.listRevisions(undefined, 5);
        return days.flatMap(({ folders }) =>
          folders.map((folder) => `r${folder.revision} ${folder.datasets.join(" ")}`),
        );
      };
      expect(await codeOf(one.dropRevision(1, run(2), 1, "all"))).toBe("conflict");
      expect(await codeOf(one.dropRevision(1, run(2), 1, ["hits"]))).toBe("conflict");
      expect(await left()).toEqual(["r1 _rejects hits ipdr_late", "r2 _rejects hits ipdr_late"]);
      await one.dropRevision(1, run(2), 1, ["_rejects", "ipdr_late"]);
      await one.dropRevision(1, run(1), 1, ["hits"]);
      expect(await left()).toEqual(["r1 _rejects ipdr_late", "r2 hits"]);
      for (let again = 0; again < 2; again++) await one.dropRevision(1, run(1), 1, "all");
      await one.dropRevision(1, run(9), 1, "all");
      expect(await left()).toEqual(["r2 hits"]);
      expect(await one.readManifest("daily", "2026-01-15", 1)).toEqual(old);
      await other.claim(2);
      expect(await codeOf(one.dropRevision(1, run(2), 1, ["_rejects"]))).toBe("storageFenced");
    });
  });

  test("manifests come back in the order of job, day and revision", async () => {
    const { one, other } = await open();
    await one.claim(1);
    const places = [run(10), run(2), run(1, "2026-01-14"), run(1)];
    for (const place of places) await one.commit(1, manifest(place, 1, {}));
    const read = await other.readManifests();
    expect(read.map((m) => `${m.day} r${m.revision}`)).toEqual([
      "2026-01-14 r1",
      "2026-01-15 r1",
      "2026-01-15 r2",
      "2026-01-15 r10",
    ]);
  });
});
