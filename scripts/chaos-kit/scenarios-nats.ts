/**
 * NATS dies, comes back, or comes back with nothing; lines to it and to the leader are cut, held and slowed.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Draw } from "./draw.ts";
import { pause } from "./journal-watch.ts";
import { midMap, midReduce } from "./positions.ts";
import type { LineState, TcpProxy } from "./proxy.ts";
import { type Fault, insist, isProgress, movesUnderNewLeader, type Scenario } from "./scenario.ts";
import type { World } from "./world.ts";

/** Somewhere in the middle of a run. */
export function anywhere(draw: Draw) {
  return draw.pick([midMap(draw.between(2, 8), 12), midReduce(draw.between(1, 4))]);
}

type Deed = Pick<Fault, "what" | "inject">;

async function killNats(world: World): Promise<void> {
  const nats = world.cluster.processes().find(({ name }) => name === "nats-server");
  insist(nats !== undefined, "nats-server does not run");
  await world.kill(nats?.pid ?? 0);
}

export function natsAway(ms: number): Deed {
  return {
    what: `kill -9 of nats-server, back after ${ms} ms`,
    inject: async (world) => {
      await killNats(world);
      await pause(ms);
      await world.cluster.restartNats();
      return undefined;
    },
  };
}

/** Kills nats-server, removes a part of what it wrote, by path, and starts it again: the journal is another one then. */
function natsWiped(what: string, ...path: readonly string[]): Deed {
  return {
    what: `kill -9 of nats-server, ${what} removed, start`,
    inject: async (world) => {
      await killNats(world);
      await world.watch.refresh();
      await rm(join(world.work, "nats", "jetstream", ...path), { recursive: true });
      world.watch.expectNewJournal();
      await world.cluster.restartNats();
      return undefined;
    },
  };
}

/** Everything that NATS knew is gone: journal, registry, exchange. */
export const allWiped: Deed = natsWiped("its files");

const restart: Scenario = {
  name: "restart-nats",
  proves: "work pauses while nats-server is away and goes on where it was",
  plan: (draw) => {
    const deed = natsAway(draw.between(200, 2_500));
    return { faults: [{ ...anywhere(draw), ...deed }] };
  },
};

const wipe: Scenario = {
  name: "wipe-nats",
  proves: "NATS loses all it had: the promised run is found on storage and starts again",
  plan: (draw) => ({
    faults: [
      {
        ...anywhere(draw),
        // The journal that would say so is gone with it.
        missed: () => false,
        ...allWiped,
        recovered: (seen) => isProgress(seen),
      },
    ],
  }),
};

const wipeJournal: Scenario = {
  name: "wipe-journal",
  proves:
    "the journal alone is lost: map outputs that are in the exchange are found and used again",
  plan: (draw) => ({
    faults: [
      {
        ...midMap(draw.between(3, 9), 12),
        missed: () => false,
        ...natsWiped("the journal's files", "$G", "streams", "DM_chaos_journal"),
      },
    ],
    after: async (world) => {
      const reused = world.view.seen.filter(({ fact }) => fact.kind === "taskReused").length;
      insist(reused > 0, "no map output of the lost journal was used again");
    },
  }),
};

/** The lines are like this until `over`, then good again. */
export async function disturb(
  lines: readonly TcpProxy[],
  state: LineState,
  over: () => Promise<void>,
): Promise<void> {
  for (const line of lines) line.set(state);
  try {
    await over();
  } finally {
    for (const line of lines) line.set({});
  }
}

function disturbed(lines: string, state: LineState, ms: number): Fault["inject"] {
  return async (world) => {
    await disturb(world.lines(lines), state, () => pause(ms));
    return undefined;
  };
}

const cutLeader: Scenario = {
  name: "cut-nats-from-leader",
  proves:
    "a leader that cannot reach NATS steps down by itself; another one leads; it becomes a standby",
  plan: (draw) => {
    let cut = "";
    return {
      shape: { natsProxies: ["coordinator"] },
      faults: [
        {
          ...anywhere(draw),
          what: "NATS cut off from the leader until another one leads",
          inject: async (world, mark) => {
            const { id } = world.leader();
            cut = id;
            await disturb(world.lines(`nats ${id}`), { cut: true }, () =>
              world.wait("another leader", (view) => view.epoch > mark.epoch),
            );
            return id;
          },
          missed: () => false,
          recovered: movesUnderNewLeader,
        },
      ],
      after: (world) => becomesStandby(world, cut),
    };
  },
};

async function becomesStandby(world: World, id: string): Promise<void> {
  const address = world.cluster.coordinators.find((one) => one.id === id)?.address ?? "";
  await world.waitFor(`${id} to be a standby`, async () => {
    return (await world.ask((client) => client.status(address))).role === "standby";
  });
}

const hold: Scenario = {
  name: "hold-nats",
  proves:
    "nothing comes through between coordinators and NATS, without an error: they go on afterwards",
  plan: (draw) => {
    const heldMs = draw.between(4_000, 8_000);
    const what = `lines of all coordinators to NATS held for ${heldMs} ms`;
    const inject = disturbed("nats coordinator", { hold: true }, heldMs);
    return {
      shape: { natsProxies: ["coordinator"] },
      faults: [{ ...anywhere(draw), what, inject, missed: () => false }],
    };
  },
};

const cutExecutor: Scenario = {
  name: "cut-nats-from-executor",
  proves: "an executor that loses NATS for a while publishes on when it is back, each row once",
  plan: (draw) => {
    const cutMs = draw.between(1_000, 6_000);
    const victim = `executor-${draw.between(1, 2)}`;
    const what = `NATS cut off from ${victim} for ${cutMs} ms`;
    const inject = disturbed(`nats ${victim}`, { cut: true }, cutMs);
    return {
      shape: { natsProxies: ["executor"] },
      faults: [{ ...anywhere(draw), what, inject, missed: () => false }],
    };
  },
};

const slow: Scenario = {
  name: "slow-nats",
  proves: "a slow line between executors and NATS costs time and nothing else",
  plan: (draw) => {
    const delayMs = draw.between(5, 40);
    const bytesPerSecond = draw.between(300, 900) * 1_000;
    let passed = 0;
    return {
      shape: { natsProxies: ["executor"] },
      faults: [
        {
          ...midMap(draw.between(1, 4), 12),
          what: `lines of all executors to NATS slowed to ${bytesPerSecond} bytes/s, ${delayMs} ms late`,
          inject: async (world) => {
            const lines = world.lines("nats executor");
            for (const line of lines) line.set({ delayMs, bytesPerSecond });
            passed = lines.reduce((sum, line) => sum + line.passed, 0);
            return undefined;
          },
        },
      ],
      after: async (world) => {
        const lines = world.lines("nats executor");
        const now = lines.reduce((sum, line) => sum + line.passed, 0);
        insist(now > passed + 100_000, `only ${now - passed} bytes took the slow lines`);
        for (const line of lines) line.set({});
      },
    };
  },
};

const cutGrpc: Scenario = {
  name: "cut-grpc",
  proves: "executors that cannot reach the leader are lost, come back and are taken back",
  plan: (draw) => {
    const cutMs = draw.between(2_000, 8_000);
    return {
      shape: { grpcProxies: true },
      faults: [
        {
          ...anywhere(draw),
          what: `gRPC of all coordinators cut off from executors for ${cutMs} ms`,
          inject: async (world) => {
            const lines = world.lines("grpc");
            const flowing = lines.reduce((sum, line) => sum + line.connections, 0);
            insist(flowing > 0, "no executor came through the proxies");
            await disturb(lines, { cut: true }, () => pause(cutMs));
            return `${flowing} connections`;
          },
          missed: () => false,
        },
      ],
    };
  },
};

export const natsScenarios: readonly Scenario[] = [
  restart,
  wipe,
  wipeJournal,
  cutLeader,
  hold,
  cutExecutor,
  slow,
  cutGrpc,
];
