/**
 * What goes wrong in the work itself: a worker that hangs, a file that kills workers, a file that is broken, a full
 * disk, files that come late or twice.
 */
import {
  copyFileSync,
  existsSync,
  readFileSync,
  renameSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import type { Run } from "../../coordinator/core/durable.ts";
import { fail } from "../../shared/kernel/failure.ts";
import { type Held, holdWorker } from "./hold.ts";
import type { JournalView } from "./journal-watch.ts";
import { pause } from "./journal-watch.ts";
import { hasSeen, midMap, runningOn } from "./positions.ts";
import { childrenOf, hasOpen } from "./processes.ts";
import {
  type Fault,
  insist,
  movesUnderNewLeader,
  type Plan,
  type Scenario,
  skip,
} from "./scenario.ts";
import { killLeader } from "./scenarios-kill.ts";
import type { World } from "./world.ts";

const hangWorker: Scenario = {
  name: "hang-worker",
  proves: "a worker that hangs in the middle of its task does not hold up the day",
  plan: (draw) => {
    const victim = `executor-${draw.between(1, 2)}`;
    const nth = draw.between(2, 4);
    let hung: (Held & { readonly task: string }) | undefined;
    return {
      faults: [
        {
          when: `while ${victim} runs its map task ${nth}`,
          due: (view) => started(view, victim) >= nth && runningOn(view, victim).length > 0,
          what: "a worker stops moving (SIGSTOP)",
          inject: async (world) => {
            const held = await holdWorker(world, (view) => runningOn(view, victim));
            if (held === undefined) throw fail("conflict", `${victim} was in no attempt any more`);
            hung = { ...held, task: taskOf(world.view, held.attempt) };
            return `process ${held.pid} of ${victim}`;
          },
          missed: (view) => !runningOn(view, victim).includes(hung?.attempt ?? ""),
          recovered: (seen) =>
            seen.fact.kind === "attemptDone" && placeText(seen.about) === hung?.task,
        },
      ],
      withinMs: 90_000,
      after: async ({ view }) => {
        const done = view.seen.find(({ fact, about }) => {
          return fact.kind === "attemptDone" && placeText(about) === hung?.task;
        });
        const where = done?.about?.executor ?? victim;
        insist(where !== victim, `what hung on ${victim} was done by ${done?.about?.attemptId}`);
      },
    };
  },
};

function started(view: JournalView, executor: string): number {
  return view.seen.filter(({ fact }) => {
    return fact.kind === "attemptStarted" && fact.executor === executor;
  }).length;
}

function taskOf(view: JournalView, attemptId: string): string {
  return placeText(view.durable.attempts.get(attemptId));
}

function placeText(place: { run: string; stage: number; task: number } | undefined): string {
  return place === undefined ? "" : `${place.run} ${place.stage} ${place.task}`;
}

const poisonGzip: Scenario = {
  name: "poison-gzip",
  proves:
    "a gzip file that is cut in the middle fails the run by name; made whole, the day is done",
  plan: (draw) => {
    const nth = draw.between(0, 11);
    let file = "";
    let whole = Buffer.alloc(0);
    const path = (world: World) => join(world.root, file);
    return {
      shape: { gzip: true },
      before: async (world) => {
        file = nthOf(await world.lineFiles(), nth);
        whole = readFileSync(path(world));
        truncateSync(path(world), Math.floor(whole.length / 2));
      },
      faults: [
        {
          when: "from the beginning",
          due: () => true,
          mayComeAfterTheEnd: true,
          what: "a gzip file cut in the middle",
          inject: async () => file,
          recovered: (seen) => seen.fact.kind === "runEnded",
        },
      ],
      ends: "failed",
      after: async (world, run) => {
        const why = world.run(run)?.ended?.failure;
        insist(
          why?.message.includes(file) ?? false,
          `the failure does not name ${file}: ${why?.message}`,
        );
        nothingVisible(world);
        writeFileSync(path(world), whole);
        await world.runEnds(await world.submit(), "committed");
      },
    };
  },
};

function nothingVisible(world: World): void {
  const shown = join(world.root, "current", world.job.spec.name, world.day);
  insist(!existsSync(shown), `${shown} shows something of a failed run`);
}

/** Of a day that may have fewer. */
function nthOf(files: readonly [string, ...string[]], nth: number): string {
  return files[nth % files.length] ?? files[0];
}

const poisonCrash: Scenario = {
  name: "poison-crash",
  proves:
    "a file at which every worker dies fails the run by name after a bounded number of attempts",
  plan: (draw) => {
    const nth = draw.between(0, 3);
    let file = "";
    const killed = new Set<string>();
    return {
      shape: { files: 4, longer: 4 },
      before: async (world) => {
        file = nthOf(await world.lineFiles(), nth);
      },
      faults: [
        {
          when: "at every attempt with one file",
          due: (view) => hasSeen(view, "attemptStarted"),
          what: "kill -9 of each worker that reads it",
          inject: async (world) => {
            const isOver = () => [...world.view.durable.runs.values()].every((run) => run.ended);
            await world.wait("the run to give up the file", (view) => {
              killReader(view, world, file, killed);
              return isOver();
            });
            return `${killed.size} kills, ${file}`;
          },
          recovered: (seen) => seen.fact.kind === "runEnded",
        },
      ],
      ends: "failed",
      after: async (world, run) => {
        const why = world.run(run)?.ended?.failure;
        insist(why?.code === "workerLost", `the run failed with ${why?.code}: ${why?.message}`);
        insist(
          why?.message.includes(file) ?? false,
          `the failure does not name ${file}: ${why?.message}`,
        );
        insist(killed.size === 4, `${killed.size} workers were killed, 4 attempts were to be made`);
        nothingVisible(world);
        await world.runEnds(await world.submit(), "committed");
      },
    };
  },
};

/** Kills a worker that has the file open, once for each attempt. A worker that is only starting has not read it. */
function killReader(view: JournalView, world: World, file: string, killed: Set<string>): void {
  const path = join(world.root, file);
  for (const [id, attempt] of view.durable.attempts) {
    const stage = view.durable.runs.get(attempt.run)?.stages[attempt.stage];
    if (attempt.state !== "running" || killed.has(id)) continue;
    if (stage?.splits[attempt.task]?.files[0]?.path !== file) continue;
    const { pid } = world.executor(attempt.executor);
    const reader = childrenOf(pid).find((worker) => hasOpen(worker, path));
    if (reader === undefined) continue;
    killed.add(id);
    process.kill(reader, "SIGKILL");
  }
}

const fullDisk: Scenario = {
  name: "full-disk",
  proves:
    "while storage is full nothing is half-visible and the error says so; with space the day commits",
  plan: (draw) => {
    const fullMs = draw.between(3_000, 8_000);
    return {
      shape: { storageBytes: 96 * 1024 * 1024 },
      faults: [
        {
          ...midMap(draw.between(1, 8), 12),
          what: `storage filled to the last byte, for ${fullMs} ms after the first error`,
          inject: fillUntilTold(fullMs),
          recovered: (seen) =>
            seen.fact.kind === "attemptDone" || seen.fact.kind === "runCommitted",
        },
      ],
    };
  },
};

function fillUntilTold(fullMs: number): Fault["inject"] {
  return async (world, _, struck) => {
    const bytes = world.disk.fill();
    const isFull = (view: JournalView) =>
      view.seen.some(({ fact }) => {
        return fact.kind === "attemptFailed" && fact.failure.code === "storageFull";
      });
    try {
      await struck();
      await world.wait("an attempt that finds the disk full", isFull);
      await pause(fullMs);
      const ended = [...world.view.durable.runs.values()].some((run) => run.ended !== undefined);
      insist(!ended, "the run ended while the disk was full");
      nothingVisible(world);
    } finally {
      world.disk.empty();
    }
    return `${bytes} bytes of ballast`;
  };
}

const lateFile: Scenario = {
  name: "late-file",
  proves: "a file that comes after the commit costs its own map work and the reduces",
  plan: (draw) => {
    const nth = draw.between(0, 11);
    let path = "";
    return {
      before: async (world) => {
        path = join(world.root, nthOf(await world.lineFiles(), nth));
        renameSync(path, `${path}.held`);
      },
      ...delivered("a late file", 1, async () => {
        renameSync(`${path}.held`, path);
        return path;
      }),
    };
  },
};

/** A file comes after the commit, one `more` than there were or none; a rerun maps that one alone. */
function delivered(
  what: string,
  more: number,
  deliver: (world: World) => Promise<string>,
): Pick<Plan, "faults" | "after"> {
  return {
    faults: [
      {
        when: "after the commit",
        due: (view) => hasSeen(view, "runCommitted"),
        mayComeAfterTheEnd: true,
        what,
        inject: async (world) => relative(world.root, await deliver(world)),
      },
    ],
    after: (world, run) => rerunReads(world, run, more),
  };
}

const sentTwice: Scenario = {
  name: "file-sent-twice",
  proves: "a file that is delivered a second time, under its name or another, changes no result",
  plan: (draw) => {
    const nth = draw.between(0, 11);
    // Before its original in the order of the paths, so that it counts, or after it.
    const isFirst = draw.between(0, 1) === 0;
    let path = "";
    return {
      before: async (world) => {
        const file = nthOf(await world.lineFiles(), nth);
        path = join(world.root, file);
        const name = basename(path).replace(".", isFirst ? "-again." : "_again.");
        deliverCopy(path, join(dirname(path), name));
        const isListed = (await world.lineFiles()).includes(join(dirname(file), name));
        if (!isListed) throw skip(`the job does not take ${name} beside ${file}`);
      },
      faults: [
        {
          when: "as soon as one of the two files is left out",
          due: (view) => hasSeen(view, "filesDropped"),
          what: "kill -9 of the leader",
          inject: killLeader,
          recovered: movesUnderNewLeader,
        },
      ],
      after: async (world, id) => {
        const run = await world.ask((client) => client.run(id));
        const named = run.warnings.filter((warning) => warning.startsWith("duplicate file: "));
        insist(named.length === 1, `the run says of its duplicates: ${named.join("; ")}`);
        await rerunMaps(world, 0);
        deliverCopy(path, path);
        // Nobody can know that the new one holds what the old one did: where that one counted, its copy is read, too.
        await rerunMaps(world, isFirst ? 1 : 2);
      },
    };
  },
};

function deliverCopy(from: string, to: string): void {
  copyFileSync(from, `${to}.part`);
  renameSync(`${to}.part`, to);
}

/** A rerun maps so many files; the outputs of all others are taken as they are. */
async function rerunMaps(world: World, mapped: number): Promise<void> {
  const rerun = scans(await world.runEnds(await world.submit({ rerun: true }), "committed"));
  const got = `${rerun.tasks} map tasks, ${rerun.reused} of them re-used`;
  insist(rerun.reused === rerun.tasks - mapped, `the rerun had ${got}`);
}

/** A rerun maps one file; the outputs of all others are taken as they are. */
async function rerunReads(world: World, first: string, more: number): Promise<void> {
  const before = scans(world.run(first));
  const rerun = scans(await world.runEnds(await world.submit({ rerun: true }), "committed"));
  const got = `${rerun.tasks} map tasks, ${rerun.reused} of them re-used, after ${before.tasks}`;
  const isRight = rerun.tasks === before.tasks + more && rerun.reused === rerun.tasks - 1;
  insist(isRight, `the rerun had ${got}`);
}

function scans(run: Run | undefined): { readonly tasks: number; readonly reused: number } {
  const stages = run?.ended?.stages.filter(({ label }) => label.startsWith("scan")) ?? [];
  const sum = (of: (stage: (typeof stages)[number]) => number) =>
    stages.reduce((total, stage) => total + of(stage), 0);
  return { tasks: sum(({ tasks }) => tasks), reused: sum(({ reused }) => reused) };
}

const submitTwice: Scenario = {
  name: "request-sent-twice",
  proves: "the same request, sent again before and after a change of leader, is the same run",
  plan: (draw) => {
    const requestId = `chaos-${draw.between(1, 1_000_000)}`;
    let before = "";
    return {
      before: async (world) => {
        before = await world.submit({ requestId });
      },
      faults: [
        {
          ...midMap(draw.between(1, 6), 12),
          what: "the request again, a kill -9 of the leader, the request again",
          inject: async (world, mark, struck) => {
            const again = await world.submit({ requestId });
            insist(again === before, `${requestId} gave ${before}, then ${again}`);
            await world.kill(world.leader().pid);
            await struck();
            await world.wait("another leader", (view) => view.epoch > mark.epoch);
            const late = await world.submit({ requestId });
            insist(late === before, `${requestId} gave ${before}, under the next leader ${late}`);
            return requestId;
          },
          recovered: movesUnderNewLeader,
        },
      ],
      after: async (world) => {
        const { size } = world.view.durable.runs;
        insist(size === 1, `${size} runs came of one request`);
      },
    };
  },
};

export const workScenarios: readonly Scenario[] = [
  hangWorker,
  poisonGzip,
  poisonCrash,
  fullDisk,
  lateFile,
  sentTwice,
  submitTwice,
];
