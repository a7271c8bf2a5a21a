/**
 * Random mode: each round is one day with a few faults of any kind at any position, all drawn from the round's seed.
 * A budget keeps the cluster able to finish: what it allows must never cost the day.
 */
import type { Draw } from "./draw.ts";
import { pause } from "./journal-watch.ts";
import { finished, hasSeen } from "./positions.ts";
import { childrenOf } from "./processes.ts";
import { type Fault, movesUnderNewLeader, type Scenario } from "./scenario.ts";
import { killExecutor, killLeader } from "./scenarios-kill.ts";
import { allWiped, disturb, natsAway } from "./scenarios-nats.ts";
import type { World } from "./world.ts";

/** What one round may spend. A run stands more; it is a bound on how long a round takes. */
export const faultBudget = { points: 6, faults: 4 } as const;

const executors = 3;

export interface FaultKind {
  readonly name: string;
  readonly points: number;
  /** How often in one round: one executor always lives, a task may lose so many workers. */
  readonly most: number;
  readonly make: (draw: Draw) => Pick<Fault, "what" | "inject" | "recovered">;
}

export const faultKinds: readonly [FaultKind, ...FaultKind[]] = [
  { name: "kill leader", points: 2, most: 2, make: replacedLeader },
  { name: "pause leader", points: 2, most: 2, make: pausedLeader },
  { name: "kill executor", points: 2, most: executors - 1, make: killedExecutor },
  { name: "pause executor", points: 1, most: 2, make: pausedExecutor },
  { name: "kill worker", points: 1, most: 2, make: killedWorker },
  { name: "restart nats", points: 2, most: 1, make: (draw) => natsAway(draw.between(200, 4_000)) },
  { name: "wipe nats", points: 4, most: 1, make: () => allWiped },
  { name: "cut nats", points: 1, most: 2, make: cutLine },
  { name: "kill everything", points: 4, most: 1, make: restartedCluster },
];

/** Kinds in the order in which they come, within the budget: at least one, `wanted` when that is not 0. */
export function drawKinds(draw: Draw, wanted = 0): readonly FaultKind[] {
  const chosen: FaultKind[] = [];
  const count = wanted > 0 ? wanted : draw.between(1, faultBudget.faults);
  let left: number = faultBudget.points;
  while (chosen.length < count) {
    const fits = faultKinds.filter((kind) => {
      return kind.points <= left && chosen.filter((one) => one === kind).length < kind.most;
    });
    const [first, ...others] = fits;
    if (first === undefined) break;
    const kind = draw.pick([first, ...others]);
    left -= kind.points;
    chosen.push(kind);
  }
  return chosen;
}

export const randomScenario: Scenario = {
  name: "random",
  proves: "a day stands any faults within the budget",
  plan: (draw, wanted) => {
    let position = 0;
    const kinds = drawKinds(draw, wanted);
    const faults = kinds.map((kind, index): Fault => {
      position += draw.between(1, 5);
      const isLast = index === kinds.length - 1;
      const where = placed(draw.between(1, 6), position, index === 0, isLast);
      return { ...where, isOptional: index > 0, ...kind.make(draw) };
    });
    return { shape: { executors, natsProxies: ["coordinator", "executor"] }, faults };
  },
};

/** Mostly after some task; the first may come before there is any, the last when all of them are done. */
function placed(
  choice: number,
  nth: number,
  isFirst: boolean,
  isLast: boolean,
): Pick<Fault, "when" | "due"> {
  if (choice === 1 && isFirst) {
    return { when: "as soon as the run was there", due: (view) => view.durable.runs.size > 0 };
  }
  if (choice === 2 && isLast) {
    return { when: "when it began to commit", due: (view) => hasSeen(view, "commitStarted") };
  }
  return {
    when: `after finished task ${nth}`,
    due: (view) => finished(view, "scan") + finished(view, "reduce") >= nth,
  };
}

function replacedLeader() {
  return {
    what: "kill -9 of the leader, another one joins",
    inject: async (world: World) => {
      const id = await killLeader(world);
      await world.cluster.addCoordinator();
      return id;
    },
    recovered: movesUnderNewLeader,
  };
}

function pausedLeader() {
  const inject: Fault["inject"] = async (world, mark) => {
    await world.wait("a leader that can be paused", () => world.hasLeader());
    const { id, pid } = world.leader();
    world.cluster.kill(pid, "SIGSTOP");
    try {
      await world.wait("another leader", (view) => view.epoch > mark.epoch);
    } finally {
      world.cluster.kill(pid, "SIGCONT");
    }
    return id;
  };
  return { what: "a pause of the leader", inject, recovered: movesUnderNewLeader };
}

function killedExecutor(draw: Draw) {
  return killExecutor(draw.between(0, executors - 1));
}

function pausedExecutor(draw: Draw) {
  const ms = draw.between(500, 8_000);
  const nth = draw.between(0, executors - 1);
  return {
    what: `a pause of an executor for ${ms} ms`,
    inject: async ({ cluster }: World) => {
      const victim = cluster.executors[nth % cluster.executors.length];
      if (victim === undefined) return "none is left";
      cluster.kill(victim.pid, "SIGSTOP");
      await pause(ms);
      cluster.kill(victim.pid, "SIGCONT");
      return victim.id;
    },
  };
}

function killedWorker(draw: Draw) {
  const nth = draw.between(0, executors - 1);
  return {
    what: "kill -9 of a worker",
    inject: async ({ cluster }: World) => {
      const victim = cluster.executors[nth % cluster.executors.length];
      const [worker] = victim === undefined ? [] : childrenOf(victim.pid);
      if (worker === undefined) return "none was there";
      process.kill(worker, "SIGKILL");
      return `process ${worker} of ${victim?.id}`;
    },
  };
}

function cutLine(draw: Draw) {
  const ms = draw.between(500, 6_000);
  const nth = draw.between(0, 100);
  return {
    what: `NATS cut off from a process for ${ms} ms`,
    inject: async (world: World) => {
      const names = [...world.proxies.keys()].sort();
      const name = names[nth % names.length] ?? "";
      await disturb(world.lines(name), { cut: true }, () => pause(ms));
      return name.replace("nats ", "");
    },
  };
}

function restartedCluster() {
  return {
    what: "kill -9 of every process, then a start of all",
    inject: async (world: World) => {
      await world.cluster.restartAll();
      return undefined;
    },
  };
}
