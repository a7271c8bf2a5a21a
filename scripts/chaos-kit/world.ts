/**
 * One trial's world: a cluster of real processes in a folder of its own, a day of files, the journal seen from outside.
 * Scenarios act through it. Every wait has a bound and says what it waited for.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DaymillClient } from "../../client/client.ts";
import {
  type CoordinatorHandle,
  type ExecutorHandle,
  type LocalCluster,
  startLocalCluster,
} from "../../client/local-cluster.ts";
import type { Run } from "../../coordinator/core/durable.ts";
import type { JobBundle } from "../../shared/adapters/grpc-types.ts";
import { openInputs } from "../../shared/adapters/inputs.ts";
import { parseJob, readJobBundle } from "../../shared/adapters/job-file.ts";
import { DaymillError, fail } from "../../shared/kernel/failure.ts";
import { isDelimited, type JobSpec } from "../../shared/kernel/job.ts";
import type { Data, Wants } from "./data.ts";
import { type JournalView, JournalWatch } from "./journal-watch.ts";
import { Mount } from "./mount.ts";
import { isStopped } from "./processes.ts";
import { TcpProxy } from "./proxy.ts";
import { skip } from "./scenario.ts";

export const cluster = "chaos";
/** How long anything that must happen may take, on a busy machine with two cores. */
export const patienceMs = 120_000;

/** What a scenario wants of its cluster and its day. */
export interface Shape extends Wants {
  readonly executors: number;
  readonly coordinators: number;
  /** Times the lines that were asked for: files that take long enough to be caught reading. */
  readonly longer: number;
  /** Groups of each exchange: so many tasks read it. */
  readonly groups: number;
  /** Wishes of coordinators (DAYMILL_CHAOS_STOP), in the order in which they are started; empty: none. */
  readonly stops: readonly string[];
  /** A proxy before NATS for each process whose name begins so; empty: none. */
  readonly natsProxies: readonly string[];
  /** A proxy before the gRPC of each coordinator. */
  readonly grpcProxies: boolean;
  /** Bytes of a file system of its own for the storage root; 0: an ordinary folder. */
  readonly storageBytes: number;
  /** The most that nats-server may store, in bytes; 0: more than a trial needs. */
  readonly natsBytes: number;
}

export const usualShape: Omit<Shape, "rows"> = {
  executors: 2,
  coordinators: 2,
  files: 12,
  gzip: false,
  longer: 1,
  groups: 4,
  stops: [],
  natsProxies: [],
  grpcProxies: false,
  storageBytes: 0,
  natsBytes: 0,
};

export class World {
  readonly shape: Shape;
  readonly data: Data;
  readonly work: string;
  readonly proxies = new Map<string, TcpProxy>();
  readonly stopSignal: AbortSignal;
  /** What happened, for people: told as it comes. */
  readonly say: (line: string) => void;
  #cluster: LocalCluster | undefined;
  #watch: JournalWatch | undefined;
  #mount: Mount | undefined;
  #job: { readonly bundle: JobBundle; readonly spec: JobSpec } | undefined;
  #coordinatorStarts = 0;

  constructor(
    shape: Shape,
    options: { data: Data; signal: AbortSignal; say: (line: string) => void },
  ) {
    this.shape = shape;
    this.data = options.data;
    this.stopSignal = options.signal;
    this.say = options.say;
    this.work = mkdtempSync(join(tmpdir(), "daymill-chaos-"));
  }

  /** The job as it is submitted, and what it says. */
  get job(): { readonly bundle: JobBundle; readonly spec: JobSpec } {
    if (this.#job === undefined) throw fail("internal", "the job has not been read yet");
    return this.#job;
  }

  get day(): string {
    return this.data.day;
  }

  get cluster(): LocalCluster {
    if (this.#cluster === undefined) throw fail("internal", "the cluster has not been started");
    return this.#cluster;
  }

  get watch(): JournalWatch {
    if (this.#watch === undefined) throw fail("internal", "the journal is not watched yet");
    return this.#watch;
  }

  get isWatching(): boolean {
    return this.#watch !== undefined;
  }

  get view(): JournalView {
    return this.watch.view;
  }

  get root(): string {
    return this.cluster.storageRoot;
  }

  async start(): Promise<void> {
    const { shape, work } = this;
    const storage = join(work, "storage");
    mkdirSync(storage);
    this.#job = await this.#readJob();
    if (shape.storageBytes > 0) this.#mount = Mount.make(storage, shape.storageBytes);
    await this.makeDay(storage);
    await this.#openProxies();
    this.#cluster = await startLocalCluster({
      work,
      executors: shape.executors,
      slots: 1,
      coordinators: shape.coordinators,
      memoryBytes: 256 * 1024 * 1024,
      threads: 1,
      cluster,
      signal: this.stopSignal,
      env: (name) => this.#env(name),
      ...(shape.natsBytes > 0 ? { natsStoreBytes: shape.natsBytes } : {}),
      natsVia: (name, server) => this.#via(`nats ${name}`, server, "nats://"),
      ...(shape.grpcProxies
        ? { grpcVia: (name: string, listens: string) => this.#via(`grpc ${name}`, listens, "") }
        : {}),
    });
    this.#watch = await JournalWatch.open(this.cluster.natsUrl, cluster);
    await this.wait("a first leader", () => this.view.epoch > 0);
  }

  /** The files of the day, the same each time. */
  makeDay(root: string): Promise<void> {
    const { rows, longer } = this.shape;
    return this.data.make(root, { ...this.shape, rows: rows * longer });
  }

  /** The day's files of lines that are there, as paths below the root, in their order. */
  async lineFiles(): Promise<readonly [string, ...string[]]> {
    const { sources } = this.job.spec;
    const inputs = openInputs(this.root);
    const wanted = sources.filter(({ format }) => isDelimited(format));
    const lists = await Promise.all(wanted.map((one) => inputs.listSource(one, this.day)));
    const [first, ...others] = lists.flat().map(({ path }) => path);
    if (first === undefined) throw skip("no source of this job is a file of lines");
    return [first, ...others];
  }

  /** Waits for something in the journal or the system. Not within the bound: `timeout` that says what. */
  async wait(
    what: string,
    met: (view: JournalView) => boolean,
    withinMs = patienceMs,
  ): Promise<void> {
    const watch = this.watch;
    if (await watch.until(met, withinMs, this.stopSignal)) return;
    throw fail("timeout", `waited ${Math.round(withinMs / 1_000)} s for ${what}`);
  }

  /** The same for an answer that takes an await; a `DaymillError` counts as not yet. */
  async waitFor(what: string, met: () => Promise<boolean>, withinMs = patienceMs): Promise<void> {
    const until = performance.now() + withinMs;
    let last = "";
    for (;;) {
      if (this.stopSignal.aborted) throw fail("cancelled", "interrupted");
      try {
        if (await met()) return;
        last = "";
      } catch (error) {
        if (!(error instanceof DaymillError)) throw error;
        last = `; last: ${error.failure.message}`;
      }
      if (performance.now() > until) {
        throw fail("timeout", `waited ${Math.round(withinMs / 1_000)} s for ${what}${last}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** Asks the cluster as a client would; for one thing at a time. */
  async ask<T>(action: (client: DaymillClient) => Promise<T>): Promise<T> {
    // A paused one would only be waited for.
    const awake = this.cluster.coordinators.filter(({ pid }) => !isStopped(pid));
    const coordinators = awake.map(({ address }) => address);
    const client = new DaymillClient({ coordinators, deadlineMs: 60_000 });
    try {
      return await action(client);
    } finally {
      client.close();
    }
  }

  /** Submits the day; gives the run's id. */
  async submit(options: { rerun?: boolean; requestId?: string } = {}): Promise<string> {
    const { bundle } = this.job;
    const { runId } = await this.ask((client) => client.submit({ bundle }, this.day, options));
    return runId;
  }

  /** The run as the journal has it; undefined before it was created. */
  run(id: string): Run | undefined {
    return this.view.durable.runs.get(id);
  }

  /** Waits until the run has ended and is `state`; otherwise `conflict` with its failure. */
  async runEnds(id: string, state: string, withinMs = patienceMs): Promise<Run> {
    await this.wait(`the end of ${id}`, () => this.run(id)?.ended !== undefined, withinMs);
    const run = this.run(id);
    if (run?.ended === undefined) throw fail("internal", `run ${id} is gone`);
    if (run.state === state) return run;
    const why = run.ended.failure?.message ?? "no failure is told";
    throw fail("conflict", `${id} should be ${state} and is ${run.state}: ${why}`);
  }

  /** The coordinator that saved the last `led`. */
  leader(): CoordinatorHandle {
    const { id, handle } = this.#lastLed();
    if (handle !== undefined) return handle;
    throw fail("internal", `the leader ${id} is not among the running coordinators`);
  }

  hasLeader(): boolean {
    return this.#lastLed().handle !== undefined;
  }

  #lastLed(): { readonly id: string; readonly handle: CoordinatorHandle | undefined } {
    const led = this.view.seen.findLast(({ fact }) => fact.kind === "led")?.fact;
    const id = led?.kind === "led" ? led.coordinator : "";
    return { id, handle: this.cluster.coordinators.find((one) => one.id === id) };
  }

  executor(id: string): ExecutorHandle {
    const found = this.cluster.executors.find((one) => one.id === id);
    if (found !== undefined) return found;
    throw fail("internal", `executor ${id} is not running`);
  }

  /** SIGKILL to a process with its descendants, and its end. */
  async kill(pid: number): Promise<void> {
    this.cluster.kill(pid, "SIGKILL");
    if (await this.cluster.ended(pid, 20_000)) return;
    throw fail("timeout", `waited 20 s for the end of process ${pid} after SIGKILL`);
  }

  /** The proxies whose owner's name begins so: `nats executor`, `grpc coordinator-1`. */
  lines(prefix: string): readonly TcpProxy[] {
    const found = [...this.proxies].filter(([name]) => name.startsWith(prefix));
    if (found.length === 0) throw fail("internal", `no proxy is called ${prefix}…`);
    return found.map(([, proxy]) => proxy);
  }

  get disk(): Mount {
    if (this.#mount === undefined) throw fail("internal", "storage is an ordinary folder");
    return this.#mount;
  }

  /** Ends every process and every line; the folder stays for a look, or goes with `remove`. */
  async stop(): Promise<void> {
    await this.#watch?.close();
    await this.#cluster?.stop();
    for (const proxy of this.proxies.values()) await proxy.close();
  }

  /** Removes the folder, and unmounts what was mounted in it. */
  remove(): void {
    this.#mount?.undo();
    rmSync(this.work, { recursive: true, force: true });
  }

  #env(name: string): Readonly<Record<string, string>> {
    if (!name.startsWith("coordinator-")) return {};
    const stop = this.shape.stops[this.#coordinatorStarts++] ?? "";
    return stop === "" ? {} : { DAYMILL_CHAOS_STOP: stop };
  }

  /**
   * Where all sources are lines every file is made a split of its own: positions in the map stage can be counted. A
   * Parquet file would be cut into as many pieces as it has rows.
   */
  async #readJob(): Promise<{ readonly bundle: JobBundle; readonly spec: JobSpec }> {
    const { data, shape } = this;
    const bundle = await readJobBundle(data.jobFile(shape.gzip));
    const { sources } = parseJob(bundle);
    if (shape.gzip && !sources.some(({ format }) => format === "csv.gz")) {
      throw skip("this job reads no gzip files");
    }
    const isLines = sources.every(({ format }) => isDelimited(format));
    let { jobYaml } = bundle;
    if (isLines) jobYaml = jobYaml.replace(/split_bytes: \w+/, "split_bytes: 1KiB");
    const partitions = Math.max(32, shape.groups);
    const groups = `partitions: ${partitions}, groups: ${shape.groups}`;
    jobYaml = jobYaml.replace(/partitions: \d+, groups: \d+/, groups);
    const changed = { ...bundle, jobYaml };
    return { bundle: changed, spec: parseJob(changed) };
  }

  async #openProxies(): Promise<void> {
    const { shape } = this;
    const names = (role: string, count: number) =>
      Array.from({ length: count }, (_, index) => `${role}-${index + 1}`);
    const coordinators = names("coordinator", shape.coordinators);
    const wanted = [...coordinators, ...names("executor", shape.executors)]
      .filter((name) => shape.natsProxies.some((prefix) => name.startsWith(prefix)))
      .map((name) => `nats ${name}`);
    if (shape.grpcProxies) wanted.push(...coordinators.map((name) => `grpc ${name}`));
    for (const name of wanted) this.proxies.set(name, await TcpProxy.open());
  }

  #via(line: string, target: string, scheme: string): string {
    const proxy = this.proxies.get(line);
    if (proxy === undefined) return target;
    proxy.aim(target);
    return `${scheme}${proxy.address}`;
  }
}
