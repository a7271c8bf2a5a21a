/**
 * How fast the coordinator's core decides: the real step with its journal facts, snapshots and heartbeats, over an
 * in-memory stand-in that answers at once. A thousand executors of four slots run one day of 50,000 tasks and a backlog
 * of seven more; time is virtual. What it leaves out is the shell: JSON and gRPC per task, NATS, disks.
 * The last line of output is JSON.
 *
 *   node dist/scripts/bench-scheduler.js [--executors N] [--slots N] [--tasks N] [--runs N]
 */
import { unitsOf } from "../coordinator/core/journal-text.ts";
import type {
  Answer,
  Ask,
  Effect,
  ExecutorCommand,
  Message,
} from "../coordinator/core/protocol.ts";
import { initialState } from "../coordinator/core/state.ts";
import { step } from "../coordinator/core/step.ts";
import { type Options as OptionsOf, readOptions } from "../shared/adapters/config.ts";
import { boundHeapGrowth } from "../shared/adapters/system.ts";
import { limits } from "../shared/kernel/limits.ts";
import { hashVersion, wireVersion } from "../shared/kernel/work.ts";
import { filesOf, jobOf, outcomeOf, planOf, reduceTasks, type Shape } from "./scheduler-day.ts";
import { asProgram } from "./trial-bed.ts";

const shape: Shape = { partitions: 512, groups: 64 };
/** Virtual duration of a task, spread evenly. */
const taskMs = { least: 2_000, most: 6_000 };
/** The newest of the days, of which there are so many in its month. */
const newestDay = 15;

const count = { kind: "integer", placeholder: "N", minimum: 1 } as const;
const table = {
  executors: { ...count, help: "that work", fallback: "1000", maximum: limits.executorsMax },
  slots: { ...count, help: "of each", fallback: "4", maximum: limits.slotsPerExecutorMax },
  tasks: { ...count, help: "of a run", fallback: "50000", minimum: reduceTasks(shape) + 1 },
  runs: { ...count, help: "a day and its backlog", fallback: "8", maximum: newestDay },
} as const;

type Options = OptionsOf<typeof table>;

interface Report {
  readonly connection: number;
  readonly attemptId: string;
  readonly outcome: ReturnType<typeof outcomeOf>;
}

class World {
  readonly state = initialState({ coordinator: "c1", address: "c1:1", cluster: "b", duckdb: "v1" });
  readonly options: Options;
  at = 0;
  messages = 0;
  longestStepMs = 0;
  longestStep = "";
  journalRecords = 0;
  journalBytes = 0;
  snapshots = 0;
  snapshotBytesMax = 0;
  committed = 0;
  started = 0;
  #sequence = 0;
  readonly #queue: Message[] = [];
  /** Reports by the tick at which they are due. */
  readonly #due = new Map<number, Report[]>();
  readonly #running = new Map<number, Set<string>>();

  constructor(options: Options) {
    this.options = options;
  }

  post(first: Message): void {
    const queue = this.#queue;
    queue.push(first);
    for (let next = 0; next < queue.length; next++) {
      const message = queue[next];
      if (message !== undefined) this.#take(message);
    }
    queue.length = 0;
  }

  #take(message: Message): void {
    const from = performance.now();
    const [, effects] = step(this.state, {
      at: this.at,
      wall: 1_768_435_200_000 + this.at,
      message,
    });
    const tookMs = performance.now() - from;
    if (tookMs > this.longestStepMs) {
      this.longestStepMs = tookMs;
      this.longestStep =
        message.kind === "answered" ? `answered ${message.answer.kind}` : message.kind;
    }
    this.messages++;
    for (const effect of effects) this.#carryOut(effect);
  }

  #carryOut(effect: Effect): void {
    if ("id" in effect) {
      this.#queue.push({ kind: "answered", id: effect.id, answer: this.#answer(effect) });
    } else if (effect.kind === "again") {
      this.#queue.push({ kind: "proceed" });
    } else if (effect.kind === "toExecutor") {
      this.#command(effect.connection, effect.command);
    } else if (effect.kind === "reply" && effect.result.kind === "failed") {
      throw new Error(effect.result.failure.message);
    } else if (effect.kind === "publishEvent" && effect.event === "run.committed") {
      this.committed++;
    } else if (effect.kind === "publishEvent" && effect.event === "run.failed") {
      throw new Error(JSON.stringify(effect.data));
    }
  }

  #command(connection: number, command: ExecutorCommand): void {
    if (command.kind === "reportAck") this.#running.get(connection)?.delete(command.attemptId);
    if (command.kind !== "runTask") return;
    const { attemptId, work, delivery } = command;
    this.#running.get(connection)?.add(attemptId);
    const number = this.started++;
    const ms = taskMs.least + ((number * 7_919) % (taskMs.most - taskMs.least));
    const tick = Math.ceil((this.at + ms) / limits.tickEveryMs);
    const reports = this.#due.get(tick) ?? [];
    reports.push({ connection, attemptId, outcome: outcomeOf(work, delivery, number) });
    this.#due.set(tick, reports);
  }

  #answer(ask: Ask): Answer {
    switch (ask.kind) {
      case "readFences":
        return { kind: "fences", registry: 0, storage: 0 };
      case "takeEpoch":
      case "claimStorage":
        return { kind: "taken", taken: true };
      case "readStorage":
        return { kind: "stored", jobs: [], requests: [], manifests: [] };
      case "readJournal":
        return { kind: "records", last: this.#sequence, records: [] };
      case "append":
        this.journalRecords++;
        this.journalBytes += Buffer.byteLength(ask.text);
        return { kind: "appended", sequence: ++this.#sequence };
      case "saveSnapshot":
        this.snapshots++;
        this.snapshotBytesMax = Math.max(this.snapshotBytesMax, unitsOf(ask.texts));
        return { kind: "ok" };
      case "planJob":
        return { kind: "planned", plan: planOf(shape) };
      case "listInputs": {
        const files = filesOf(ask.day, this.options.tasks - reduceTasks(shape));
        return { kind: "listed", sources: [{ source: "ipdr", files }], dimensions: [] };
      }
      case "ensureStreams":
        return { kind: "ensured", created: [] };
      case "readUsage":
        return { kind: "usage", streams: [] };
      case "listStaging":
        return { kind: "staging", runs: [] };
      case "arrange":
        return { kind: "arranged", paths: ask.files.map(({ staged }) => `revisions/${staged}`) };
      case "commit":
        return { kind: "manifest", manifest: ask.manifest };
      default:
        return { kind: "ok" };
    }
  }

  attach(connection: number): void {
    this.#running.set(connection, new Set());
    this.post({
      kind: "attached",
      connection,
      hello: {
        executor: `executor-${connection}`,
        incarnation: 1,
        slots: this.options.slots,
        host: `host-${connection}`,
        pid: connection,
        duckdb: "v1",
        wire: wireVersion,
        hash: hashVersion,
        runningAttempts: [],
        highestEpoch: 0,
        version: "0.1.0",
      },
    });
  }

  /** A tick, what is due by then, and the heartbeats of those whose turn it is. */
  tick(): void {
    this.at += limits.tickEveryMs;
    const now = Math.round(this.at / limits.tickEveryMs);
    this.post({ kind: "tick" });
    for (const { connection, attemptId, outcome } of this.#due.get(now) ?? []) {
      this.post({ kind: "report", connection, attemptId, outcome });
    }
    this.#due.delete(now);
    const every = limits.heartbeatEveryMs / limits.tickEveryMs;
    for (const [connection, running] of this.#running) {
      if (connection % every !== now % every) continue;
      const progress = [...running].map((attemptId) => ({ attemptId, rows: 1, bytes: 1 }));
      const rest = { workerPids: [], peakMemoryBytes: 0 };
      this.post({ kind: "heartbeat", connection, running: progress, ...rest });
    }
  }
}

function dayOf(index: number): string {
  return `2026-01-${String(newestDay - index).padStart(2, "0")}`;
}

function bench(options: Options) {
  const world = new World(options);
  while (world.state.role.kind !== "leader") world.tick();
  for (let connection = 1; connection <= options.executors; connection++) world.attach(connection);
  const from = performance.now();
  const cpuFrom = process.cpuUsage();
  const messages = world.messages;
  const virtualFrom = world.at;
  for (let run = 0; run < options.runs; run++) {
    const request = { reply: run, requestId: `request-${run}`, rerun: false };
    const lane = run === 0 ? "live" : "backlog";
    world.post({ kind: "submit", ...request, job: jobOf(shape), day: dayOf(run), lane });
  }
  while (world.committed < options.runs) world.tick();
  const seconds = (performance.now() - from) / 1_000;
  const { user, system } = process.cpuUsage(cpuFrom);
  const cpuSeconds = (user + system) / 1_000_000;
  const transitions = 2 * world.started;
  return {
    bench: "scheduler",
    ...options,
    partitions: shape.partitions,
    seconds: round(seconds),
    virtualSeconds: round((world.at - virtualFrom) / 1_000),
    messagesPerSecond: Math.round((world.messages - messages) / seconds),
    transitions,
    transitionsPerSecond: Math.round(transitions / seconds),
    cpuSeconds: round(cpuSeconds),
    transitionsPerCpuSecond: Math.round(transitions / cpuSeconds),
    longestStepMs: round(world.longestStepMs),
    longestStep: world.longestStep,
    journalRecords: world.journalRecords,
    journalBytes: world.journalBytes,
    snapshots: world.snapshots,
    snapshotBytesMax: world.snapshotBytesMax,
    peakMemoryMiB: Math.round(process.resourceUsage().maxRSS / 1024),
  };
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

async function main(): Promise<number> {
  const read = readOptions(process.argv.slice(2), {}, table);
  if (read.kind === "help") {
    const each = Object.entries(table).map(([name, { fallback }]) => `[--${name} N (${fallback})]`);
    console.log(each.join(" "));
    return 0;
  }
  // As the coordinator's process does.
  boundHeapGrowth();
  const result = bench(read.options);
  console.log(
    `${result.transitions} task transitions in ${result.seconds} s (${result.transitionsPerSecond}/s, ` +
      `${result.transitionsPerCpuSecond} per CPU second), ` +
      `${result.messagesPerSecond} messages/s, longest step ${result.longestStepMs} ms ` +
      `(${result.longestStep}), ${result.peakMemoryMiB} MiB`,
  );
  console.log(JSON.stringify(result));
  return 0;
}

await asProgram(import.meta.url, main);
