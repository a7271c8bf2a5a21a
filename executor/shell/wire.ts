/**
 * The executor's stream: core values to wire messages and back. Whatever enters is checked here once.
 * Texts of work and outcomes are carried as bytes and not looked into.
 */
import { fromWireFailure } from "../../shared/adapters/grpc-failure.ts";
import type { FromExecutor, ToExecutor } from "../../shared/adapters/grpc-types.ts";
import { unreachable } from "../../shared/kernel/assert.ts";
import { canonicalJson, type Json } from "../../shared/kernel/canonical.ts";
import type { Command, Hello, ToLeader } from "../core/protocol.ts";

/** The first message of a link. */
export function helloToWire(hello: Hello): FromExecutor {
  const { id, ...rest } = hello;
  return { hello: { executorId: id, ...rest } };
}

/** Any later message. */
export function toWire(message: ToLeader): FromExecutor {
  switch (message.kind) {
    case "heartbeat": {
      const { kind: _, ...heartbeat } = message;
      return { heartbeat };
    }
    case "report": {
      const { attemptId, epoch } = message;
      const text = canonicalJson(message.outcome as unknown as Json);
      return { report: { attemptId, epoch, outcomeJson: Buffer.from(text, "utf8") } };
    }
    case "draining":
      return { draining: { reason: message.reason } };
    default:
      return unreachable(message);
  }
}

/** What the leader said; undefined for anything that is not a command of this version. */
export function commandFromWire(
  message: ToExecutor,
): { readonly epoch: number; readonly command: Command } | undefined {
  const command = commandOf(message);
  return command && Number.isSafeInteger(message.epoch)
    ? { epoch: message.epoch, command }
    : undefined;
}

function commandOf(message: ToExecutor): Command | undefined {
  const { welcome, refused, runTask, cancelTask, reportAck, drainNow } = message;
  if (welcome) return { kind: "welcome", coordinator: welcome.coordinator };
  if (refused?.failure) return { kind: "refused", failure: fromWireFailure(refused.failure) };
  if (runTask && runTask.attemptId !== "") {
    return {
      kind: "runTask",
      attemptId: runTask.attemptId,
      work: textOf(runTask.workJson),
      delivery: textOf(runTask.deliveryJson),
      fresh: runTask.freshWorker ?? false,
      background: runTask.background ?? false,
    };
  }
  if (cancelTask && cancelTask.attemptId !== "") {
    return { kind: "cancelTask", attemptId: cancelTask.attemptId, reason: cancelTask.reason };
  }
  if (reportAck && reportAck.attemptId !== "") {
    return { kind: "reportAck", attemptId: reportAck.attemptId };
  }
  if (drainNow) return { kind: "drainNow", reason: drainNow.reason };
  return undefined;
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8");
}
