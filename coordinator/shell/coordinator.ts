/**
 * One coordinator put together: ports opened, gRPC listening, the actor running, and all of it taken down in order.
 * Wiring only. The caller decides about signals and exit codes.
 */

import { Actor } from "../../shared/actor/actor.ts";
import { planCalendar } from "../../shared/adapters/calendar.ts";
import { openBinder } from "../../shared/adapters/duckdb-binder.ts";
import { createServer } from "../../shared/adapters/grpc.ts";
import { openInputs } from "../../shared/adapters/inputs.ts";
import { connectNats } from "../../shared/adapters/nats.ts";
import { openEvents } from "../../shared/adapters/nats-events.ts";
import { openExchangeAdmin } from "../../shared/adapters/nats-exchange-admin.ts";
import { openJournal } from "../../shared/adapters/nats-journal.ts";
import { openRegistry } from "../../shared/adapters/nats-registry.ts";
import {
  journalWithReserve,
  openReserve,
  registryWithReserve,
} from "../../shared/adapters/nats-reserve.ts";
import { projectVersion } from "../../shared/adapters/project.ts";
import { openStore } from "../../shared/adapters/store.ts";
import { processFigures } from "../../shared/adapters/system.ts";
import type { AlertConfig } from "../../shared/kernel/alert.ts";
import type { CalendarQuestion } from "../../shared/kernel/days.ts";
import { fail, fromUnknown } from "../../shared/kernel/failure.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { limits } from "../../shared/kernel/limits.ts";
import type { AlertSender, Clock, Events, Log, SqlBinder } from "../../shared/ports.ts";
import { metricsOf } from "../core/metrics/metrics.ts";
import type { Effect, Message, RoleName } from "../core/protocol.ts";
import { type CoordinatorConfig, type CoordinatorState, initialState } from "../core/state.ts";
import { step } from "../core/step.ts";
import { Calls } from "./calls.ts";
import { type ChaosPoints, chaosPoints, type StopWish } from "./chaos-points.ts";
import { coordinatorServiceOf } from "./grpc-coordinator.ts";
import { ExecutorHub } from "./grpc-hub.ts";
import { type CoordinatorPorts, createInterpreter } from "./interpreter.ts";
import { planWithBinder } from "./plan.ts";
import { RunChanges } from "./run-changes.ts";

export interface CoordinatorOptions {
  readonly id: string;
  readonly cluster: string;
  /** NATS servers. */
  readonly nats: readonly string[];
  /** Absolute storage root. */
  readonly root: string;
  /** `host:port` to listen on; port 0 = any free one. */
  readonly listen: string;
  /** `host:port` that others reach us at; undefined = where we listen. */
  readonly advertise: string | undefined;
  /** `[HOST:]PORT` where metrics are scraped; port 0 = any free one. Absent: nowhere. */
  readonly metrics?: string | undefined;
  /** Copies of journal and registry. */
  readonly replicas: number;
  /** Who is told of what, and who carries that out. Absent: nobody is told of anything. It is closed with the coordinator. */
  readonly alerts?: { readonly config: AlertConfig; readonly sender: AlertSender } | undefined;
  /** For trials only: where this process stops itself. */
  readonly stopWish?: StopWish | undefined;
  readonly log: Log;
  readonly clock: Clock;
  /** The core contradicted itself: the process must end, the journal brings its state back. */
  readonly crashed: (error: unknown) => void;
}

export interface RunningCoordinator {
  /** Where gRPC listens. */
  readonly address: string;
  /** Where metrics are scraped; undefined: nowhere. */
  readonly metrics: string | undefined;
  /** Steps down, lets callers finish, closes everything. Never takes much longer than limits.shutdownGraceMs. */
  stop(): Promise<void>;
}

/** Starts one. Errors: `unavailable` (NATS, address in use), `badRequest`, `storageFailed`, `versionMismatch`, `conflict`. */
export async function startCoordinator(options: CoordinatorOptions): Promise<RunningCoordinator> {
  const { log, alerts } = options;
  const stops = chaosPoints(options.stopWish, log);
  const mailbox = new Mailbox();
  const metrics = await openMetrics(options, mailbox);
  const opened = await openPorts(options, stops);
  const { ports, link, binder } = opened;
  const calls = new Calls((message) => mailbox.post(message));
  const changes = new RunChanges();
  const executors = new ExecutorHub({
    post: (message) => mailbox.post(message),
    postSurely: (message) => mailbox.postSurely(message),
    log,
  });
  const hub = stops.hub(executors);
  const about = {
    version: projectVersion(),
    natsVersion: () => link.serverVersion(),
    duckdb: binder.version(),
    root: options.root,
    pid: process.pid,
  };
  const { store, inputs, planJob } = ports;
  const service = coordinatorServiceOf({ calls, changes, store, inputs, planJob, about });
  const services = [service, executors.service()];
  const server = await createServer({ services, address: options.listen, log });
  const config: CoordinatorConfig = {
    coordinator: options.id,
    address: options.advertise ?? server.address,
    cluster: options.cluster,
    duckdb: binder.version(),
    ...(alerts === undefined ? {} : { alerts: alerts.config }),
  };
  const roleChanged = (role: RoleName, epoch: number) => {
    log.info("role changed", { role, epoch });
    changes.all();
  };
  const receivers = { hub, calls, changes, events: opened.events, log, roleChanged };
  const post = (message: Message) => mailbox.postSurely(message);
  const interpret = createInterpreter({ config, ports, receivers, post });
  mailbox.open(config, interpret, options);
  const stopWatching = await ports.registry.watchLeader((hint) =>
    post({ kind: "leaderHeard", ...hint }),
  );
  alerts?.sender.watchChannels((channel, state, reason) =>
    post({ kind: "channelChanged", channel, state, reason }),
  );
  const ticker = setInterval(() => post({ kind: "tick" }), limits.tickEveryMs);
  server.setServing(true);
  return {
    address: server.address,
    metrics: metrics?.address,
    stop: () =>
      atMost(limits.shutdownGraceMs + 2_000, async () => {
        clearInterval(ticker);
        await metrics?.close();
        post({ kind: "stop" });
        await server.stop();
        mailbox.close();
        stopWatching();
        await alerts?.sender.close();
        await ports.registry.close();
        binder.close();
        await link.close();
      }),
  };
}

/** The state is read between two steps, and only read: a scrape is no message, and nobody waits for it. */
async function openMetrics({ metrics: address, clock, log }: CoordinatorOptions, mailbox: Mailbox) {
  if (address === undefined) return undefined;
  // A library that is not needed otherwise.
  const { serveMetrics } = await import("../../shared/adapters/metrics-server.ts");
  const version = projectVersion();
  const read = () => metricsOf(mailbox.state, clock.now(), { version, ...processFigures() });
  const server = await serveMetrics({ address, read, log });
  log.info("metrics can be scraped", { address: server.address });
  return server;
}

interface OpenedPorts {
  readonly ports: CoordinatorPorts;
  readonly events: Events;
  readonly link: Awaited<ReturnType<typeof connectNats>>;
  readonly binder: SqlBinder & { close(): void };
}

/** Storage first: it fails fast, while NATS may have to be waited for. */
async function openPorts(options: CoordinatorOptions, stops: ChaosPoints): Promise<OpenedPorts> {
  const { id, cluster, root, replicas, log } = options;
  const store = await openStore(root, stops.storeCalls());
  const link = await connectNats({ servers: options.nats, name: `coordinator ${id}`, log });
  try {
    const reserve = await openReserve(link, { cluster, replicas });
    const ports = {
      store,
      inputs: openInputs(root),
      registry: registryWithReserve(
        await patiently(() => openRegistry(link, { cluster, replicas })),
        reserve,
      ),
      journal: stops.journal(
        journalWithReserve(
          await patiently(() => openJournal(link, { cluster, replicas })),
          reserve,
        ),
      ),
      reserve,
      // Exchange data can always be made again: it is not worth copies.
      exchange: stops.exchange(await openExchangeAdmin(link, { replicas: 1 })),
    };
    const binder = await openBinder();
    const planJob = (job: JobSpec) => planWithBinder(job, binder);
    log.info("connected", { nats: link.address, natsVersion: link.serverVersion(), root });
    const calendar = (question: CalendarQuestion) =>
      planCalendar({ ...question, startsMax: limits.calendarStartsMax });
    return {
      ports: {
        ...ports,
        planJob,
        planCalendar: calendar,
        ...(options.alerts === undefined ? {} : { alerts: stops.alerts(options.alerts.sender) }),
      },
      events: openEvents(link, id, log),
      link,
      binder,
    };
  } catch (error) {
    await link.close();
    throw error;
  }
}

/** NATS servers that have just started accept connections before JetStream has a leader: what is `unavailable` waits. */
async function patiently<T>(open: () => Promise<T>): Promise<T> {
  const until = performance.now() + limits.natsConnectMs;
  for (;;) {
    try {
      return await open();
    } catch (error) {
      const mayCome = fromUnknown(error).code === "unavailable";
      if (!mayCome || performance.now() >= until) throw error;
      await new Promise((resume) => setTimeout(resume, 250));
    }
  }
}

/** The way in to an actor that is made after those who post to it. */
class Mailbox {
  #actor: Actor<CoordinatorState, Message, Effect> | undefined;

  open(
    config: CoordinatorConfig,
    interpret: (effect: Effect) => void,
    { clock, crashed, log }: CoordinatorOptions,
  ): void {
    const stop = (error: unknown) => {
      this.close();
      const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
      log.error("the coordinator contradicts itself and stops", { stack });
      crashed(error);
    };
    this.#actor = new Actor<CoordinatorState, Message, Effect>({
      step,
      initial: initialState(config),
      clock,
      mailboxMax: limits.mailboxMessagesMax,
      interpret: (effect) => {
        try {
          interpret(effect);
        } catch (error) {
          stop(error);
        }
      },
      crashed: stop,
    });
  }

  close(): void {
    this.#actor?.stop();
  }

  /** As of the last step. Throws `unavailable` before the actor is there. */
  get state(): CoordinatorState {
    return this.#opened().state;
  }

  /** Throws `mailboxFull`, and `unavailable` before the actor is there. */
  post(message: Message): void {
    this.#opened().post(message);
  }

  #opened(): Actor<CoordinatorState, Message, Effect> {
    if (this.#actor === undefined) throw fail("unavailable", "this coordinator is starting");
    return this.#actor;
  }

  /** For messages that must not be lost: tried again until there is room. */
  postSurely(message: Message): void {
    try {
      this.post(message);
    } catch {
      setImmediate(() => this.postSurely(message));
    }
  }
}

async function atMost(ms: number, action: () => Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resume) => {
    timer = setTimeout(resume, ms);
  });
  await Promise.race([action(), late]);
  clearTimeout(timer);
}
