/** Lines that scans put aside, in files of their own: with each revision of a day each of them once, whatever was lost. */
import { expect, test } from "vitest";
import { Bench, day, type SentTask } from "./bench.ts";

const all = ["part-0.csv", "part-1.csv", "part-2.csv", "part-3.csv"];

/** Every scan puts a line aside that says which file it is of. */
function finish(bench: Bench, task: SentTask | undefined): void {
  if (task === undefined) throw new Error("a task was sent");
  if (task.work.kind === "map") {
    bench.rejectsFile = `${task.delivery.stagingDir}/rejects.parquet`;
    const names = task.work.split.files.map(({ path }) => path.slice(path.lastIndexOf("/") + 1));
    bench.memory.files.set(bench.rejectsFile, names);
  }
  bench.finish(task);
  bench.rejectsFile = undefined;
}

/** Kinds of the works that were done. */
function finishAll(bench: Bench): string[] {
  const kinds: string[] = [];
  for (let tasks = bench.takeTasks(); tasks.length > 0; tasks = bench.takeTasks()) {
    for (const task of tasks) finish(bench, task);
    kinds.push(...tasks.map(({ work }) => work.kind));
  }
  return kinds;
}

/** What a revision names as put aside. */
function aside(bench: Bench, revision: number): string[] {
  const { rejectFiles = [] } = bench.memory.manifests.get(`usage.${day}.r${revision}`) ?? {};
  return rejectFiles.flatMap((path) => bench.memory.files.get(path) ?? ["gone"]).sort();
}

/** Leads next, with a journal that has lost what `isLost` says. */
function successor(old: Bench, isLost: (text: string, sequence: number) => boolean): Bench {
  const { memory } = old;
  memory.journal = memory.journal.filter(({ text, sequence }) => !isLost(text, sequence));
  const next = new Bench(memory, "c2");
  next.at = old.at;
  next.lead();
  next.attach(1, { incarnation: 2 });
  return next;
}

test("a leader that lost results of a committed run gives no output the lines of another one", () => {
  const old = new Bench().lead();
  old.attach(1);
  old.submit();
  const [first, second] = old.takeTasks();
  finish(old, second);
  const { journalLast } = old.memory;
  finish(old, first);
  finishAll(old);
  expect(aside(old, 1)).toEqual(all);
  old.memory.journalLast = journalLast;
  const next = successor(old, (_, sequence) => sequence > journalLast);
  expect(next.run()).toMatchObject({ state: "committed" });
  next.submit("usage", { rerun: true, requestId: "again" });
  finishAll(next);
  expect(aside(next, 2)).toEqual(all);
});

/** The second run of a day has taken up what the first one gave, and is about to reduce it. */
function secondRun(): Bench {
  const bench = new Bench().lead();
  bench.attach(1);
  bench.submit();
  finishAll(bench);
  bench.submit("usage", { rerun: true, requestId: "again" });
  expect(bench.run(2).stages[0]).toMatchObject({ reused: 4 });
  return bench;
}

test("a run that took up outputs follows their files when the end of their run is known late", () => {
  const next = successor(secondRun(), (text) => text.includes('"runCommitted"'));
  expect(finishAll(next)).toEqual(["reduce", "reduce"]);
  expect(aside(next, 2)).toEqual(all);
  expect(next.memory.manifests.get(`usage.${day}.r2`)?.rejectFiles).toEqual(
    next.memory.manifests.get(`usage.${day}.r1`)?.rejectFiles,
  );
});

test("and reads again what it took up when nobody knows any more whose files are whose", () => {
  let results = 0;
  const next = successor(secondRun(), (text) => {
    const isResult = text.includes('"attemptDone"') && ++results === 2;
    return isResult || text.includes('"runCommitted"');
  });
  expect(finishAll(next)).toEqual(["map", "map", "map", "map", "reduce", "reduce"]);
  expect(next.run(2)).toMatchObject({ state: "committed", rowsIn: 40 });
  expect(aside(next, 2)).toEqual(all);
});
