/** Quarantine: a run whose files are kept and that readers do not see, until somebody releases it. */
import { describe, expect, test } from "vitest";
import { emptyDurable } from "../../coordinator/core/durable.ts";
import { fold } from "../../coordinator/core/fold.ts";
import { type FactReader, readFacts } from "../../coordinator/core/journal-text.ts";
import { encodeSnapshot } from "../../coordinator/core/snapshot.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { noNegative, sampleFiles, sampleJob } from "../sim/sample-job.ts";
import { Bench, day } from "./bench.ts";

const [r1, r2, r3] = [1, 2, 3].map((revision) => `usage.${day}.r${revision}`) as [
  string,
  string,
  string,
];
const doubted = sampleJob({ checks: [{ ...noNegative, expect: 7, severity: "quarantine" }] });

function leader(memory?: Bench["memory"], at = 0): Bench {
  const bench = new Bench(memory, memory === undefined ? "c1" : "c2");
  bench.at = at;
  bench.lead();
  bench.attach(1);
  bench.effects = [];
  return bench;
}

/** r1 is committed, r2 in quarantine. */
function quarantined(): Bench {
  const bench = leader();
  bench.submit();
  bench.work();
  bench.submit(doubted, { rerun: true });
  bench.work();
  expect(bench.run(2).state).toBe("quarantined");
  bench.effects = [];
  return bench;
}

const view = (bench: Bench) => bench.memory.views.get(`usage|${day}`);
const dataset = (bench: Bench, revision: number) =>
  bench.ask({ kind: "dataset", dataset: "totals", day, revision });

describe("a quarantined run", () => {
  test("keeps its files, says why, and readers see the day as it was", () => {
    const bench = quarantined();
    expect(view(bench)).toBe(1);
    expect(bench.run(2)).toMatchObject({
      state: "quarantined",
      failure: { code: "checkFailed", message: "check no-negative on totals gave 0, expected 7" },
      datasets: [{ dataset: "totals", rows: 8 }],
      manifest: `manifests/usage/${day}/r2.json`,
    });
    const manifest = bench.memory.manifests.get(r2);
    expect(manifest).toMatchObject({ state: "quarantined", replaces: 1 });
    for (const { path } of manifest?.datasets[0]?.files ?? []) {
      expect(bench.memory.files.get(path)).toHaveLength(4);
    }
    expect(bench.memory.droppedStaging).toEqual([r1, r2]);
    expect(bench.memory.requests.size).toBe(0);
  });

  test("is read by its revision, and by nothing else", () => {
    const bench = quarantined();
    expect(dataset(bench, 0)).toMatchObject({ revision: 1 });
    expect(dataset(bench, 2)).toMatchObject({ revision: 2 });
    const first = leader();
    first.submit(doubted);
    first.work();
    expect(view(first)).toBeUndefined();
    expect(dataset(first, 0)).toMatchObject({ failure: { code: "unknownDataset" } });
    expect(dataset(first, 1)).toMatchObject({ revision: 1 });
  });

  test("is no measure for later days before its release", () => {
    const bench = quarantined();
    const record = () => bench.state.durable.days.get(`usage|${day}`);
    const before = record()?.figures;
    bench.memory.inputs = sampleFiles(6, 2);
    bench.submit(doubted, { rerun: true });
    bench.work();
    expect(record()?.figures).toEqual(before);
    bench.releaseRun(r3);
    expect(record()?.figures).toEqual({
      rows: { totals: 12 },
      sources: { ipdr: { rows: 60, bytes: 600, lines: 60, rejects: 0 } },
      speed: { run: r3, durationMs: 0, rows: 60, kind: "live", endedMs: bench.wallFrom + bench.at },
    });
  });

  test("leaves its map outputs to the run that takes its place", () => {
    const bench = quarantined();
    bench.submit(sampleJob(), { rerun: true });
    expect(bench.work().map((work) => work.kind)).toEqual(["reduce", "reduce"]);
    expect(bench.run(3).state).toBe("committed");
    expect(view(bench)).toBe(3);
    expect(bench.state.durable.days.get(`usage|${day}`)?.quarantined).toBeUndefined();
  });
});

describe("a release", () => {
  test("shows the day's new revision as a commit does", () => {
    const bench = quarantined();
    expect(bench.releaseRun(r2)).toEqual({ kind: "released", run: r2 });
    expect(bench.events()).toEqual(["dataset.committed", "run.committed"]);
    expect(view(bench)).toBe(2);
    const run = bench.run(2);
    expect(run.state).toBe("committed");
    expect(run.failure).toBeUndefined();
    expect(run.checks).toMatchObject([{ state: "failed", severity: "quarantine" }]);
    expect(dataset(bench, 0)).toMatchObject({ revision: 2 });
    expect(bench.memory.manifests.get(r2)).toMatchObject({
      state: "committed",
      released: { run: r2 },
    });
    bench.effects = [];
    expect(bench.releaseRun(r2)).toEqual({ kind: "released", run: r2 });
    expect(bench.events()).toEqual([]);
  });

  test("is refused where there is nothing to release", () => {
    const bench = quarantined();
    const code = (run: string) => bench.releaseRun(run);
    expect(code("nonsense")).toMatchObject({ failure: { code: "unknownRun" } });
    expect(code(`usage.${day}.r9`)).toMatchObject({ failure: { code: "unknownRun" } });
    expect(code(r1)).toEqual({ kind: "released", run: r1 });
    bench.submit(sampleJob(), { rerun: true });
    expect(code(r3)).toMatchObject({
      failure: { code: "conflict", message: expect.stringContaining("has not ended yet") },
    });
    bench.cancel(r3);
    expect(code(r3)).toMatchObject({
      failure: { message: `run ${r3} was aborted: only a quarantined run can be released` },
    });
  });

  test("never brings readers back to an older revision", () => {
    const bench = quarantined();
    bench.submit(sampleJob(), { rerun: true });
    bench.work();
    expect(bench.releaseRun(r2)).toMatchObject({
      failure: {
        code: "conflict",
        message: `readers see revision 3 of the day, which is newer than run ${r2}: it stays as it is`,
      },
    });
    expect(bench.memory.manifests.get(r2)?.state).toBe("quarantined");
  });

  test("that loses the race against a newer commit is refused, and the newer one stays", () => {
    const bench = quarantined();
    bench.submit(sampleJob(), { rerun: true });
    bench.hold = (ask) => ask.kind === "publish" && ask.manifest.run === r2;
    expect(bench.releaseRun(r2)).toBeUndefined();
    bench.work();
    expect([bench.run(3).state, view(bench)]).toEqual(["committed", 3]);
    bench.hold = () => false;
    bench.release();
    expect(view(bench)).toBe(3);
    expect(bench.run(2).state).toBe("quarantined");
    expect(bench.state.durable.days.get(`usage|${day}`)).toMatchObject({ committed: 3 });
  });

  test("that can't be written yet is told so; one that can't be shown yet goes on by itself", () => {
    const bench = quarantined();
    let away: string | undefined = "release";
    bench.override = (ask) =>
      ask.kind === away
        ? { kind: "failed", failure: failure("storageFull", "manifests: ENOSPC") }
        : undefined;
    expect(bench.releaseRun(r2)).toMatchObject({ failure: { code: "storageFull" } });
    away = "publish";
    expect(bench.releaseRun(r2)).toBeUndefined();
    expect(bench.run(2).state).toBe("quarantined");
    away = undefined;
    bench.pass(1_000, [1]);
    expect(bench.run(2).state).toBe("committed");
    expect(view(bench)).toBe(2);
  });
});

describe("another leader", () => {
  test("finds a release that its predecessor wrote and did not show", () => {
    const old = quarantined();
    old.hold = (ask) => ask.kind === "publish";
    old.releaseRun(r2);
    expect([view(old), old.run(2).state]).toEqual([1, "quarantined"]);
    const next = leader(old.memory, old.at);
    expect(view(next)).toBe(2);
    expect(next.run(2)).toMatchObject({ state: "committed", revision: 2 });
    expect(next.run(2).failure).toBeUndefined();
    expect(dataset(next, 0)).toMatchObject({ revision: 2 });
  });

  test("knows a quarantined revision from its manifest when the journal is lost", () => {
    const old = quarantined();
    old.memory.loseJournal();
    old.memory.snapshot = undefined;
    const next = leader(old.memory, old.at);
    expect(dataset(next, 0)).toMatchObject({ revision: 1 });
    expect(dataset(next, 2)).toMatchObject({ revision: 2 });
    expect(next.releaseRun(r2)).toEqual({ kind: "released", run: r2 });
    expect([view(next), dataset(next, 0)]).toMatchObject([2, { revision: 2 }]);
  });

  test("adopts the quarantine whose commit it did not see", () => {
    const old = leader();
    old.submit(doubted);
    let isCut = false;
    old.hold = (ask) => {
      isCut ||= ask.kind === "commit";
      return isCut;
    };
    old.work();
    const commit = old.heldAsks.find((ask) => ask.kind === "commit");
    if (commit === undefined) throw new Error("nothing was committed");
    old.memory.answer(commit, { coordinator: "c1", address: "c1:1" });
    const next = leader(old.memory, old.at);
    expect(next.run()).toMatchObject({ state: "quarantined", checks: [{ state: "failed" }] });
    expect(view(next)).toBeUndefined();
  });

  test("has the same state from the journal, through quarantine and release", () => {
    const bench = quarantined();
    bench.releaseRun(r2);
    const replayed = emptyDurable();
    const reader: FactReader = { pieces: [] };
    for (const { text } of bench.memory.journal) {
      for (const fact of readFacts(reader, text)) fold(replayed, fact);
    }
    expect(encodeSnapshot(replayed)).toEqual(encodeSnapshot(bench.state.durable));
  });
});
