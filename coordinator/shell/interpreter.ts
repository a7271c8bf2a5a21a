/**
 * Effects become I/O here: an Ask is one port call whose outcome comes back as the message `answered`, a Tell goes to
 * its receiver. Asks are started in the order given and never wait for each other. Nothing is decided, nothing kept.
 */
import type { CalendarQuestion, CalendarStart, SourceToSee } from "../../shared/kernel/days.ts";
import { fail, fromUnknown } from "../../shared/kernel/failure.ts";
import type { JobSpec, ReadyRule, SourceSpec } from "../../shared/kernel/job.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import type {
  AlertSender,
  Events,
  ExchangeAdmin,
  Inputs,
  Journal,
  Log,
  Registry,
  Reserve,
  Store,
} from "../../shared/ports.ts";
import { announcedTwins } from "../core/days/announced.ts";
import type {
  Answer,
  Ask,
  Effect,
  ListedSource,
  Message,
  RoleName,
  StreamRecords,
  Tell,
} from "../core/protocol.ts";
import type { CoordinatorConfig } from "../core/state.ts";
import type { Calls } from "./calls.ts";
import type { ExecutorHub } from "./grpc-hub.ts";
import { listHistory } from "./list-history.ts";
import { planForms } from "./plan.ts";
import type { RunChanges } from "./run-changes.ts";

/** Everything that asks reach. */
export interface CoordinatorPorts {
  readonly registry: Registry;
  readonly journal: Journal;
  readonly store: Store;
  readonly inputs: Inputs;
  readonly exchange: ExchangeAdmin;
  readonly reserve: Reserve;
  /** Absent: no alerts are configured. */
  readonly alerts?: AlertSender;
  readonly planJob: (job: JobSpec) => Promise<JobPlan>;
  /** Errors: `jobInvalid`. */
  readonly planCalendar: (question: CalendarQuestion) => readonly CalendarStart[];
}

/** Everything that tells reach. */
export interface Receivers {
  readonly hub: Pick<ExecutorHub, "send" | "close">;
  readonly calls: Pick<Calls, "settle">;
  readonly changes: RunChanges;
  readonly events: Events;
  readonly log: Log;
  readonly roleChanged: (role: RoleName, epoch: number) => void;
}

/** The function that the actor hands each effect to. `post` must not lose messages. */
export function createInterpreter(options: {
  readonly config: CoordinatorConfig;
  readonly ports: CoordinatorPorts;
  readonly receivers: Receivers;
  readonly post: (message: Message) => void;
}): (effect: Effect) => void {
  const { ports, config, receivers, post } = options;
  const carriers = {
    ...leadershipCarriers(ports, config),
    ...storageCarriers(ports),
    ...tidyCarriers(ports),
    ...workCarriers(ports),
    ...alertCarriers(ports),
  } satisfies Carriers;
  return (effect) => {
    if (!("id" in effect)) {
      tell(effect, receivers, post);
      return;
    }
    const { id } = effect;
    // The key and the value come from the same effect; the type system cannot follow that over a union.
    const carry = carriers[effect.kind] as (ask: Ask) => Promise<Answer>;
    carry(effect).then(
      (answer) => post({ kind: "answered", id, answer }),
      (error: unknown) => {
        const failure = fromUnknown(error);
        if (failure.code === "internal") note(receivers.log, effect.kind, error);
        post({ kind: "answered", id, answer: { kind: "failed", failure } });
      },
    );
  };
}

type Carriers = {
  readonly [K in Ask["kind"]]: (ask: Extract<Ask, { readonly kind: K }>) => Promise<Answer>;
};

const ok: Answer = { kind: "ok" };

function leadershipCarriers(ports: CoordinatorPorts, config: CoordinatorConfig) {
  const { registry, journal, store } = ports;
  const { coordinator, address } = config;
  return {
    readFences: async () => {
      const [heard, claimed] = await Promise.all([registry.highestEpoch(), store.highestEpoch()]);
      return { kind: "fences", registry: heard, storage: claimed };
    },
    takeEpoch: async ({ epoch }) => {
      return { kind: "taken", taken: await registry.takeEpoch(epoch, coordinator, address) };
    },
    claimStorage: async ({ epoch }) => ({ kind: "taken", taken: await store.claim(epoch) }),
    renew: async ({ epoch, beat }) => {
      await registry.renew({ epoch, coordinator, address, beat });
      return ok;
    },
    readJournal: async ({ from, recordsMax }) => {
      const last = await journal.lastSequence();
      const records: { readonly sequence: number; readonly text: string }[] = [];
      if (recordsMax > 0) {
        for await (const record of journal.read(from)) {
          records.push(record);
          if (records.length >= recordsMax) break;
        }
      }
      return { kind: "records", last, records };
    },
    append: async ({ expected, text }) => {
      return { kind: "appended", sequence: await journal.append(expected, text) };
    },
    trimJournal: async ({ sequence }) => {
      await journal.trim(sequence);
      return ok;
    },
  } satisfies Partial<Carriers>;
}

function storageCarriers({ store }: CoordinatorPorts) {
  return {
    readStorage: async () => {
      const [jobs, requests, manifests, snapshot, desks, alerts] = await Promise.all([
        store.readJobs(),
        store.readRequests(),
        store.readManifests(),
        store.readSnapshot(),
        store.readDesks(),
        store.readAlerts(),
      ]);
      const found = {
        jobs,
        requests,
        manifests,
        desks,
        ...(snapshot === undefined ? {} : { snapshot }),
        ...(alerts === undefined ? {} : { alerts }),
      };
      return { kind: "stored", ...found };
    },
    saveSnapshot: async ({ epoch, sequence, texts }) => {
      await store.saveSnapshot(epoch, { sequence, texts });
      return ok;
    },
    saveJob: async ({ epoch, job, digest }) => {
      await store.saveJob(epoch, { spec: job, digest });
      return ok;
    },
    saveRequest: async ({ epoch, request }) => {
      await store.saveRequest(epoch, request);
      return ok;
    },
    dropRequest: async ({ epoch, run }) => {
      await store.dropRequest(epoch, run);
      return ok;
    },
    saveDesk: async ({ epoch, job, desk }) => {
      await store.saveDesk(epoch, { job, desk });
      return ok;
    },
    readRevision: async ({ run }) => {
      const manifest = await store.readManifest(run.job, run.day, run.revision);
      return { kind: "revision", ...(manifest === undefined ? {} : { manifest }) };
    },
    saveAlerts: async ({ epoch, document }) => {
      await store.saveAlerts(epoch, document);
      return ok;
    },
    arrange: async ({ epoch, run, files }) => {
      return { kind: "arranged", paths: await store.arrange(epoch, run, files) };
    },
    commit: async ({ epoch, manifest }) => {
      return { kind: "manifest", manifest: await store.commit(epoch, manifest) };
    },
    publish: async ({ epoch, manifest }) => {
      await store.publish(epoch, manifest);
      return ok;
    },
    release: async ({ epoch, run, wallMs }) => {
      return { kind: "manifest", manifest: await store.release(epoch, run, wallMs) };
    },
    rebuildViews: async ({ epoch }) => {
      await store.rebuildViews(epoch);
      return ok;
    },
    checkViews: async ({ job, day, datasets }) => {
      await store.checkViews(job, day, datasets);
      return ok;
    },
  } satisfies Partial<Carriers>;
}

/** What lies on storage beside what readers see. */
function tidyCarriers({ store }: CoordinatorPorts) {
  return {
    listStaging: async ({ isMeasured }) => {
      const runs = await store.listStaging();
      // How much room there is may be what nobody can tell; what is staged is told all the same.
      const room = await store.room().catch(() => undefined);
      const found = { kind: "staging", runs, ...(room === undefined ? {} : { room }) } as const;
      if (isMeasured === undefined) return found;
      const bytes: number[] = [];
      for (const run of runs) bytes.push(await store.stagingBytes(run));
      return { ...found, bytes };
    },
    listStaged: async ({ runs }) => {
      const paths: string[] = [];
      for (const run of runs) paths.push(...(await store.listStaged(run)));
      return { kind: "staged", runs, paths };
    },
    dropStaging: async ({ epoch, run }) => {
      await store.dropStaging(epoch, run);
      return ok;
    },
    listRevisions: async ({ from, daysMax }) => {
      return { kind: "revisions", ...(await store.listRevisions(from, daysMax)) };
    },
    dropRevision: async ({ epoch, run, arrangedBy, datasets }) => {
      await store.dropRevision(epoch, run, arrangedBy, datasets);
      return ok;
    },
  } satisfies Partial<Carriers>;
}

function workCarriers(ports: CoordinatorPorts) {
  const { inputs, exchange, reserve, store, planJob, planCalendar } = ports;
  const list = async (source: SourceSpec, rule: ReadyRule | undefined, day: string) => {
    const files = await inputs.listSource(source, day);
    const twins = rule?.by === "manifest" ? await twinsAmong(files, { source, rule }, day) : [];
    const rows = source.format === "parquet" ? await inputs.parquetRows(files) : undefined;
    const listed: ListedSource = {
      source: source.name,
      files,
      ...(rows === undefined ? {} : { rows }),
      ...(twins.length === 0 ? {} : { twins }),
    };
    return listed;
  };
  const twinsAmong = async (files: ListedSource["files"], wanted: SourceToSee, day: string) => {
    // A control file that can't be used is no reason against a run: the files are compared when they are read.
    const [look] = await inputs.look([wanted], day);
    return announcedTwins(files, look?.announced ?? []);
  };
  return {
    planJob: async ({ job, others = [] }) => {
      return { kind: "planned", plan: await planForms(job, others, planJob) };
    },
    listInputs: async ({ day, sources, dimensions, ready, history = [] }) => {
      const listed: ListedSource[] = [];
      for (const source of sources) listed.push(await list(source, ready?.[source.name], day));
      for (const pin of history) listed.push(await listHistory({ inputs, store }, pin));
      const prints = await Promise.all(dimensions.map((spec) => inputs.dimension(spec, day)));
      return { kind: "listed", sources: listed, dimensions: prints };
    },
    lookAtDay: async ({ day, sources }) => {
      return { kind: "looked", sources: await inputs.look(sources, day) };
    },
    planCalendar: async (question) => ({ kind: "calendar", starts: planCalendar(question) }),
    ensureStreams: async ({ streams }) => {
      return { kind: "ensured", created: await exchange.ensure(streams) };
    },
    dropStreams: async ({ streams }) => {
      await exchange.drop(streams);
      return ok;
    },
    readCompletions: async ({ run, streams }) => {
      const found: StreamRecords[] = [];
      // One after the other: a day may have many streams, and nothing is in a hurry.
      for (const stream of streams) {
        const records = await exchange.completions(stream);
        if (records !== undefined) found.push({ stream, ...records });
      }
      return { kind: "completions", streams: found, staged: await store.listStaged(run) };
    },
    readUsage: async () => {
      // Before anybody is let in again: what starts then would take the room. Other trouble says nothing of room.
      const isTight = !(await reserve.hold().catch(() => true));
      const streams = await exchange.usage();
      return { kind: "usage", streams, ...(isTight ? { isTight } : {}) };
    },
    listWriters: async ({ streams }) => {
      const found: { stream: string; attempts: readonly string[] }[] = [];
      for (const stream of streams) {
        const attempts = await exchange.writers(stream);
        if (attempts !== undefined) found.push({ stream, attempts });
      }
      return { kind: "writers", streams: found };
    },
    purgeStreams: async ({ streams, attempts }) => {
      for (const attemptId of attempts) await exchange.purge(streams, attemptId);
      return ok;
    },
  } satisfies Partial<Carriers>;
}

function alertCarriers({ alerts }: CoordinatorPorts) {
  const sender = () => {
    if (alerts !== undefined) return alerts;
    throw fail("badRequest", "this coordinator has no alert channels: start it with --alerts FILE");
  };
  return {
    sendNotice: async ({ notice }) => {
      await sender().send(notice);
      return ok;
    },
    sendHeartbeat: async () => {
      await sender().heartbeat();
      return ok;
    },
  } satisfies Partial<Carriers>;
}

function tell(effect: Tell, to: Receivers, post: (message: Message) => void): void {
  switch (effect.kind) {
    case "again":
      setImmediate(() => post({ kind: "proceed" }));
      return;
    case "toExecutor":
      to.hub.send(effect.connection, effect.epoch, effect.command);
      return;
    case "closeConnection":
      to.hub.close(effect.connection);
      return;
    case "reply":
      to.calls.settle(effect.reply, effect.stamp, effect.result);
      return;
    case "publishEvent": {
      const { job, day, event, wallMs, data } = effect;
      to.events.publish({ job, day, kind: event, wallMs, data });
      return;
    }
    case "runChanged":
      to.changes.changed(effect.run);
      return;
    case "roleChanged":
      to.roleChanged(effect.role, effect.epoch);
      return;
    case "log":
      to.log[effect.level](effect.message, effect.fields);
      return;
  }
}

/** An error that no adapter translated is a defect of ours: its stack is worth a line. */
function note(log: Log, effect: string, error: unknown): void {
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  log.error("an effect failed for a reason that no adapter knows", { effect, stack });
}
