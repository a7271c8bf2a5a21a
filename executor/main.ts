/**
 * The executor process: reads its options, wires the parts together, turns signals into a drain or a stop.
 * Nothing is decided here but the exit code when something it needs is not there.
 */
import { statSync } from "node:fs";
import { availableParallelism, hostname, tmpdir } from "node:os";
import {
  helpText,
  type Options,
  type OptionTable,
  readOptions,
} from "../shared/adapters/config.ts";
import { createLog } from "../shared/adapters/logger.ts";
import { connectNats } from "../shared/adapters/nats.ts";
import { openRegistry } from "../shared/adapters/nats-registry.ts";
import { projectVersion } from "../shared/adapters/project.ts";
import {
  defaultProcessName,
  exitProcess,
  onStopSignal,
  printReady,
  randomIncarnation,
  systemClock,
} from "../shared/adapters/system.ts";
import { fail, fromUnknown } from "../shared/kernel/failure.ts";
import { limits } from "../shared/kernel/limits.ts";
import { hashVersion, wireVersion } from "../shared/kernel/work.ts";
import { exitCodes, type Identity } from "./core/protocol.ts";
import { startExecutor } from "./shell/executor.ts";
import { makeBaseDir, removeBaseDir } from "./shell/temp-dirs.ts";

const cores = availableParallelism();

const table = {
  nats: {
    kind: "list",
    placeholder: "URL[,URL]",
    help: "NATS servers, with JetStream",
    fallback: "nats://127.0.0.1:4222",
  },
  root: { kind: "path", placeholder: "DIR", help: "storage root, the same for all of the cluster" },
  id: {
    kind: "text",
    placeholder: "NAME",
    help: "name of this executor, unlike any other's",
    fallback: defaultProcessName(),
    pattern: /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/,
  },
  slots: {
    kind: "integer",
    placeholder: "N",
    help: "tasks at a time, one worker process each",
    fallback: String(Math.min(cores, limits.slotsPerExecutorMax)),
    minimum: 1,
    maximum: limits.slotsPerExecutorMax,
  },
  memory: {
    kind: "bytes",
    placeholder: "BYTES",
    help: "memory of each worker, e.g. 256MiB",
    fallback: `${limits.workerMemoryBytesDefault / 2 ** 20}MiB`,
    minimum: limits.workerMemoryBytesMin,
  },
  threads: {
    kind: "integer",
    placeholder: "N",
    help: "threads of each worker, by default cores / slots",
    optional: true,
    minimum: 1,
    maximum: limits.workerThreadsMax,
  },
  workDir: {
    kind: "path",
    placeholder: "DIR",
    help: "where temporary files go; wants a fast local disk",
    fallback: tmpdir(),
  },
  cluster: {
    kind: "text",
    placeholder: "NAME",
    help: "which cluster to join",
    fallback: "daymill",
    pattern: /^[a-z][a-z0-9_-]{0,31}$/,
  },
  log: {
    kind: "text",
    placeholder: "LEVEL",
    help: "debug, info, warn or error",
    fallback: "info",
    pattern: /^(debug|info|warn|error)$/,
  },
} as const satisfies OptionTable;

async function run(options: Options<typeof table>): Promise<number> {
  const { id, cluster, root, slots } = options;
  const log = createLog(options.log, { role: "executor", executor: id });
  process.on("uncaughtException", (error) => {
    // Workers end with us, and the folder is removed by the next start: there is nothing to trust here any more.
    log.error("the executor stops after an unexpected error", { trace: error.stack ?? "" });
    exitProcess(exitCodes.internal);
  });
  needFolder(root);
  const link = await connectNats({ servers: options.nats, name: `executor-${id}`, log });
  const registry = await openRegistry(link, { cluster });
  const identity: Identity = {
    id,
    incarnation: randomIncarnation(),
    slots,
    host: hostname(),
    pid: process.pid,
    wireVersion,
    hashVersion,
    version: projectVersion(),
  };
  const baseDir = makeBaseDir(options.workDir, identity);
  const executor = startExecutor({
    identity,
    registry,
    clock: systemClock,
    log,
    workers: {
      baseDir,
      config: {
        executor: id,
        servers: options.nats,
        root,
        memoryBytes: options.memory,
        threads: options.threads ?? Math.max(1, Math.floor(cores / slots)),
        logLevel: options.log,
      },
    },
    ready: () => printReady({ role: "executor", id, pid: process.pid, slots }),
  });
  onStopSignal((signal, count) => {
    if (count === 1) executor.drain(`${signal} received`, limits.drainOnSignalMs);
    else executor.stop();
  });
  const { code, reason } = await executor.done;
  log[code === exitCodes.drained ? "info" : "error"](`executor leaves: ${reason}`);
  removeBaseDir(baseDir);
  await registry.close();
  await link.close();
  return code;
}

function needFolder(root: string): void {
  if (statSync(root, { throwIfNoEntry: false })?.isDirectory()) return;
  const text = `the storage root ${root} is not a folder here; mount it, or correct --root (DAYMILL_ROOT)`;
  throw fail("storageFailed", text, { path: root });
}

async function main(): Promise<number> {
  try {
    const read = readOptions(process.argv.slice(2), process.env, table);
    if (read.kind === "options") return await run(read.options);
    process.stdout.write(helpText("Runs tasks of a Daymill cluster.", table));
    return 0;
  } catch (error) {
    const { code, message } = fromUnknown(error);
    process.stderr.write(`error: ${message}\n`);
    if (code === "badRequest") return exitCodes.usage;
    return code === "internal" ? exitCodes.internal : exitCodes.unavailable;
  }
}

exitProcess(await main());
