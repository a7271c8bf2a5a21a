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
  /** Which act, and which one of these within what a day surely does: `append:5`. */
  readonly act: (draw: Draw) => string;
  /** Faults without which it would never come to the act. */
  readonly first?: (draw: Draw) => Fault;
}

const points: readonly Point[] = [
  {
    name: "append",
    proves: "a paused leader's append fails: the journal's next sequence is taken",
    act: (draw) => `append:${draw.between(4, 12)}`,
  },
  {
    name: "dispatch",
    proves: "a paused leader's command is refused by executors that obey a higher epoch",
    act: (draw) => `dispatch:${draw.between(2, 20)}`,
  },
  {
    name: "link",
    proves: "a paused leader cannot bring a file to its place nor create a manifest any more",
    act: (draw) => draw.pick([`link:${draw.between(1, 8)}`, "manifest:1"]),
  },
  {
    name: "rename",
    proves: "a paused leader cannot move what readers see back to its revision",
    // The first two are the job and the request: the client itself would wait for those.
    act: (draw) => draw.pick([`rename:${draw.between(3, 13)}`, "view:1"]),
  },
  {
    name: "delete",
    proves: "a paused leader's clean-up removes nothing that a newer run stands on",
    act: (draw) => draw.pick([`delete:${draw.between(1, 3)}`, "drop:1"]),
  },
  {
    name: "purge",
    proves: "a paused leader's purge of a lost attempt takes no rows of a winner",
    act: () => "purge:1",
    first: (draw) => ({
      ...midMap(draw.between(1, 6), 12),
      ...killExecutor(draw.between(0, 1)),
    }),
  },
];

export const pauseScenarios: readonly Scenario[] = points.map(({ name, proves, act, first }) => ({
  name: `pause-${name}`,
  proves,
  plan: (draw): Plan => {
    const stop = act(draw);
    let zombie: { handle: CoordinatorHandle; epoch: number } | undefined;
    const paused: Fault = {
      when: `exactly before ${stop}`,
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
      shape: { coordinators: 1, stops: [`before-${stop}`] },
      before: addStandby,
      faults: first === undefined ? [paused] : [first(draw), paused],
      after: async (world) => {
        if (zombie !== undefined) await wakeZombie(world, zombie);
      },
    };
  },
}));
