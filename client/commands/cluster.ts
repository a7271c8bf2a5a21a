/**
 * `daymill up | down | coordinator | executor`: processes of a cluster on this machine.
 */
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { Command, Option } from "commander";
import { parseBytes } from "../../shared/adapters/config.ts";
import { fail } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import {
  liveProcesses,
  readClusterFile,
  stopClusterOf,
  writeClusterFile,
} from "../cluster-file.ts";
import { finish, interruptible, printing, show, wholeNumber } from "../command.ts";
import { firstCoordinatorPort } from "../connect.ts";
import { exitCodes } from "../exit-codes.ts";
import { type LocalCluster, nodeOptions, rolePath, startLocalCluster } from "../local-cluster.ts";
import { waitUntil } from "../managed-process.ts";

interface UpOptions {
  readonly json?: boolean;
  readonly work: string;
  readonly root?: string;
  readonly executors: string;
  readonly slots: string;
  readonly coordinators: string;
  readonly memory: string;
  readonly threads?: string;
  readonly port: string;
  readonly nats?: string;
  readonly metrics?: string;
  readonly alerts?: string;
  readonly log: string;
}

export function upCommand(): Command {
  return printing("up", "run a whole cluster on this machine until Ctrl-C")
    .option("--work <dir>", "folder for its files", ".cache/cluster")
    .option("--root <dir>", "storage root; default storage/ in the work folder")
    .option("--executors <n>", "executors", "2")
    .option("--slots <n>", "slots of an executor, one worker process each", "1")
    .option("--coordinators <n>", "coordinators; one leads", "2")
    .option("--memory <size>", "DuckDB's memory of one worker", "1GiB")
    .option("--threads <n>", "DuckDB threads of one worker")
    .option("--port <n>", "port of the first coordinator; 0 for any", String(firstCoordinatorPort))
    .option("--nats <url>", "use this NATS instead of starting one")
    .option("--metrics <port>", "where the first coordinator's metrics are scraped; 0 for any")
    .option("--alerts <file>", "who is told when something is wrong")
    .addOption(
      new Option("--log <level>", "of its processes")
        .choices(["debug", "info", "warn", "error"])
        .default("info"),
    )
    .action((options: UpOptions) => finish(() => up(options)));
}

async function up(options: UpOptions): Promise<number> {
  const work = resolve(options.work);
  const left = readClusterFile(work);
  if (left !== undefined && liveProcesses(left).length > 0) {
    throw fail(
      "conflict",
      `a cluster runs in ${work} already; stop it with: daymill down --work ${work}`,
    );
  }
  const interrupt = interruptible();
  const { threads, nats, root, metrics, alerts } = options;
  const cluster = await startLocalCluster({
    work,
    executors: wholeNumber("--executors", options.executors, 0, limits.executorsMax),
    slots: wholeNumber("--slots", options.slots, 1, limits.slotsPerExecutorMax),
    coordinators: wholeNumber("--coordinators", options.coordinators, 1, 9),
    memoryBytes: memory(options.memory),
    firstPort: wholeNumber("--port", options.port, 0, 65_000),
    logLevel: options.log,
    signal: interrupt.signal,
    ...(threads === undefined ? {} : { threads: wholeNumber("--threads", threads, 1, 1_024) }),
    ...(nats === undefined ? {} : { natsUrl: nats }),
    ...(metrics === undefined ? {} : { metricsPort: wholeNumber("--metrics", metrics, 0, 65_000) }),
    ...(root === undefined ? {} : { storageRoot: root }),
    ...(alerts === undefined ? {} : { env: toCoordinators({ DAYMILL_ALERTS: resolve(alerts) }) }),
  });
  let isLost = false;
  try {
    const file = writeClusterFile(work, cluster);
    show(options, { ready: true, ...file }, () => upLines(cluster));
    await untilStopped(cluster, interrupt.signal);
    // Whoever stops a cluster in order takes its file away in the end.
    isLost = !interrupt.signal.aborted && !(await isTakenAway(work));
  } finally {
    await cluster.stop();
    await stopClusterOf(work);
    interrupt.done();
  }
  if (!isLost) return exitCodes.ok;
  const text = `no process of the cluster in ${work} is left; see the logs in ${cluster.logs}`;
  throw fail("unavailable", text);
}

function toCoordinators(variables: Readonly<Record<string, string>>) {
  return (name: string) => (name.startsWith("coordinator") ? variables : {});
}

function isTakenAway(work: string): Promise<boolean> {
  return waitUntil(() => readClusterFile(work) === undefined, 1_000);
}

function upLines(cluster: LocalCluster): readonly string[] {
  const addresses = cluster.coordinators.map((coordinator) => coordinator.address).join(",");
  return [
    `NATS          ${cluster.natsUrl}`,
    `coordinators  ${addresses}`,
    ...cluster.coordinators.flatMap(({ metrics }) =>
      metrics === undefined ? [] : [`metrics       http://${metrics}/metrics`],
    ),
    `executors     ${cluster.executors.map((executor) => executor.id).join(", ")}`,
    `storage root  ${cluster.storageRoot}`,
    `logs          ${cluster.logs}`,
    "",
    `  export DAYMILL_COORDINATORS=${addresses}`,
    "",
    "Ctrl-C stops it.",
  ];
}

/**
 * A process that ends by itself is told once; the cluster goes on without it, as a real one would. With the last one
 * there is nothing left to wait for: somebody has stopped it (`daymill down`), or all of it has died.
 */
export async function untilStopped(
  cluster: Pick<LocalCluster, "processes" | "logs">,
  signal: AbortSignal,
): Promise<void> {
  const missing = new Set<string>();
  const all = cluster.processes();
  while (!signal.aborted) {
    const running = new Set(cluster.processes().map(({ pid }) => pid));
    for (const { name, pid } of all) {
      if (running.has(pid) || missing.has(name)) continue;
      missing.add(name);
      process.stderr.write(`${name} (pid ${pid}) has ended; see ${cluster.logs}/${name}.log\n`);
    }
    if (running.size === 0) return;
    await new Promise((resume) => setTimeout(resume, 250));
  }
}

export function memory(text: string): number {
  const bytes = parseBytes(text);
  if (bytes !== undefined && bytes >= 64 * 1024 * 1024) return bytes;
  throw fail("badRequest", `--memory ${text}: a size of at least 64MiB is expected, e.g. 512MiB`);
}

export function downCommand(): Command {
  return printing("down", "stop a cluster that was left running")
    .option("--work <dir>", "its work folder", ".cache/cluster")
    .action((options: { json?: boolean; work: string }) =>
      finish(async () => {
        const stopped = await stopClusterOf(resolve(options.work));
        const none = stopped === 0 ? `: no cluster runs in ${options.work}` : "";
        show(options, { stopped }, () => [`${stopped} processes stopped${none}`]);
        return exitCodes.ok;
      }),
    );
}

/** `daymill coordinator …` and `daymill executor …` become that role's own program, options and all. */
export function roleCommand(role: "coordinator" | "executor"): Command {
  return new Command(role)
    .description(`run one ${role}; see daymill ${role} --help`)
    .helpOption(false)
    .allowUnknownOption()
    .allowExcessArguments()
    .argument("[options...]")
    .action((args: readonly string[]) => finish(() => become(role, args)));
}

function become(role: "coordinator" | "executor", args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [...nodeOptions(role), rolePath(role), ...args], {
    stdio: "inherit",
  });
  // The terminal tells the whole group of Ctrl-C; a plain SIGTERM reaches only this process.
  const pass = () => child.kill("SIGTERM");
  const wait = () => undefined;
  process.on("SIGTERM", pass);
  process.on("SIGINT", wait);
  return new Promise((resume, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => {
      process.off("SIGTERM", pass);
      process.off("SIGINT", wait);
      resume(code ?? exitCodes.internal);
    });
  });
}
