/**
 * The troublemaker: each kind of fault that strikes by itself comes at random instants, as often as the seed has it.
 * Faults of single calls, messages and attempts are where those are (calls.ts, link.ts, sim-workers.ts).
 */
import { limits } from "../../shared/kernel/limits.ts";
import type { FaultKind, Faults } from "./faults.ts";
import { simDays } from "./jobs.ts";
import { type Network, nats, storage, watch } from "./network.ts";
import { pathOfCopy } from "./rows.ts";
import type { SimCoordinator } from "./sim-coordinator.ts";
import type { SimExecutor } from "./sim-executor.ts";
import { fileOf, type SimMemory } from "./sim-memory.ts";
import type { Users } from "./users.ts";
import type { World } from "./world.ts";

export interface Victims {
  readonly world: World;
  readonly network: Network;
  readonly faults: Faults;
  readonly memory: SimMemory;
  readonly users: Users;
  readonly coordinators: readonly SimCoordinator[];
  readonly executors: readonly SimExecutor[];
}

/** Kind, mean time between two of them in ms, and what happens. It gives false where there was nothing to strike. */
type Strike = readonly [kind: FaultKind, meanMs: number, run: () => boolean];

export function beginTrouble(victims: Victims): void {
  const { world, faults } = victims;
  const strikes = [
    ...processStrikes(victims),
    ...networkStrikes(victims),
    ...lossStrikes(victims),
    ...roomStrikes(victims),
    ...inputStrikes(victims),
  ];
  for (const [kind, meanMs, run] of strikes) {
    const strength = faults.strengthOf(kind);
    if (strength === 0) continue;
    const next = () => {
      const waitMs = (-Math.log(1 - world.chance()) * meanMs) / strength;
      world.after(waitMs, () => {
        if (!faults.isOn) return;
        if (run()) {
          faults.count(kind);
          world.trace(kind);
        }
        next();
      });
    };
    next();
  }
}

function processStrikes({ world, users, coordinators, executors }: Victims): Strike[] {
  const some = <T extends { readonly isUp: boolean }>(all: readonly T[]) => {
    const one = world.pick(all);
    return one?.isUp ? one : undefined;
  };
  const coordinator = (run: (one: SimCoordinator) => void) => () => {
    const one = some(coordinators);
    if (one !== undefined) run(one);
    return one !== undefined;
  };
  const executor = (run: (one: SimExecutor) => void) => () => {
    const one = some(executors);
    if (one !== undefined) run(one);
    return one !== undefined;
  };
  const killed = (one: SimCoordinator | SimExecutor, isTold: boolean) => {
    one.kill(isTold);
    world.after(world.between(50, 9_000), () => one.start());
  };
  return [
    ["coordinatorKilled", 60_000, coordinator((one) => killed(one, true))],
    ["coordinatorVanished", 120_000, coordinator((one) => killed(one, false))],
    ["coordinatorPaused", 50_000, coordinator((one) => one.pause(world.between(500, 9_000)))],
    ["coordinatorStopped", 120_000, coordinator((one) => users.stop(one))],
    ["executorKilled", 40_000, executor((one) => killed(one, true))],
    ["executorVanished", 80_000, executor((one) => killed(one, false))],
    ["executorPaused", 40_000, executor((one) => one.pause(world.between(500, 9_000)))],
    [
      "executorDrained",
      60_000,
      executor((one) => {
        if (world.chance() < 0.3) users.drain(one.name);
        else {
          const finishMs = world.between(0, 15_000);
          one.post({ kind: "drain", reason: "a signal", finishMs });
        }
      }),
    ],
    ["executorStopped", 150_000, executor((one) => one.post({ kind: "stop" }))],
    ["linkBroken", 25_000, executor((one) => one.breakLink())],
  ];
}

function networkStrikes({ world, network, coordinators, executors }: Victims): Strike[] {
  const cut = (meanMs: number, kind: FaultKind, most: number, pair: () => [string, string]) => {
    const run = () => {
      network.cut(...pair(), world.between(200, most));
      return true;
    };
    return [kind, meanMs, run] as const;
  };
  const anyOf = (all: readonly { readonly name: string }[]) => world.pick(all)?.name ?? "";
  const all = (place: string, most: number) => () => {
    const ms = world.between(200, most);
    for (const { name } of [...coordinators, ...executors]) network.cut(name, place, ms);
    return true;
  };
  return [
    cut(60_000, "natsCutFromCoordinator", 8_000, () => [anyOf(coordinators), nats]),
    cut(70_000, "storageCutFromCoordinator", 12_000, () => [anyOf(coordinators), storage]),
    cut(40_000, "executorCutFromCoordinator", 16_000, () => [
      anyOf(executors),
      anyOf(coordinators),
    ]),
    cut(60_000, "natsCutFromExecutor", 20_000, () => [anyOf(executors), nats]),
    cut(80_000, "storageCutFromExecutor", 20_000, () => [anyOf(executors), storage]),
    [
      "watchSilent",
      60_000,
      () => {
        const ms = world.between(2_000, 12_000);
        // The registry's own trouble, or that of one watch.
        const isAll = world.chance() < 0.5;
        for (const { name } of coordinators) {
          if (isAll || world.chance() < 0.5) network.cut(name, watch, ms);
        }
        return true;
      },
    ],
    ["natsDown", 150_000, all(nats, 6_000)],
    ["storageDown", 180_000, all(storage, 10_000)],
  ];
}

function lossStrikes({ world, memory }: Victims): Strike[] {
  const always = (run: () => void) => () => {
    run();
    return true;
  };
  const someStream = (run: (stream: string) => boolean) => () => {
    const stream = world.pick([...memory.streams.keys()]);
    return stream !== undefined && run(stream);
  };
  return [
    ["journalLost", 1_200_000, always(() => memory.loseJournal())],
    [
      "journalHeadLost",
      600_000,
      () => {
        if (memory.journal.length < 4) return false;
        memory.loseJournalHead(world.between(1, memory.journal.length >> 1));
        return true;
      },
    ],
    [
      "journalTailLost",
      600_000,
      () => {
        if (memory.journal.length < 4) return false;
        memory.loseJournalTail(world.between(1, 4));
        return true;
      },
    ],
    ["registryLost", 500_000, always(() => memory.loseRegistry())],
    [
      "natsLost",
      1_500_000,
      always(() => {
        memory.loseJournal();
        memory.loseRegistry();
        memory.streams.clear();
      }),
    ],
    ["exchangeLost", 400_000, always(() => memory.streams.clear())],
    ["streamLost", 120_000, someStream((stream) => memory.streams.delete(stream))],
    [
      "attemptLost",
      80_000,
      someStream((stream) => {
        const attempts = memory.streams.get(stream);
        const attempt = world.pick([...(attempts?.keys() ?? [])]);
        return attempt !== undefined && attempts?.delete(attempt) === true;
      }),
    ],
    [
      "streamUnreachable",
      120_000,
      someStream((stream) => {
        if (!memory.isReachable(stream)) return false;
        memory.unreachable.set(stream, world.at + world.between(1_000, 60_000));
        return true;
      }),
    ],
    [
      "streamGone",
      300_000,
      someStream((stream) => {
        // Where patience with it is long, a seed would be over before it ends.
        if (limits.exchangeUnreachableMs > 20_000) return false;
        memory.unreachable.set(stream, Number.POSITIVE_INFINITY);
        return true;
      }),
    ],
  ];
}

function roomStrikes({ world, memory }: Victims): Strike[] {
  return [
    [
      "exchangeShort",
      150_000,
      () => {
        if (memory.bytesPerStream > 0) return false;
        memory.bytesPerStream = limits.exchangeBytesBudget / 4;
        world.after(world.between(5_000, 30_000), () => {
          memory.bytesPerStream = 0;
        });
        return true;
      },
    ],
    ["natsFull", 150_000, () => memory.fill("rows", world.between(2_000, 30_000))],
    ["natsFullForAll", 300_000, () => memory.fill("all", world.between(500, 12_000))],
  ];
}

function inputStrikes({ world, memory, users }: Victims): Strike[] {
  let version = 1;
  const folder = (run: (key: string, source: string, day: string) => boolean) => () => {
    const key = world.pick([...memory.folders.keys()]) ?? "";
    const [source = "", day = simDays[0]] = key.split("|");
    return run(key, source, day);
  };
  return [
    [
      "fileLate",
      120_000,
      folder((key, source, day) => {
        const files = memory.folders.get(key) ?? [];
        if (files.length >= 10) return false;
        version++;
        const late = fileOf(source, day, 100 + version, version);
        memory.folders.set(key, [...files, late]);
        return true;
      }),
    ],
    [
      "fileSentTwice",
      150_000,
      folder((key, source, day) => {
        const files = memory.folders.get(key) ?? [];
        const file = world.pick(files);
        if (file === undefined || files.length >= 10) return false;
        version++;
        const path = pathOfCopy(file, version, world.chance() < 0.5);
        const copy = { ...fileOf(source, day, 100 + version, version), path };
        // A folder is listed in the order of its paths.
        memory.folders.set(key, path < file.path ? [copy, ...files] : [...files, copy]);
        return true;
      }),
    ],
    [
      "fileChanged",
      250_000,
      folder((key, source, day) => {
        const files = memory.folders.get(key) ?? [];
        const index = world.between(0, files.length - 1);
        version++;
        const changed = files.map((file, at) =>
          at === index ? { ...fileOf(source, day, 0, version), path: file.path } : file,
        );
        memory.folders.set(key, changed);
        return true;
      }),
    ],
    [
      "fileGone",
      400_000,
      folder((key) => {
        const files = memory.folders.get(key) ?? [];
        if (files.length < 3) return false;
        const index = world.between(0, files.length - 1);
        memory.folders.set(
          key,
          files.filter((_, at) => at !== index),
        );
        return true;
      }),
    ],
    [
      "runCancelled",
      100_000,
      () => {
        users.cancelSome();
        // Counted where it was done.
        return false;
      },
    ],
  ];
}
