/**
 * A leader that is paused past its lease, exactly before a named act, and woken after a standby has committed a newer
 * revision: what it was about to do must fail, and it must become a standby.
 */
import type { CoordinatorHandle } from "../../client/local-cluster.ts";
import type { Draw } from "./draw.ts";
import { addStandby, stoppedLeader, wakeZombie } from "./leader.ts";
import { midMap } from "./positions.ts";
import type { Fault, Plan, Scenario } from "./scenario.ts";
import { killExecutor } from "./scenarios-kill.ts";

interface Point {
  readonly name: string;
  readonly proves: string;
  /** Which one of these acts, within what a day surely does. */
  readonly nth: (draw: Draw) => number;
  /** Faults without which it would never come to the act. */
  readonly first?: (draw: Draw) => Fault;
}

const points: readonly Point[] = [
  {
    name: "append",
    proves: "a paused leader's append fails: the journal's next sequence is taken",
    nth: (draw) => draw.between(4, 12),
  },
  {
    name: "dispatch",
    proves: "a paused leader's command is refused by executors that obey a higher epoch",
    nth: (draw) => draw.between(2, 20),
  },
  {
    name: "link",
    proves: "a paused leader cannot create the manifest of a revision any more",
    nth: () => 1,
  },
  {
    name: "rename",
    proves: "a paused leader cannot move what readers see back to its revision",
    nth: () => 1,
  },
  {
    name: "delete",
    proves: "a paused leader's clean-up removes nothing that a newer run stands on",
    nth: (draw) => draw.between(1, 2),
  },
  {
    name: "purge",
    proves: "a paused leader's purge of a lost attempt takes no rows of a winner",
    nth: () => 1,
    first: (draw) => killExecutor(midMap(draw.between(1, 6), 12), draw.between(0, 1)),
  },
];

export const pauseScenarios: readonly Scenario[] = points.map(({ name, proves, nth, first }) => ({
  name: `pause-${name}`,
  proves,
  plan: (draw): Plan => {
    const count = nth(draw);
    let zombie: { handle: CoordinatorHandle; epoch: number } | undefined;
    const paused: Fault = {
      when: `exactly before its ${name} number ${count}`,
      due: (_, world) => stoppedLeader(world),
      mayComeAfterTheEnd: true,
      what: "a pause of the leader",
      inject: async (world, { epoch }) => {
        zombie = { handle: world.leader(), epoch };
        return zombie.handle.id;
      },
      recovered: (seen, mark) => seen.epoch > mark.epoch,
    };
    return {
      shape: { coordinators: 1, stop: `before-${name}:${count}` },
      before: addStandby,
      faults: first === undefined ? [paused] : [first(draw), paused],
      after: async (world) => {
        if (zombie !== undefined) await wakeZombie(world, zombie);
      },
    };
  },
}));
