/**
 * A whole cluster on this machine as separate operating-system processes: nats-server, coordinators, executors.
 * Nothing of it outlives the launcher, unless `release` says so. Used by `daymill up`, the demo and the tests.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { projectRoot } from "../shared/adapters/project.ts";
import { fail } from "../shared/kernel/failure.ts";
import { limits } from "../shared/kernel/limits.ts";
import { launch, type ManagedProcess, signalGroup } from "./managed-process.ts";
import { ProcessGuard } from "./process-guard.ts";

export interface LocalClusterOptions {
  /** Folder for everything: NATS' files, logs, workers' temporary files; the storage root is `storage` in it. */
  readonly work: string;
  readonly storageRoot?: string;
  readonly executors: number;
  readonly slots: number;
  /** Default 2. */
  readonly coordinators?: number;
  /** DuckDB's memory of one worker, in bytes; default limits.workerMemoryBytesDefault. */
  readonly memoryBytes?: number;
  /** DuckDB threads of one worker. */
  readonly threads?: number;
  /** Use this server instead of starting one. */
  readonly natsUrl?: string;
  /** The most that the server started here may store, in bytes; default: more than the leader ever lets it. */
  readonly natsStoreBytes?: number;
  /** Port of the first coordinator, the others follow; 0 (default): any free ones. */
  readonly firstPort?: number;
  /** Port of the first coordinator's metrics, the others follow; 0: any free ones. Absent: none are told. */
  readonly metricsPort?: number;
  /** Name of the cluster, to keep clusters on one NATS apart; default `daymill`. */
  readonly cluster?: string;
  readonly logLevel?: string;
  /** Ends the start early: what was started is stopped again, and the start fails with `cancelled`. */
  readonly signal?: AbortSignal;
  /** Variables for one process more, by its name (`coordinator-1`). */
  readonly env?: (name: string) => Readonly<Record<string, string>>;
  /** The NATS address that a process is given instead of the server's own: something of yours between the two. */
  readonly natsVia?: (name: string, server: string) => string;
  /** The address that a coordinator gives to others instead of the one where it listens. */
  readonly grpcVia?: (name: string, listens: string) => string;
  /** Folder of the compiled programs; default: where this program was compiled to, else the project's dist. */
  readonly dist?: string;
}

export interface CoordinatorHandle {
  readonly id: string;
  readonly pid: number;
  /** gRPC `host:port`. */
  readonly address: string;
  /** `host:port` where its metrics are scraped; absent: nowhere. */
  readonly metrics?: string;
}

export interface ExecutorHandle {
  readonly id: string;
  readonly pid: number;
}

/** A running cluster. The lists hold what was started and not found ended. */
export interface LocalCluster {
  readonly natsUrl: string;
  readonly storageRoot: string;
  readonly logs: string;
  readonly coordinators: readonly CoordinatorHandle[];
  readonly executors: readonly ExecutorHandle[];
  /** Every process of ours, nats-server included, in the order of start. */
  processes(): readonly { readonly name: string; readonly pid: number; readonly command: string }[];
  addCoordinator(): Promise<CoordinatorHandle>;
  /** Starts a coordinator that has ended again, under its name; its port may change. */
  restartCoordinator(id: string): Promise<CoordinatorHandle>;
  addExecutor(options?: { readonly slots?: number }): Promise<ExecutorHandle>;
  /** Starts nats-server again on the same port and files, after it was killed. Only for a server of ours. */
  restartNats(): Promise<void>;
  /** Kills every process (SIGKILL), then starts all of them again under their names; ports of coordinators may change. */
  restartAll(): Promise<void>;
  /** Signals one process and its descendants. */
  kill(pid: number, signal: NodeJS.Signals): void;
  /** Waits until a process has ended, with its descendants; false after `withinMs`. */
  ended(pid: number, withinMs: number): Promise<boolean>;
  /** Leaves the cluster running when this process ends. */
  release(): void;
  /** Executors, then coordinators, then nats-server; what does not end in time is killed. */
  stop(): Promise<void>;
}

/** Starts everything and waits until every process is ready. On any failure all of it is stopped again. */
export async function startLocalCluster(options: LocalClusterOptions): Promise<LocalCluster> {
  const cluster = new Cluster(options);
  try {
    await cluster.start();
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

class Cluster implements LocalCluster {
  readonly storageRoot: string;
  readonly logs: string;
  readonly #options: LocalClusterOptions;
  readonly #work: string;
  readonly #guard = new ProcessGuard();
  readonly #running: ManagedProcess[] = [];
  readonly #coordinators: CoordinatorHandle[] = [];
  readonly #executors: ExecutorHandle[] = [];
  #natsPort = 0;
  /** Names and slots as they were first started. */
  readonly #ids: { coordinators: string[]; executors: { id: string; slots: number }[] };

  constructor(options: LocalClusterOptions) {
    this.#options = options;
    this.#ids = { coordinators: [], executors: [] };
    this.#work = resolve(options.work);
    this.logs = join(this.#work, "logs");
    this.storageRoot = resolve(options.storageRoot ?? join(this.#work, "storage"));
    for (const folder of [this.logs, this.storageRoot, join(this.#work, "nats")]) {
      makeFolder(folder);
    }
  }

  get natsUrl(): string {
    return this.#options.natsUrl ?? `nats://127.0.0.1:${this.#natsPort}`;
  }

  get coordinators(): readonly CoordinatorHandle[] {
    return this.#coordinators.filter(({ pid }) => this.#alive(pid));
  }

  get executors(): readonly ExecutorHandle[] {
    return this.#executors.filter(({ pid }) => this.#alive(pid));
  }

  async start(): Promise<void> {
    if (this.#options.natsUrl === undefined) {
      this.#natsPort = await freePort();
      await this.restartNats();
    }
    const { coordinators = 2, executors } = this.#options;
    await settled([
      ...Array.from({ length: coordinators }, () => this.addCoordinator()),
      ...Array.from({ length: executors }, () => this.addExecutor()),
    ]);
  }

  processes() {
    return this.#running
      .filter((entry) => entry.exit() === undefined)
      .map(({ name, pid, command }) => ({ name, pid, command }));
  }

  async addCoordinator(): Promise<CoordinatorHandle> {
    const id = `coordinator-${this.#ids.coordinators.length + 1}`;
    this.#ids.coordinators.push(id);
    return this.#startCoordinator(id);
  }

  async restartCoordinator(id: string): Promise<CoordinatorHandle> {
    const handle = this.#coordinators.findLast((one) => one.id === id);
    if (handle === undefined) throw fail("badRequest", `no coordinator ${id} was started here`);
    if (this.#alive(handle.pid)) throw fail("conflict", `coordinator ${id} still runs`);
    this.#guard.forget(handle.pid);
    return this.#startCoordinator(id);
  }

  async addExecutor(options: { readonly slots?: number } = {}): Promise<ExecutorHandle> {
    const id = `executor-${this.#ids.executors.length + 1}`;
    const slots = options.slots ?? this.#options.slots;
    this.#ids.executors.push({ id, slots });
    return this.#startExecutor(id, slots);
  }

  async restartNats(): Promise<void> {
    if (this.#natsPort === 0) throw fail("badRequest", "this nats-server was not started here");
    const folder = join(this.#work, "nats");
    // A test may have taken it away: a server that lost everything.
    makeFolder(folder);
    const config = join(folder, "nats-server.conf");
    writeFileSync(config, natsConfig(this.#natsPort, folder, this.#options.natsStoreBytes));
    const started = await this.#launch("nats-server", await natsServer(), ["-c", config]);
    for (let waited = 0; !(await accepts(this.#natsPort)); waited += 50) {
      if (started.exit() !== undefined || waited > 10_000) {
        const text = `nats-server did not start; see ${started.logFile}`;
        throw fail("unavailable", text, { log: started.logFile });
      }
      await new Promise((resume) => setTimeout(resume, 50));
    }
  }

  async restartAll(): Promise<void> {
    const live = this.#running.filter((entry) => entry.exit() === undefined);
    for (const entry of live) entry.signal("SIGKILL");
    await Promise.all(live.map((entry) => entry.ended(limits.shutdownGraceMs)));
    for (const { pid } of live) this.#guard.forget(pid);
    if (this.#natsPort !== 0) await this.restartNats();
    await settled([
      ...this.#ids.coordinators.map((id) => this.#startCoordinator(id)),
      ...this.#ids.executors.map(({ id, slots }) => this.#startExecutor(id, slots)),
    ]);
  }

  kill(pid: number, signal: NodeJS.Signals): void {
    signalGroup(pid, signal);
  }

  async ended(pid: number, withinMs: number): Promise<boolean> {
    const found = this.#running.find((entry) => entry.pid === pid);
    return found === undefined || found.ended(withinMs);
  }

  release(): void {
    for (const entry of this.#running) entry.release();
    this.#guard.release();
  }

  async stop(): Promise<void> {
    for (const role of ["executor", "coordinator", "nats-server"]) {
      const members = this.#running.filter((entry) => entry.name.startsWith(role));
      await Promise.all(members.map((entry) => this.#end(entry)));
    }
    this.#guard.release();
  }

  async #end(entry: ManagedProcess): Promise<void> {
    entry.signal("SIGTERM");
    // A stopped process does not hear SIGTERM.
    entry.signal("SIGCONT");
    if (!(await entry.ended(limits.shutdownGraceMs))) {
      entry.signal("SIGKILL");
      await entry.ended(limits.shutdownGraceMs);
    }
    this.#guard.forget(entry.pid);
  }

  async #startCoordinator(id: string): Promise<CoordinatorHandle> {
    const index = this.#ids.coordinators.indexOf(id);
    const { firstPort = 0, metricsPort, grpcVia } = this.#options;
    // Whoever stands between has to know the port before it is listened on.
    const port = firstPort !== 0 ? firstPort + index : grpcVia === undefined ? 0 : await freePort();
    const listen = `127.0.0.1:${port}`;
    const advertise = grpcVia === undefined ? [] : ["--advertise", grpcVia(id, listen)];
    const scraped = metricsPort === undefined ? [] : ["--metrics", portText(metricsPort, index)];
    const args = ["--listen", listen, ...advertise, ...scraped];
    const started = await this.#startRole("coordinator", id, args);
    const ready = await started.ready(limits.localReadyMs, this.#options.signal);
    const address = String(ready["address"]);
    const metrics = ready["metrics"] === undefined ? {} : { metrics: String(ready["metrics"]) };
    const handle = { id, pid: started.pid, address, ...metrics };
    this.#coordinators.push(handle);
    return handle;
  }

  async #startExecutor(id: string, slots: number): Promise<ExecutorHandle> {
    const { memoryBytes = limits.workerMemoryBytesDefault, threads } = this.#options;
    const args = [
      ["--slots", String(slots)],
      ["--memory", String(memoryBytes)],
      ["--work-dir", join(this.#work, "tmp", id)],
      threads === undefined ? [] : ["--threads", String(threads)],
    ].flat();
    makeFolder(join(this.#work, "tmp", id));
    const started = await this.#startRole("executor", id, args);
    await started.ready(limits.localReadyMs, this.#options.signal);
    const handle = { id, pid: started.pid };
    this.#executors.push(handle);
    return handle;
  }

  #startRole(role: "coordinator" | "executor", id: string, args: readonly string[]) {
    const { cluster = "daymill", logLevel = "info", dist, natsVia } = this.#options;
    const nats = natsVia === undefined ? this.natsUrl : natsVia(id, this.natsUrl);
    const program = dist === undefined ? rolePath(role) : join(dist, role, "main.js");
    const common = [
      ["--nats", nats],
      ["--root", this.storageRoot],
      ["--id", id],
      ["--cluster", cluster],
      ["--log", logLevel],
    ].flat();
    return this.#launch(id, process.execPath, [...nodeOptions(role), program, ...common, ...args]);
  }

  async #launch(name: string, command: string, args: readonly string[]): Promise<ManagedProcess> {
    const started = await launch({
      name,
      command,
      args,
      outFile: join(this.logs, `${name}.out`),
      logFile: join(this.logs, `${name}.log`),
      ...(this.#options.env === undefined ? {} : { env: this.#options.env(name) }),
    });
    this.#guard.watch(started.pid);
    this.#running.push(started);
    return started;
  }

  #alive(pid: number): boolean {
    return this.#running.some((entry) => entry.pid === pid && entry.exit() === undefined);
  }
}

/** Of the so-and-so-many-th that listens; 0 = any free one. */
function portText(first: number, index: number): string {
  return String(first === 0 ? 0 : first + index);
}

/** What Node itself is told of a role: what can't be set once it runs. */
export function nodeOptions(role: "coordinator" | "executor"): readonly string[] {
  return role === "coordinator" ? [`--max-semi-space-size=${limits.coordinatorYoungMiB}`] : [];
}

/** The program of a role, beside this one where both are compiled, else in the project's dist. */
export function rolePath(role: "coordinator" | "executor"): string {
  const beside = fileURLToPath(new URL(`../${role}/main.js`, import.meta.url));
  const built = join(projectRoot(), "dist", role, "main.js");
  const found = [beside, built].find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw fail("unavailable", `${built} is missing: build the project first with ./scripts/build`);
}

/** Path of a nats-server that fits, found or obtained by scripts/nats-server. */
async function natsServer(): Promise<string> {
  const given = process.env["DAYMILL_NATS_SERVER"];
  if (given !== undefined && given !== "") return given;
  try {
    const { stdout } = await promisify(execFile)(join(projectRoot(), "scripts/nats-server"));
    return stdout.trim();
  } catch (error) {
    const said = String((error as { stderr?: unknown }).stderr ?? error).trim();
    throw fail("unavailable", `no nats-server to start: ${said}`, {}, error);
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? String(error);
    const text = `folder ${folder} cannot be made (${errno}); choose another folder`;
    throw fail("storageDenied", text, { errno }, error);
  }
}

/** By itself above the leader's byte budget: the leader makes room before the server has to refuse. */
function natsConfig(
  port: number,
  folder: string,
  storeBytes = Math.ceil(limits.exchangeBytesBudget * 1.2),
): string {
  return [
    `listen: "127.0.0.1:${port}"`,
    `pid_file: ${JSON.stringify(join(folder, "nats-server.pid"))}`,
    "jetstream {",
    `  store_dir: ${JSON.stringify(folder)}`,
    "  max_memory_store: 64MB",
    `  max_file_store: ${storeBytes}`,
    "}",
    "",
  ].join("\n");
}

/** A port that was free a moment ago; a fixed one is needed because a restarted server must keep its address. */
function freePort(): Promise<number> {
  return new Promise((resume, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      probe.close(() => resume(port));
    });
  });
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resume) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resume(true);
    });
    socket.once("error", () => resume(false));
  });
}

/** Waits for all, then throws the first failure: nothing is still starting when the clean-up begins. */
async function settled(works: readonly Promise<unknown>[]): Promise<void> {
  const results = await Promise.allSettled(works);
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
