/**
 * Processes that die: the leader at each phase of a run, executors one after the other, everything at once.
 */
import { addStandby, stoppedLeader } from "./leader.ts";
import { nothingDoneAgain } from "./phases.ts";
import {
  busyExecutor,
  finished,
  hasSeen,
  midMap,
  midReduce,
  midRun,
  runningOn,
} from "./positions.ts";
import { type Fault, insist, isProgress, movesUnderNewLeader, type Scenario } from "./scenario.ts";
import type { World } from "./world.ts";

export async function killLeader(world: World): Promise<string> {
  // At a chosen time nobody may lead.
  await world.wait("a leader that can be killed", () => world.hasLeader());
  const { id, pid } = world.leader();
  await world.kill(pid);
  return id;
}

const leaderMidMap: Scenario = {
  name: "kill-leader-mid-map",
  proves: "a standby goes on with the map stage: nothing that was done is done again",
  plan: (draw) => ({
    faults: [
      {
        ...midMap(draw.between(1, 8), 12),
        what: "kill -9 of the leader",
        inject: killLeader,
        recovered: movesUnderNewLeader,
      },
    ],
    after: nothingDoneAgain,
  }),
};

const leaderMidReduce: Scenario = {
  name: "kill-leader-mid-reduce",
  proves: "a standby goes on with the reduce stages, from map outputs that are in the exchange",
  plan: (draw) => ({
    faults: [
      {
        ...midReduce(draw.between(1, 4)),
        what: "kill -9 of the leader",
        inject: killLeader,
        recovered: movesUnderNewLeader,
      },
    ],
    after: nothingDoneAgain,
  }),
};

const leaderMidCommit: Scenario = {
  name: "kill-leader-mid-commit",
  proves: "a commit that was begun becomes exactly one manifest, and readers see all of it",
  plan: (draw) => {
    const point = draw.pick([`link:${draw.between(1, 8)}`, "manifest:1", "view:1"]);
    return {
      shape: { coordinators: 1, stops: [`before-${point}`] },
      before: addStandby,
      faults: [
        {
          when: `when it had started to commit, exactly before ${point}`,
          due: (view, world) => hasSeen(view, "commitStarted") && stoppedLeader(world),
          what: "kill -9 of the leader",
          inject: killLeader,
          missed: (view) => hasSeen(view, "runCommitted"),
          recovered: movesUnderNewLeader,
        },
      ],
    };
  },
};

/** The executor dies; recovery is the first new attempt of what it was doing. */
export function killExecutor(nth: number): Required<Pick<Fault, "what" | "inject" | "recovered">> {
  let lost: ReadonlySet<string> = new Set();
  return {
    what: "kill -9 of an executor",
    inject: async (world) => {
      const victim = busyExecutor(world, nth);
      if (victim === undefined) return "none is left";
      await world.kill(victim.pid);
      await world.watch.refresh();
      const ids = runningOn(world.view, victim.id);
      lost = new Set(ids.map((id) => taskOf(world, id)));
      return `${victim.id}, which ran ${ids.length} attempts`;
    },
    recovered: (seen) => {
      if (lost.size === 0) return isProgress(seen);
      const { fact } = seen;
      return fact.kind === "attemptStarted" && lost.has(`${fact.run} ${fact.stage} ${fact.task}`);
    },
  };
}

function taskOf(world: World, attemptId: string): string {
  const attempt = world.view.durable.attempts.get(attemptId);
  return `${attempt?.run} ${attempt?.stage} ${attempt?.task}`;
}

const executorsOneByOne: Scenario = {
  name: "kill-executors",
  proves: "executors die one after the other until one is left, and that one finishes the day",
  plan: (draw) => {
    const first = draw.between(1, 4);
    const second = first + draw.between(2, 6);
    const third = second + draw.between(3, 9);
    return {
      shape: { executors: 4 },
      faults: [first, second, third].map((nth) => ({
        ...midRun(nth),
        ...killExecutor(draw.between(0, 3)),
      })),
      after: async (world) => {
        const { length } = world.cluster.executors;
        insist(length === 1, `${length} executors live, one was to be left`);
      },
    };
  },
};

const everything: Scenario = {
  name: "kill-everything",
  proves: "all processes die at once and start again: the day goes on from the journal",
  plan: (draw) => {
    const position = draw.pick([midMap(draw.between(2, 8), 12), midReduce(draw.between(1, 4))]);
    let done = 0;
    return {
      faults: [
        {
          ...position,
          what: "kill -9 of every process, then a start of all",
          inject: async (world) => {
            done = finished(world.view, "scan");
            await world.cluster.restartAll();
            return undefined;
          },
          recovered: movesUnderNewLeader,
        },
      ],
      after: async (world) => {
        const again = repeatedWinners(world);
        insist(again === 0, `${again} of ${done} finished map tasks were done again`);
      },
    };
  },
};

/** Map tasks with more than one winner in one journal. */
function repeatedWinners(world: World): number {
  const winners = world.view.seen.filter(
    ({ fact, about }) => fact.kind === "attemptDone" && about?.kind === "scan",
  ).length;
  return winners - finished(world.view, "scan");
}

export const killScenarios: readonly Scenario[] = [
  leaderMidMap,
  leaderMidReduce,
  leaderMidCommit,
  executorsOneByOne,
  everything,
];
