/**
 * Kernel values to the messages of proto/daymill/v1 and back, checking whatever enters. Pure translation:
 * no I/O and no decision.
 */
import { join } from "node:path";
import { toWireFailure } from "../../shared/adapters/grpc-failure.ts";
import type * as wire from "../../shared/adapters/grpc-types.ts";
import { canonicalJson, type Json } from "../../shared/kernel/canonical.ts";
import { fail, isFailureCode } from "../../shared/kernel/failure.ts";
import type { RunStatus } from "../../shared/kernel/status.ts";
import { type AttemptOutcome, isBackground, workText } from "../../shared/kernel/work.ts";
import type { ExecutorCommand, Hello } from "../core/protocol.ts";

/** Paths of datasets become absolute under the storage root; what runs of older versions lack is empty. */
export function toWireRun(run: RunStatus, root: string): wire.RunStatus {
  const { failure, ...known } = run;
  return {
    jobDigest: "",
    secondAttempts: 0,
    lane: "live",
    checks: [],
    cause: "",
    by: "",
    bytesIn: 0,
    select: [],
    ...known,
    stages: run.stages.map((stage) => ({
      source: "",
      makes: [],
      exchanges: [],
      duplicates: 0,
      ...stage,
    })),
    datasets: run.datasets.map((dataset) => ({ ...dataset, path: join(root, dataset.path) })),
    failure: failure === undefined ? null : toWireFailure(failure),
  };
}

export function toWireCommand(epoch: number, command: ExecutorCommand): wire.ToExecutor {
  switch (command.kind) {
    case "welcome":
      return { epoch, welcome: { coordinator: command.coordinator } };
    case "refused": {
      const { failure, leader } = command;
      return { epoch, refused: { failure: toWireFailure(failure), leader } };
    }
    case "runTask":
      return {
        epoch,
        runTask: {
          attemptId: command.attemptId,
          workJson: Buffer.from(workText(command.work)),
          deliveryJson: Buffer.from(canonicalJson(command.delivery as unknown as Json)),
          freshWorker: command.delivery.lowMemory,
          background: isBackground(command.delivery),
        },
      };
    case "cancelTask":
      return { epoch, cancelTask: { attemptId: command.attemptId, reason: command.reason } };
    case "reportAck":
      return { epoch, reportAck: { attemptId: command.attemptId } };
    case "drainNow":
      return { epoch, drainNow: { reason: command.reason } };
  }
}

export function fromWireHello(hello: wire.Hello): Hello {
  if (!/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/.test(hello.executorId)) {
    throw fail("badRequest", `executor id ${JSON.stringify(hello.executorId)} is not allowed`);
  }
  return {
    executor: hello.executorId,
    incarnation: hello.incarnation,
    slots: hello.slots,
    host: hello.host,
    pid: hello.pid,
    duckdb: hello.duckdbVersion,
    wire: hello.wireVersion,
    hash: hello.hashVersion,
    runningAttempts: hello.runningAttempts,
    highestEpoch: hello.highestEpoch,
    version: hello.version,
  };
}

/** The outcome in a report. What is not one is `badRequest`: the executor speaks another version. */
export function fromWireOutcome(report: wire.Report): AttemptOutcome {
  const wrong = (why: string) =>
    fail("badRequest", `the report of attempt ${report.attemptId} cannot be read: ${why}`);
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(report.outcomeJson).toString("utf8"));
  } catch {
    throw wrong("it is not JSON");
  }
  const outcome = (value ?? {}) as Partial<Record<string, unknown>>;
  if (outcome["kind"] === "failed") {
    const failure = (outcome["failure"] ?? {}) as Partial<Record<string, unknown>>;
    const { code, message } = failure;
    if (typeof code === "string" && isFailureCode(code) && typeof message === "string") {
      return value as AttemptOutcome;
    }
    throw wrong("its failure has no known code");
  }
  const lists = ["outputs", "files", "accounts"].every((name) => Array.isArray(outcome[name]));
  const counted = typeof outcome["counters"] === "object" && outcome["counters"] !== null;
  if (outcome["kind"] === "done" && lists && counted) return value as AttemptOutcome;
  throw wrong("it is no outcome of this version");
}
