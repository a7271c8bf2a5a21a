/** A journal is lost and the exchange is not: scans whose outputs lie there are not run again. */
import { describe, expect, test } from "vitest";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { FileFingerprint } from "../../shared/kernel/work.ts";
import { carryOut } from "../sim/executor-model.ts";
import { Bench, day, type SentTask } from "./bench.ts";

const run = `usage.${day}.r1`;
const rejectsPath = `staging/${run}/s0-0-a/rejects.parquet`;

/** A day of four scans: two are done, the others run. Every scan claims side files where the test says so. */
function halfDone(sideFile?: string): Bench {
  const bench = new Bench().lead();
  bench.attach(1);
  bench.rejectsFile = sideFile;
  bench.submit();
  for (const task of bench.takeTasks()) bench.finish(task);
  bench.rejectsFile = undefined;
  return bench;
}

/** Everything that NATS held but the exchange is gone, and the leader with it; executors dial in afterwards. */
function afterLoss(old: Bench, before: (next: Bench) => void = () => undefined): Bench {
  old.memory.loseJournal();
  old.memory.epochs.clear();
  const next = new Bench(old.memory, "c2");
  next.at = old.at;
  before(next);
  next.lead();
  next.attach(1, { incarnation: 2 });
  return next;
}

function mapFiles(bench: Bench): string[] {
  const works = bench.work();
  return works
    .flatMap((work) => (work.kind === "map" ? work.split.files : []))
    .map(nameOf)
    .sort();
}

function nameOf({ path }: FileFingerprint): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** Names of all input files in the committed dataset, sorted: each of four files in each of two groups. */
function committed(bench: Bench): string[] {
  const manifest = bench.memory.manifests.get(run);
  const files = manifest?.datasets.flatMap((dataset) => dataset.files) ?? [];
  return files.flatMap((file) => bench.memory.files.get(file.path) ?? []).sort();
}

const whole = [0, 1, 2, 3].flatMap((file) =>
  [0, 1].map((group) => `raw/day=${day}/part-${file}.csv@1#${group}`),
);

describe("a run that starts again after its journal was lost", () => {
  test("takes the scans that were done, cut as they were, and reads the other files", () => {
    const next = afterLoss(halfDone());
    // Planned before anybody dialled in, it would be cut into two by itself.
    expect(mapFiles(next)).toEqual(["part-2.csv", "part-3.csv"]);
    expect(next.run()).toMatchObject({ state: "committed", rowsIn: 40, revision: 1 });
    expect(next.run().stages[0]).toMatchObject({ reused: 2 });
    expect(committed(next)).toEqual(whole);
  });

  test("takes what ended unheard, too: an attempt that was done when nobody led", () => {
    const old = halfDone();
    for (const { work, delivery } of old.takeTasks()) carryOut(old.memory, work, delivery);
    const next = afterLoss(old);
    expect(mapFiles(next)).toEqual([]);
    expect(committed(next)).toEqual(whole);
  });

  test("has what nobody can use removed: an attempt without an account, and the second of two", () => {
    const old = halfDone();
    const [first = ""] = old.memory.accounts.keys();
    for (const attempts of old.memory.streams.values()) {
      attempts.set("loser", ["rows"]);
      attempts.set("twin", attempts.get(first) ?? []);
    }
    const account = old.memory.accounts.get(first);
    if (account === undefined) throw new Error("it left an account");
    const text = account.text.replace(`"attemptId":"${first}"`, '"attemptId":"twin"');
    old.memory.accounts.set("twin", { ...account, text });
    const next = afterLoss(old);
    next.work();
    next.pass(limits.purgeAfterMs + 1_000, [1]);
    const kept = [...next.state.durable.kept.values()].flatMap((one) => [...one.outputs.values()]);
    const winners = kept.map((one) => one.attemptId).sort();
    for (const attempts of next.memory.streams.values()) {
      expect([...attempts.keys()].sort()).toEqual(winners);
    }
    expect(committed(next)).toEqual(whole);
  });

  test("is as any other when a later run of the day comes: found outputs are kept", () => {
    const next = afterLoss(halfDone());
    next.work();
    next.submit("usage", { rerun: true, requestId: "again" });
    expect(next.work().map((work) => work.kind)).toEqual(["reduce", "reduce"]);
  });

  test("finds streams of a later generation", () => {
    const old = halfDone();
    const { streams, accounts } = old.memory;
    for (const [name, attempts] of [...streams]) {
      streams.set(name.replace("_n1_", "_n3_"), attempts);
      streams.set(name, new Map());
    }
    for (const [attemptId, { stream, text }] of [...accounts]) {
      accounts.set(attemptId, { stream: stream.replace("_n1_", "_n3_"), text });
    }
    const next = afterLoss(old);
    expect(mapFiles(next)).toEqual(["part-2.csv", "part-3.csv"]);
    const used = next.state.durable.kept.values().next().value?.exchanges[0]?.streams ?? [];
    expect(used.every((stream) => stream.includes("_n3_"))).toBe(true);
    expect(committed(next)).toEqual(whole);
  });

  test("runs a scan again whose rows are not there: the reader says so, and no row is missing", () => {
    const old = halfDone();
    const next = afterLoss(old);
    const attempts = [...old.memory.accounts.keys()];
    const stream = [...old.memory.streams.values()][1];
    stream?.delete(attempts[0] ?? "");
    for (let round = 0; round < 20; round++) {
      for (const task of next.takeTasks()) next.finish(task);
      next.pass(300, [1]);
    }
    expect(next.run()).toMatchObject({ state: "committed" });
    expect(committed(next)).toEqual(whole);
  });

  test("goes on without, when the exchange can't be looked at", () => {
    const refused = failure("badRequest", "no such thing here");
    const next = afterLoss(halfDone(), (bench) => {
      bench.override = (ask) =>
        ask.kind === "readCompletions" ? { kind: "failed", failure: refused } : undefined;
    });
    expect(mapFiles(next)).toHaveLength(4);
    expect(committed(next)).toEqual(whole);
  });

  test("goes on without, when some of its streams are gone with their machine", () => {
    const old = halfDone();
    const [gone = ""] = old.memory.streams.keys();
    const away = failure("unavailable", "nobody answers", { stream: gone });
    const next = afterLoss(old, (bench) => {
      bench.override = (ask) =>
        "streams" in ask && ask.streams.includes(gone)
          ? { kind: "failed", failure: away }
          : undefined;
    });
    next.pass(limits.exchangeUnreachableMs / 2, [1]);
    expect(next.run()).toMatchObject({ state: "planning" });
    next.pass(limits.exchangeUnreachableMs, [1]);
    expect(mapFiles(next)).toHaveLength(4);
    expect(committed(next)).toEqual(whole);
    const used = next.state.durable.kept.values().next().value?.exchanges[0]?.streams ?? [];
    expect(used.every((stream) => stream.includes("_n2_"))).toBe(true);
  });

  test("keeps what it found, also where its removal was only waiting for its time", () => {
    const next = afterLoss(halfDone(), (bench) => {
      bench.hold = (ask) => ask.kind === "readCompletions";
    });
    const attempts = [...next.memory.accounts.keys()];
    const streams = [...next.memory.streams.keys()];
    const ask = { kind: "purgeStreams" as const, id: 0, streams, attempts };
    const at = next.at + limits.purgeAfterMs;
    next.state.retries.push({ ask, purpose: { kind: "background" }, tries: 0, at });
    next.hold = () => false;
    next.release();
    next.pass(limits.purgeAfterMs + 1_000, [1]);
    for (const written of next.memory.streams.values()) {
      expect([...written.keys()]).toEqual(attempts);
    }
    expect(mapFiles(next)).toEqual(["part-2.csv", "part-3.csv"]);
  });

  test("can be cancelled during the look", () => {
    const next = afterLoss(halfDone(), (bench) => {
      bench.hold = (ask) => ask.kind === "readCompletions";
    });
    expect(next.cancel(run)).toMatchObject({ kind: "cancelled" });
    next.hold = () => false;
    next.release();
    expect(next.run()).toMatchObject({ state: "cancelled" });
    expect(next.takeTasks()).toEqual([]);
  });
});

describe("side files of a found output", () => {
  test("that still lie in the run's staging come with it, and into the manifest", () => {
    const old = halfDone(rejectsPath);
    old.memory.files.set(rejectsPath, ["bad line"]);
    const next = afterLoss(old);
    expect(mapFiles(next)).toEqual(["part-2.csv", "part-3.csv"]);
    const { rejectFiles = [] } = next.memory.manifests.get(run) ?? {};
    expect(rejectFiles).toHaveLength(2);
    for (const path of rejectFiles) {
      expect(path).toContain("revisions/");
      expect(next.memory.files.get(path)).toEqual(["bad line"]);
    }
    const [kept] = next.state.durable.kept.values();
    const finals = [...(kept?.outputs.values() ?? [])].flatMap((one) => one.rejectsFile ?? []);
    expect(finals).toEqual(rejectFiles);
  });

  test("that are gone, or another run's, make it useless: the files are read again", () => {
    expect(mapFiles(afterLoss(halfDone(rejectsPath)))).toHaveLength(4);
    const other = `staging/usage.${day}.r9/s0-0-a/rejects.parquet`;
    const old = halfDone(other);
    old.memory.files.set(other, ["bad line"]);
    expect(mapFiles(afterLoss(old))).toHaveLength(4);
  });

  test("that no task had taken when the run was cancelled go with it: the files are read again", () => {
    const old = halfDone(rejectsPath);
    old.memory.files.set(rejectsPath, ["bad line"]);
    const next = afterLoss(old, (bench) => {
      bench.hold = (ask) => ask.kind === "ensureStreams";
    });
    const [found] = next.state.durable.kept.values();
    expect(found?.outputs.size).toBe(2);
    next.cancel(run);
    next.hold = () => false;
    next.release();
    expect(next.run()).toMatchObject({ state: "cancelled" });
    expect(next.memory.stagedRuns()).toEqual([]);
    next.submit("usage", { rerun: true, requestId: "again" });
    expect(mapFiles(next)).toHaveLength(4);
    expect(next.memory.manifests.get(`usage.${day}.r2`)?.rejectFiles).toEqual([]);
  });

  test("are not swept, nor are the streams, before the run is created again", () => {
    const old = halfDone(rejectsPath);
    old.memory.files.set(rejectsPath, ["bad line"]);
    const next = afterLoss(old, (bench) => {
      bench.hold = (ask) => ask.kind === "planJob";
    });
    next.pass(2 * limits.spaceLookEveryMs);
    expect(next.memory.droppedStaging).toEqual([]);
    expect(next.memory.streams.size).toBe(2);
    next.hold = () => false;
    next.release();
    next.attach(2);
    expect(mapFiles(next)).toEqual(["part-2.csv", "part-3.csv"]);
    next.pass(2 * limits.spaceLookEveryMs);
    expect(next.memory.droppedStaging).toContain(run);
  });
});

describe("a journal that lost a part", () => {
  /** The record that says that the first scans are done is missing in the middle. */
  function withGap(): { next: Bench; done: readonly SentTask[] } {
    const old = new Bench().lead();
    old.attach(1);
    old.submit();
    const from = old.memory.journalLast;
    const done = old.takeTasks();
    for (const task of done) old.finish(task);
    const to = old.memory.journalLast;
    old.submit("usage", { requestId: "one more fact" });
    old.memory.journal = old.memory.journal.filter(
      ({ sequence }) => sequence <= from || sequence > to,
    );
    const next = new Bench(old.memory, "c2");
    next.at = old.at;
    return { next: next.lead(), done };
  }

  test("is completed from the exchange: the run goes on with the scans that were done", () => {
    const { next } = withGap();
    // The dead leader's executor never comes back; its attempts are given up in time.
    next.pass(limits.executorLostMs + 1_000);
    next.attach(2);
    expect(mapFiles(next)).toEqual(["part-2.csv", "part-3.csv"]);
    expect(committed(next)).toEqual(whole);
  });

  test("does not have the rows of an attempt removed that was given up and found again", () => {
    const { next, done } = withGap();
    next.pass(limits.executorLostMs + 1_000);
    next.attach(2);
    for (const task of next.takeTasks()) next.finish(task);
    expect(next.run().stages[0]).toMatchObject({ done: 4, reused: 2 });
    expect(next.takeTasks().map(({ work }) => work.kind)).toEqual(["reduce", "reduce"]);
    next.pass(limits.purgeAfterMs + 1_000, [2]);
    // Its executor was only slow to come back, and reports it once more.
    next.attach(1, { runningAttempts: done.map(({ attemptId }) => attemptId) });
    for (const one of done) next.finish({ ...one, connection: 1 });
    next.pass(limits.purgeAfterMs + 1_000, [1, 2]);
    for (const attempts of next.memory.streams.values()) {
      for (const { attemptId } of done) expect([...attempts.keys()]).toContain(attemptId);
    }
  });

  test("does not have removed what it knows to be kept, whose account says an old place", () => {
    const old = new Bench().lead();
    old.attach(1);
    old.rejectsFile = rejectsPath;
    old.submit();
    old.work();
    const next = new Bench(old.memory, "c2");
    next.at = old.at;
    next.state.journalWentBack = true;
    next.lead();
    next.attach(1, { incarnation: 2 });
    next.submit("usage", { rerun: true, requestId: "again" });
    next.pass(limits.purgeAfterMs + 1_000, [1]);
    expect(next.work().map((work) => work.kind)).toEqual(["reduce", "reduce"]);
    const lefts = [...next.memory.streams.values()].map((attempts) => attempts.size);
    expect(lefts).toEqual([4, 4]);
  });

  test("under a leader that saw it go back, and leads again", () => {
    const bench = halfDone();
    // The server lost what it had not synced: the last two records.
    bench.memory.journalLast -= 2;
    bench.memory.journal = bench.memory.journal.filter(
      ({ sequence }) => sequence <= bench.memory.journalLast,
    );
    bench.submit("usage", { requestId: "another" });
    bench.takeTasks();
    expect(bench.state.role.kind).toBe("standby");
    bench.lead();
    expect(bench.state.journalLost).toBe(true);
    bench.pass(limits.executorLostMs + 1_000);
    bench.attach(2, { incarnation: 2 });
    expect(mapFiles(bench)).toEqual(["part-2.csv", "part-3.csv"]);
    expect(committed(bench)).toEqual(whole);
  });
});

describe("a found output that takes the place of one that was read and dropped", () => {
  test("with other rows has its readers run again", () => {
    const bench = new Bench().lead();
    bench.attach(1);
    bench.submit();
    let reduces: SentTask[] = [];
    while (reduces.length === 0) {
      const tasks = bench.takeTasks();
      reduces = tasks.filter((task) => task.work.kind === "reduce");
      for (const task of tasks) if (task.work.kind === "map") bench.finish(task);
    }
    const [first, second] = reduces;
    if (first === undefined || second === undefined) throw new Error("two reduces");
    bench.finish(first);
    const lost = first.delivery.inputs[0]?.winners[0]?.attemptId ?? "";
    const detail = { attempt: lost, stream: "x" };
    const { durable } = bench.state;
    const [keptScope = ""] = durable.kept.keys();
    const before = [...(durable.kept.get(keptScope)?.outputs.values() ?? [])];
    const was = before.find((one) => one.attemptId === lost);
    bench.hold = (ask) => ask.kind === "ensureStreams";
    bench.fail(second, failure("exchangeShort", "rows are missing", detail));
    const task = durable.runs
      .get(run)
      ?.stages[0]?.tasks.findIndex((one) => one.result === undefined);
    expect(bench.run().stages[1]).toMatchObject({ done: 1 });
    if (was === undefined || task === undefined) throw new Error("it was kept");
    const outputs = was.outputs.map((one) => ({ ...one, checksum: "another" }));
    durable.kept.get(keptScope)?.outputs.set(was.mapKey ?? "", { ...was, outputs });
    bench.hold = () => false;
    bench.release();
    expect(bench.run().stages[0]).toMatchObject({ done: 4, reused: 1 });
    expect(bench.run().stages[1]).toMatchObject({ done: 0 });
  });
});
