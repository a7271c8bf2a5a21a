/**
 * NATS dies, comes back, or comes back with nothing; lines to it and to the leader are cut, held and slowed.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { journalStream } from "../../shared/adapters/nats-names.ts";
import type { Draw } from "./draw.ts";
import { pause } from "./journal-watch.ts";
import { busyExecutor, midMap, midReduce, runningOn } from "./positions.ts";
import type { LineState, TcpProxy } from "./proxy.ts";
import { type Fault, insist, isProgress, movesUnderNewLeader, type Scenario } from "./scenario.ts";
import { cluster, type World } from "./world.ts";

/** Somewhere in the middle of a run. */
export function anywhere(draw: Draw) {
  return draw.pick([midMap(draw.between(2, 8), 12), midReduce(draw.between(1, 4))]);
}

type Deed = Pick<Fault, "what" | "inject">;

/** Long enough for bytes that were on their way to arrive. */
const underWayMs = 300;

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
    inject: async (world, _, struck) => {
      await killNats(world);
      // The journal that says where the run is goes next.
      await struck();
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
    faults: [{ ...anywhere(draw), ...allWiped, recovered: (seen) => isProgress(seen) }],
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
        ...natsWiped("the journal's files", "$G", "streams", journalStream(cluster)),
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

/** The lines of that name, which somebody uses: to disturb others would be no fault. */
function linesInUse(world: World, prefix: string): readonly TcpProxy[] {
  const lines = world.lines(prefix);
  insist(connectionsOf(lines) > 0, `nobody is connected over ${prefix}`);
  return lines;
}

function connectionsOf(lines: readonly TcpProxy[]): number {
  return lines.reduce((sum, line) => sum + line.connections, 0);
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
          inject: async (world, mark, struck) => {
            const { id } = world.leader();
            cut = id;
            await disturb(linesInUse(world, `nats ${id}`), { cut: true }, async () => {
              await struck();
              await world.wait("another leader", (view) => view.epoch > mark.epoch);
            });
            return id;
          },
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
    return {
      shape: { natsProxies: ["coordinator"] },
      faults: [
        {
          ...anywhere(draw),
          what: `lines of all coordinators to NATS held for ${heldMs} ms`,
          inject: async (world, _, struck) => {
            const lines = linesInUse(world, "nats coordinator");
            await disturb(lines, { hold: true }, async () => {
              // What was beyond the line already is saved.
              await pause(underWayMs);
              await struck();
              const { sequence } = world.view;
              await pause(heldMs);
              await world.watch.refresh();
              const now = world.view.sequence;
              insist(now === sequence, `the journal went from ${sequence} to ${now} meanwhile`);
            });
            return `${connectionsOf(lines)} connections`;
          },
        },
      ],
    };
  },
};

const cutExecutor: Scenario = {
  name: "cut-nats-from-executor",
  proves: "an executor that loses NATS for a while publishes on when it is back, each row once",
  plan: (draw) => {
    const cutMs = draw.between(1_000, 6_000);
    const nth = draw.between(0, 1);
    return {
      shape: { natsProxies: ["executor"] },
      faults: [
        {
          ...anywhere(draw),
          what: `NATS cut off from an executor for ${cutMs} ms`,
          inject: async (world, _, struck) => {
            const id = busyExecutor(world, nth)?.id ?? "";
            let ids: readonly string[] = [];
            await disturb(linesInUse(world, `nats ${id}`), { cut: true }, async () => {
              await struck();
              ids = runningOn(world.view, id);
              await pause(cutMs);
            });
            insist(ids.length > 0, `${id} had nothing to send or read`);
            return `${id}, which ran ${ids.length} attempts`;
          },
        },
      ],
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
          inject: async (world, _, struck) => {
            const lines = linesInUse(world, "grpc");
            const flowing = connectionsOf(lines);
            await disturb(lines, { cut: true }, async () => {
              await struck();
              await pause(cutMs);
            });
            return `${flowing} connections`;
          },
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
