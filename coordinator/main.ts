/**
 * The coordinator process: options in, one ready line out on standard output, logs on standard error, signals to a
 * graceful stop. Exit codes: 0 as asked, 2 wrong options, 69 something it needs is not there, 70 a defect.
 */
import { readAlertFile } from "../shared/adapters/alert-file.ts";
import { helpText, readOptions } from "../shared/adapters/config.ts";
import { createLog } from "../shared/adapters/logger.ts";
import { checkClusterName } from "../shared/adapters/nats-names.ts";
import {
  boundHeapGrowth,
  defaultProcessName,
  exitProcess,
  onStopSignal,
  printReady,
  systemClock,
} from "../shared/adapters/system.ts";
import { fail, fromUnknown } from "../shared/kernel/failure.ts";
import type { Log } from "../shared/ports.ts";
import { parseStopWish } from "./shell/chaos-points.ts";
import { startCoordinator } from "./shell/coordinator.ts";

const table = {
  nats: {
    kind: "list",
    help: "NATS servers",
    placeholder: "URL[,URL]",
    fallback: "nats://127.0.0.1:4222",
  },
  root: { kind: "path", help: "storage root, the same for the whole cluster", placeholder: "DIR" },
  listen: {
    kind: "text",
    help: "where gRPC listens; port 0 is any free one",
    placeholder: "HOST:PORT",
    fallback: "127.0.0.1:0",
    pattern: /^[^:\s]+:\d{1,5}$/,
  },
  advertise: {
    kind: "text",
    help: "where others reach it, if not there",
    placeholder: "HOST:PORT",
    optional: true,
    pattern: /^[^:\s]+:\d{1,5}$/,
  },
  id: {
    kind: "text",
    help: "name of this process, unique in the cluster",
    placeholder: "NAME",
    fallback: defaultProcessName(),
    pattern: /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/,
  },
  cluster: {
    kind: "text",
    help: "keeps clusters on one NATS apart",
    placeholder: "NAME",
    fallback: "daymill",
  },
  replicas: {
    kind: "integer",
    help: "copies of journal and registry in NATS",
    placeholder: "N",
    fallback: "1",
    minimum: 1,
    maximum: 5,
  },
  alerts: {
    kind: "path",
    help: "file that says who is told when something is wrong",
    placeholder: "FILE",
    optional: true,
  },
  metrics: {
    kind: "text",
    help: "where metrics are scraped (GET /metrics); without HOST on this machine only",
    placeholder: "[HOST:]PORT",
    optional: true,
    pattern: /^(?:(?:[^:\s[\]]+|\[[0-9A-Fa-f:.]+\]):)?\d{1,5}$/,
  },
  log: {
    kind: "text",
    help: "least severe line that is logged",
    placeholder: "debug|info|warn|error",
    fallback: "info",
    pattern: /^(debug|info|warn|error)$/,
  },
} as const;

async function main(): Promise<void> {
  const read = readOptions(process.argv.slice(2), process.env, table);
  if (read.kind === "help") {
    process.stdout.write(helpText("daymill coordinator: plans runs and leads executors", table));
    return;
  }
  const { options } = read;
  checkClusterName(options.cluster);
  boundHeapGrowth();
  if (options.advertise === undefined && /^(0\.0\.0\.0|\[::\]):/.test(options.listen)) {
    const text = `--listen ${options.listen} is every address: say with --advertise which one`;
    throw fail("badRequest", `${text} others reach this coordinator at`);
  }
  const stopWish = parseStopWish(process.env["DAYMILL_CHAOS_STOP"]);
  const log = createLog(options.log, { role: "coordinator", coordinator: options.id });
  const alerts = options.alerts === undefined ? undefined : await openAlerts(options.alerts, log);
  const running = await startCoordinator({
    ...options,
    alerts,
    stopWish,
    log,
    clock: systemClock,
    crashed: () => exitProcess(70),
  });
  printReady({
    role: "coordinator",
    id: options.id,
    address: running.address,
    ...(running.metrics === undefined ? {} : { metrics: running.metrics }),
    pid: process.pid,
  });
  onStopSignal((signal, count) => {
    // Asked twice: whoever asks does not want to wait.
    if (count > 1) exitProcess(0);
    log.info("stopping", { signal });
    running.stop().then(
      () => exitProcess(0),
      () => exitProcess(70),
    );
  });
}

/** Who is told, and the channels. What is wrong with the file is said before anything is opened. */
async function openAlerts(path: string, log: Log) {
  const { config, channels, heartbeat } = await readAlertFile(path);
  // Libraries for mail and breakers: a coordinator without alerts starts without them.
  const { openAlertSender } = await import("../shared/adapters/alert-sender.ts");
  const environment = process.env;
  const beat = heartbeat === undefined ? {} : { heartbeat };
  return { config, sender: openAlertSender({ channels, environment, log, ...beat }) };
}

main().catch((error: unknown) => {
  const failure = fromUnknown(error);
  process.stderr.write(`error: ${failure.message}\n`);
  if (failure.code === "internal" && error instanceof Error) {
    process.stderr.write(`${error.stack}\n`);
  }
  exitProcess({ badRequest: 2, jobInvalid: 2, internal: 70 }[failure.code as string] ?? 69);
});
