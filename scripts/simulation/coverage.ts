/**
 * Which messages met which states. Each cell that can happen must, or nothing is proved about it; those that cannot
 * are listed with the reason.
 */
import type { Ask, Message as CoordinatorMessage } from "../../coordinator/core/protocol.ts";
import type { Command, Message as ExecutorMessage } from "../../executor/core/protocol.ts";
import { stateNames } from "./sim-coordinator.ts";

export const askKinds = Object.keys({
  readFences: 0,
  takeEpoch: 0,
  claimStorage: 0,
  readStorage: 0,
  renew: 0,
  readJournal: 0,
  append: 0,
  trimJournal: 0,
  saveSnapshot: 0,
  planJob: 0,
  checkViews: 0,
  saveJob: 0,
  saveRequest: 0,
  dropRequest: 0,
  listInputs: 0,
  ensureStreams: 0,
  dropStreams: 0,
  readUsage: 0,
  readCompletions: 0,
  listStaging: 0,
  listStaged: 0,
  listWriters: 0,
  purgeStreams: 0,
  readRevision: 0,
  arrange: 0,
  commit: 0,
  publish: 0,
  release: 0,
  rebuildViews: 0,
  dropStaging: 0,
  listRevisions: 0,
  dropRevision: 0,
  planCalendar: 0,
  lookAtDay: 0,
  saveDesk: 0,
  saveAlerts: 0,
  sendNotice: 0,
  sendHeartbeat: 0,
} satisfies Record<Ask["kind"], 0>) as readonly Ask["kind"][];

/** Asks of leaders that tell people. */
export const askKindsOfAlerts: readonly Ask["kind"][] = [
  "saveAlerts",
  "sendNotice",
  "sendHeartbeat",
];

/** Asks of leaders whose jobs have a schedule. */
export const askKindsOfDays: readonly Ask["kind"][] = ["planCalendar", "lookAtDay", "saveDesk"];

const coordinatorKinds = Object.keys({
  tick: 0,
  proceed: 0,
  leaderHeard: 0,
  stop: 0,
  submit: 0,
  cancelRun: 0,
  releaseRun: 0,
  drainExecutor: 0,
  markDay: 0,
  delivered: 0,
  pauseBacklog: 0,
  backfill: 0,
  upkeep: 0,
  acknowledge: 0,
  alert: 0,
  channelChanged: 0,
  question: 0,
  attached: 0,
  heartbeat: 0,
  report: 0,
  draining: 0,
  detached: 0,
} satisfies Record<Exclude<CoordinatorMessage["kind"], "answered">, 0>);

const commandKinds = Object.keys({
  welcome: 0,
  refused: 0,
  runTask: 0,
  cancelTask: 0,
  reportAck: 0,
  drainNow: 0,
} satisfies Record<Command["kind"], 0>);

const executorKinds = Object.keys({
  started: 0,
  leaderHeard: 0,
  linkLost: 0,
  workerReady: 0,
  workerProgress: 0,
  workerOutcome: 0,
  workerExited: 0,
  drain: 0,
  stop: 0,
  tick: 0,
} satisfies Record<Exclude<ExecutorMessage["kind"], "commanded">, 0>);

interface Table {
  readonly name: string;
  readonly states: readonly string[];
  readonly messages: readonly string[];
  /** Why a cell cannot happen; undefined when it can. */
  readonly impossible: (message: string, state: string) => string | undefined;
}

/** From executors, on a connection that the leader knows. */
const fromConnected = new Set(["heartbeat", "report", "draining"]);

export const coordinatorTable: Table = {
  name: "coordinator",
  states: stateNames,
  messages: [...coordinatorKinds, ...askKinds.map((kind) => `answered: ${kind}`)],
  impossible: (message, state) => {
    if (fromConnected.has(message) && state !== "leader") {
      return "the hub forgets an executor's connection in the step in which it is refused or the leader steps down";
    }
    if (message === "proceed" && state.startsWith("candidate")) {
      return "it comes right after the step that asked for it, a candidacy at least a second after a step-down";
    }
    return undefined;
  },
};

export const executorTable: Table = {
  name: "executor",
  states: ["none", "opening", "attached"].flatMap((link) => [link, `${link}, draining`]),
  messages: [...executorKinds, ...commandKinds.map((kind) => `commanded: ${kind}`)],
  impossible: (message, state) => {
    const [link = ""] = state.split(",");
    if (message === "started" && state !== "none") return "it is the first message";
    if (message === "linkLost" && link === "none") return "only a link that is held can be lost";
    if (!message.startsWith("commanded")) return undefined;
    if (link === "none") return "nothing is heard of a link that was left";
    const isFirstWord = message.endsWith("welcome") || message.endsWith("refused");
    if (isFirstWord && link === "attached") return "a coordinator says it once, as its first word";
    if (!isFirstWord && link === "opening") return "a coordinator's first word is another";
    return undefined;
  },
};

export class Coverage {
  readonly #counts = new Map<string, number>();

  saw(table: Table, message: string, state: string): void {
    const cell = cellOf(table, message, state);
    this.#counts.set(cell, (this.#counts.get(cell) ?? 0) + 1);
  }

  add(other: Coverage): void {
    for (const [cell, count] of other.#counts) {
      this.#counts.set(cell, (this.#counts.get(cell) ?? 0) + count);
    }
  }

  /** Cells that should have been hit and were not, and cells that were hit although they cannot be. */
  faults(table: Table): readonly string[] {
    return table.messages.flatMap((message) =>
      table.states.flatMap((state) => {
        const count = this.#counts.get(cellOf(table, message, state)) ?? 0;
        const reason = table.impossible(message, state);
        if (reason === undefined && count === 0) return [`${message} × ${state}: never`];
        if (reason !== undefined && count > 0) {
          return [`${message} × ${state}: ${count} times, though ${reason}`];
        }
        return [];
      }),
    );
  }

  /** Cells as a table; `-` cannot happen. */
  print(table: Table): string {
    const heads = ["", ...table.states];
    const rows = table.messages.map((message) => [
      message,
      ...table.states.map((state) => {
        const isPossible = table.impossible(message, state) === undefined;
        return isPossible ? String(this.#counts.get(cellOf(table, message, state)) ?? 0) : "-";
      }),
    ]);
    const all = [heads.map((head) => head.replace("candidate: ", "")), ...rows];
    const widths = heads.map((_, column) =>
      Math.max(...all.map((row) => row[column]?.length ?? 0)),
    );
    const lines = all.map((row) =>
      row
        .map((cell, column) =>
          column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0),
        )
        .join("  "),
    );
    return [`${table.name}: messages × states`, ...lines].join("\n");
  }
}

/** Names of cells by table, message and state: each step of a seed asks for one, and there are few. */
const cells = new Map<Table, Map<string, Map<string, string>>>();

function cellOf(table: Table, message: string, state: string): string {
  const ofTable = gotten(cells, table, () => new Map<string, Map<string, string>>());
  const ofMessage = gotten(ofTable, message, () => new Map<string, string>());
  return gotten(ofMessage, state, () => `${table.name}|${message}|${state}`);
}

function gotten<Key, Value>(map: Map<Key, Value>, key: Key, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
