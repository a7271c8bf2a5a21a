/**
 * The client library: one object that finds the leader, follows it, and never goes back in time.
 * Retries only what may succeed elsewhere; a submit carries a request id, so its retry returns the same run.
 */
import { randomUUID } from "node:crypto";
import { type CoordinatorClient, connectCoordinator } from "../shared/adapters/grpc-clients.ts";
import type {
  BackfillStatus,
  BacklogStatus,
  DeliveryStatus,
  ExecutorStatus,
  ExplainReply,
  GcReply,
  GetStatusReply,
  JobBundle,
  ListLateReply,
  RunStatus,
  Stamp,
  StartBackfillRequest,
  SubmitReply,
} from "../shared/adapters/grpc-types.ts";
import type { DayMark } from "../shared/kernel/days.ts";
import type { AcknowledgeWish } from "../shared/kernel/delivery.ts";
import { DaymillError, type Failure, fail, fromUnknown } from "../shared/kernel/failure.ts";
import { limits } from "../shared/kernel/limits.ts";
import { AlertCalls } from "./alert-calls.ts";
import type { ClientOptions, ReadOptions, SubmitOptions } from "./client-options.ts";
import { addressOf, answered, missed, nobodyLeads, type Search, startSearch } from "./failover.ts";

/** A job by its files, or by the name under which the cluster knows it. */
export type JobReference = { readonly bundle: JobBundle } | { readonly job: string };

export type BackfillMarkName = "pause" | "resume" | "cancel";

/** What a backfill is to be, and whether it is only asked about. */
export type BackfillRequested = Omit<StartBackfillRequest, "requestId">;

function oneBackfill([backfill]: readonly BackfillStatus[]): BackfillStatus {
  if (backfill !== undefined) return backfill;
  throw fail("internal", "the coordinator has answered without the backfill");
}

/** Ended runs never change again; but a quarantined one may be released. */
export function isEnded(state: string): boolean {
  return ["committed", "quarantined", "failed", "cancelled"].includes(state);
}

/** A connection to a cluster. Every method throws `DaymillError`; close it when done. */
export class DaymillClient {
  readonly alerts = new AlertCalls((perAttemptMs, ask) => this.#call(perAttemptMs, ask));
  readonly #findLeader: (() => Promise<string | undefined>) | undefined;
  readonly #deadlineMs: number;
  readonly #unreachedMs: number;
  readonly #open = new Map<string, CoordinatorClient>();
  #search: Search;
  #seen: { readonly epoch: number; readonly sequence: number } = { epoch: 0, sequence: 0 };

  constructor(options: ClientOptions) {
    this.#search = startSearch(options.coordinators);
    this.#findLeader = options.findLeader;
    this.#deadlineMs = options.deadlineMs ?? limits.grpcDeadlineMs;
    this.#unreachedMs = Math.min(this.#deadlineMs, options.unreachedMs ?? this.#deadlineMs);
  }

  /** What one coordinator says of itself, leader or not. */
  status(address: string): Promise<GetStatusReply> {
    return this.#at(address).getStatus({}, { deadlineMs: limits.clientAttemptMs });
  }

  /** The leader's status. */
  async leader(): Promise<GetStatusReply & { readonly address: string }> {
    return this.#call(limits.clientAttemptMs, async (at, deadlineMs) => {
      const reply = await at.getStatus({}, { deadlineMs });
      if (reply.role === "leader") return { ...reply, address: at.address };
      throw fail("notLeader", `${at.address} does not lead`, { leader: reply.leader });
    });
  }

  /** Starts a run, or finds the live one of this job and day. The same `requestId` always gives the same run. */
  async submit(job: JobReference, day: string, options: SubmitOptions = {}): Promise<SubmitReply> {
    const request = {
      ...named(job),
      requestId: options.requestId ?? randomUUID(),
      day,
      rerun: options.rerun ?? false,
      lane: options.lane ?? "live",
      by: options.by ?? "",
      select: options.select ?? [],
    };
    return this.#call(limits.clientPlanningAttemptMs, (at, deadlineMs) =>
      at.submit(request, { deadlineMs }),
    );
  }

  /** A run's status now. Unknown: `unknownRun`. */
  async run(runId: string): Promise<RunStatus> {
    return this.#call(limits.clientAttemptMs, async (at, deadlineMs) => {
      return known(await at.getRun(this.#request(runId), { deadlineMs }), runId);
    }).then((reply) => reply.run);
  }

  /** Newest runs first, of one job or (empty) of all. */
  async runs(job = "", limit = 20): Promise<readonly RunStatus[]> {
    const reply = await this.#call(limits.clientAttemptMs, (at, deadlineMs) =>
      at.listRuns({ job, limit }, { deadlineMs }),
    );
    return reply.runs;
  }

  /**
   * The run's status after each change, until it has ended (the last one yielded). Goes on with the next leader when
   * one goes away; gives up after the deadline without any news from anybody.
   */
  async *watch(runId: string, signal?: AbortSignal): AsyncGenerator<RunStatus, void, undefined> {
    const stopped = () => signal?.aborted === true;
    let until = performance.now() + this.#deadlineMs;
    while (!stopped()) {
      const asked = await this.#address(until);
      const options = signal === undefined ? {} : { signal };
      const request = this.#request(runId);
      let isTold = false;
      try {
        for await (const reply of this.#at(asked).watchRun(request, options)) {
          this.#accept(reply.stamp, asked);
          this.#search = answered(this.#search, asked);
          isTold = true;
          const { run } = known(reply, runId);
          yield run;
          if (isEnded(run.state)) return;
        }
        // Ended without an end state: the coordinator stopped leading in peace.
        throw new DaymillError(lost(asked));
      } catch (error) {
        if (stopped()) return;
        // A run that stands still gives no news for minutes: the search begins when its teller goes, not before.
        if (isTold) until = performance.now() + this.#deadlineMs;
        await this.#turnFrom(asked, fromUnknown(error), until, error);
      }
    }
  }

  /** Waits for the end of a run and gives its last status. */
  async wait(runId: string): Promise<RunStatus> {
    let last: RunStatus | undefined;
    for await (const status of this.watch(runId)) last = status;
    if (last === undefined) throw fail("unavailable", `nothing was heard of run ${runId}`);
    return last;
  }

  /** Asks for the end of a run; gives the state after it. */
  async cancel(runId: string, reason: string): Promise<string> {
    const request = { runId, reason };
    const reply = await this.#call(limits.clientAttemptMs, (at, deadlineMs) =>
      at.cancel(request, { deadlineMs }),
    );
    return reply.state;
  }

  /** Shows a quarantined run to readers. Done twice it is the same; any other run: `conflict`. */
  async release(runId: string): Promise<void> {
    await this.#call(limits.clientAttemptMs, (at, deadlineMs) =>
      at.release({ runId }, { deadlineMs }),
    );
  }

  /** The plan of a job, with sizes when a day is given; or what changes against the form that the cluster knows. */
  async explain(job: JobReference, day = "", { diff = false } = {}): Promise<ExplainReply> {
    const request = { ...named(job), day, diff };
    return this.#call(limits.clientPlanningAttemptMs, (at, deadlineMs) =>
      at.explain(request, { deadlineMs }),
    );
  }

  async executors(): Promise<readonly ExecutorStatus[]> {
    const reply = await this.#call(limits.clientAttemptMs, (at, deadlineMs) =>
      at.listExecutors({}, { deadlineMs }),
    );
    return reply.executors;
  }

  /** No new work for this executor; it leaves when its running attempts are done. */
  async drain(executorId: string): Promise<void> {
    await this.#call(limits.clientAttemptMs, (at, deadlineMs) =>
      at.drain({ executorId }, { deadlineMs }),
    );
  }

  /** The newest days of a scheduled job with their states, newest first; `days` 0 = those that are acted on. */
  async backlog(job: string, days = 0): Promise<BacklogStatus> {
    const reply = await this.#call(limits.clientAttemptMs, (at, deadlineMs) =>
      at.getBacklog({ job, days }, { deadlineMs }),
    );
    if (reply.backlog === null) throw fail("unknownJob", `nothing is known of job ${job}`);
    return reply.backlog;
  }

  /** Holds, releases or skips a day, or has it made again. In force and on storage when it returns. */
  async mark(job: string, day: string, mark: DayMark, reason = ""): Promise<void> {
    await this.#call(limits.clientAttemptMs, (at, deadlineMs) =>
      at.markDay({ job, day, mark, reason }, { deadlineMs }),
    );
  }

  /** Upstream has delivered all there will be of a day: of one source, or (empty) of all. */
  async delivered(job: string, day: string, source = ""): Promise<void> {
    await this.#call(limits.clientAttemptMs, (at, deadlineMs) =>
      at.delivered({ job, day, source }, { deadlineMs }),
    );
  }

  /** Stops or lets go on what the job catches up; the newest day is not concerned. */
  async pauseBacklog(job: string, paused: boolean, reason = ""): Promise<void> {
    await this.#call(limits.clientAttemptMs, (at, deadlineMs) =>
      at.pauseBacklog({ job, paused, reason }, { deadlineMs }),
    );
  }

  /** Has days made, or made again; on storage when it returns. With `dryRun` only what would be done is told. */
  async startBackfill(wish: BackfillRequested): Promise<BackfillStatus> {
    const request = { ...wish, requestId: randomUUID() };
    const reply = await this.#call(limits.clientAttemptMs, (at, deadlineMs) =>
      at.startBackfill(request, { deadlineMs }),
    );
    return oneBackfill(reply.backfills);
  }

  /** Pauses a backfill, lets it go on, or cancels it: then what runs is run to its end. */
  async markBackfill(id: string, action: BackfillMarkName, reason = ""): Promise<BackfillStatus> {
    const reply = await this.#call(limits.clientAttemptMs, (at, deadlineMs) =>
      at.markBackfill({ id, action, reason }, { deadlineMs }),
    );
    return oneBackfill(reply.backfills);
  }

  /** Newest first; no job: of all. */
  async backfills(job = ""): Promise<readonly BackfillStatus[]> {
    const reply = await this.#call(limits.clientAttemptMs, (at, deadlineMs) =>
      at.listBackfills({ job }, { deadlineMs }),
    );
    return reply.backfills;
  }

  /** What goes by retention, and its removal unless `dryRun`. In parts: `job` empty first, then each reply's `next`. */
  gc(job: string, dryRun: boolean): Promise<GcReply> {
    return this.#call(limits.clientPlanningAttemptMs, (at, deadlineMs) =>
      at.gc({ job, dryRun }, { deadlineMs }),
    );
  }

  /** Files that came for days before the window of a job, newest first. */
  late(job: string): Promise<ListLateReply> {
    return this.#call(limits.clientAttemptMs, (at, deadlineMs) =>
      at.listLate({ job }, { deadlineMs }),
    );
  }

  /** A consumer has a dataset's day; on storage when it returns. Said twice it is the same. */
  async acknowledge(wish: AcknowledgeWish): Promise<DeliveryStatus> {
    const reply = await this.#call(limits.clientAttemptMs, (at, deadlineMs) =>
      at.acknowledge(wish, { deadlineMs }),
    );
    const [delivery] = reply.deliveries;
    if (delivery !== undefined) return delivery;
    throw fail("internal", "the coordinator has answered without the delivery");
  }

  /** Newest day first; no job: of all; `days` 0: those of each job's window. */
  async deliveries(job = "", days = 0): Promise<readonly DeliveryStatus[]> {
    const reply = await this.#call(limits.clientAttemptMs, (at, deadlineMs) =>
      at.listDeliveries({ job, days }, { deadlineMs }),
    );
    return reply.deliveries;
  }

  /** Arrow IPC stream bytes of a committed dataset day, in chunks. Retried only before the first chunk. */
  async *read(
    dataset: string,
    day: string,
    options: ReadOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { revision = 0, limit = 0, orderBy = "" } = options;
    const request = { dataset, day, revision, limit, orderBy };
    const first = await this.#call(limits.clientAttemptMs, async (at) => {
      const replies = at.readDataset(request);
      const { value } = await replies.next();
      return { stamp: value?.stamp ?? null, value, replies };
    });
    if (first.value === undefined) return;
    yield first.value.arrow;
    for await (const reply of first.replies) yield reply.arrow;
  }

  close(): void {
    for (const open of this.#open.values()) open.close();
    this.#open.clear();
  }

  /** Asks the leader, looking for it until the deadline. */
  async #call<Reply extends { readonly stamp: Stamp | null }>(
    perAttemptMs: number,
    action: (at: CoordinatorClient, deadlineMs: number) => Promise<Reply>,
  ): Promise<Reply> {
    const until = performance.now() + this.#deadlineMs;
    for (;;) {
      const asked = await this.#address(until);
      try {
        const reply = await action(this.#at(asked), perAttemptMs);
        this.#accept(reply.stamp, asked);
        this.#search = answered(this.#search, asked);
        return reply;
      } catch (error) {
        await this.#turnFrom(asked, fromUnknown(error), until, error);
      }
    }
  }

  /** Chooses who is asked next, after a pause; throws when that is pointless or the deadline has come. */
  async #turnFrom(asked: string, failure: Failure, until: number, error?: unknown): Promise<void> {
    const next = missed(this.#search, asked, failure);
    if (next.kind === "giveUp")
      throw error instanceof DaymillError ? error : new DaymillError(failure);
    this.#search = next.search;
    const mayCome = next.search.heard || this.#findLeader !== undefined;
    const last = mayCome ? until : until - this.#deadlineMs + this.#unreachedMs;
    if (performance.now() + next.waitMs >= last) throw this.#nobody(failure, error);
    if (next.waitMs > 0) {
      await new Promise((resolve) => setTimeout(resolve, next.waitMs));
      await this.#askRegistry();
    }
  }

  async #address(until: number): Promise<string> {
    for (let waitMs = 100; ; waitMs = Math.min(1_000, waitMs * 2)) {
      const address = addressOf(this.#search);
      if (address !== undefined) return address;
      await this.#askRegistry();
      if (addressOf(this.#search) !== undefined) continue;
      if (performance.now() + waitMs >= until) throw this.#nobody(undefined, undefined);
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
  }

  async #askRegistry(): Promise<void> {
    const found = await this.#findLeader?.().catch(() => undefined);
    if (found === undefined || this.#search.leader !== undefined) return;
    const { addresses } = this.#search;
    const all = addresses.includes(found) ? addresses : [...addresses, found];
    this.#search = { ...this.#search, addresses: all, leader: found };
  }

  #nobody(failure: Failure | undefined, cause: unknown): DaymillError {
    const canAsk = this.#findLeader !== undefined;
    return nobodyLeads(this.#search, canAsk, this.#deadlineMs, failure, cause);
  }

  #request(runId: string) {
    const { epoch, sequence } = this.#seen;
    return { runId, minSequence: sequence, minEpoch: epoch };
  }

  /** A reply from before what we have seen is some former leader's: ask again. */
  #accept(stamp: Stamp | null, asked: string): void {
    if (stamp === null) return;
    const { epoch, sequence } = this.#seen;
    const stale =
      stamp.epoch < epoch || (stamp.epoch === epoch && stamp.journalSequence < sequence);
    if (stale) {
      throw fail("notLeader", `${asked} answered from before what was already seen`);
    }
    this.#seen = { epoch: stamp.epoch, sequence: stamp.journalSequence };
  }

  #at(address: string): CoordinatorClient {
    const open = this.#open.get(address) ?? connectCoordinator(address);
    this.#open.set(address, open);
    return open;
  }
}

function named(job: JobReference): { bundle: JobBundle | null; job: string } {
  return "bundle" in job ? { bundle: job.bundle, job: "" } : { bundle: null, job: job.job };
}

function known<Reply extends { readonly run: RunStatus | null }>(reply: Reply, runId: string) {
  const { run } = reply;
  if (run === null) throw fail("unknownRun", `no run ${runId}; see daymill runs`, { run: runId });
  return { ...reply, run };
}

function lost(asked: string): Failure {
  return fail("unavailable", `${asked} stopped telling`).failure;
}
