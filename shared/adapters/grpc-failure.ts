/**
 * Failures at the wire: the closed vocabulary as gRPC status and back, as plain values (no gRPC library here).
 * A failure that crosses the wire keeps its code, so both sides decide on retries by the same table.
 */

import {
  classOf,
  DaymillError,
  type Failure,
  type FailureCode,
  failure,
  fromUnknown,
  isFailureCode,
} from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";
import type { WireFailure } from "./grpc-types.ts";

/** Trailer with the serialised `daymill.v1.Failure`. */
export const failureTrailer = "daymill-failure-bin";
/** Trailer with the leader's `host:port`, sent by a coordinator that does not lead. */
export const leaderTrailer = "daymill-leader";

export function toWireFailure(value: Failure): WireFailure {
  const detail: Record<string, string> = {};
  for (const [key, entry] of Object.entries(value.detail ?? {})) detail[key] = String(entry);
  return { code: value.code, message: cut(value.message, limits.grpcFailureCharsMax), detail };
}

/** A code that this version does not know becomes `internal`, with the code named. */
export function fromWireFailure(wire: WireFailure): Failure {
  const detail = Object.keys(wire.detail).length === 0 ? undefined : wire.detail;
  if (isFailureCode(wire.code)) return failure(wire.code, wire.message, detail);
  return failure("internal", `${wire.message} (unknown failure code ${wire.code})`, detail);
}

export interface StatusValue {
  /** gRPC status name, e.g. `NOT_FOUND`. */
  readonly status: string;
  readonly text: string;
  readonly failure: WireFailure;
  readonly leader?: string;
}

/** Any error as what goes out: `notLeader` with `detail.leader` also names the leader in a trailer. */
export function toStatus(error: unknown): StatusValue {
  const value = fromUnknown(error);
  const wire = toWireFailure(value);
  const status = {
    status: classOf(value.code).grpc,
    text: cut(value.message, limits.grpcStatusCharsMax),
  };
  const leader = value.detail?.["leader"];
  return leader === undefined || leader === ""
    ? { ...status, failure: wire }
    : { ...status, failure: wire, leader: String(leader) };
}

/**
 * A received status as an error; `wire` is the decoded trailer where the peer sent one. `detail.unreached` says why no
 * connection came about, and is there only then.
 */
export function fromStatus(
  status: string,
  text: string,
  wire: WireFailure | undefined,
  address: string,
): DaymillError {
  if (wire !== undefined) return new DaymillError(fromWireFailure(wire));
  const [code, message] = untranslated(status, text, address);
  const unreached = isUnreached(status, text) ? { unreached: plainReason(text) } : {};
  return new DaymillError(failure(code, message, { address, status, ...unreached }));
}

/** Was there nobody to talk to at all: refused, no such name, no way there? Else somebody was, and has gone. */
function isUnreached(status: string, text: string): boolean {
  const said = /^(No connection established|Name resolution failed)/.test(text);
  return status === "UNAVAILABLE" && said;
}

/** Statuses that gRPC itself made: no handler of ours has spoken. */
function untranslated(
  status: string,
  text: string,
  address: string,
): readonly [FailureCode, string] {
  switch (status) {
    case "UNAVAILABLE":
      return [
        "unavailable",
        `no coordinator answers at ${address} (${plainReason(text)}); check that it runs and that the address is right`,
      ];
    case "DEADLINE_EXCEEDED":
      return ["timeout", `${address} did not answer in time; try again or look at its log`];
    case "CANCELLED":
      return ["cancelled", `the call to ${address} was cancelled`];
    case "RESOURCE_EXHAUSTED":
      return [
        "messageTooLarge",
        `a message to or from ${address} is over the size limit (${text}); send less at a time`,
      ];
    case "UNIMPLEMENTED":
      return [
        "versionMismatch",
        `${address} does not know this call (${text}); use the same Daymill version on both sides`,
      ];
    default:
      return ["internal", `the call to ${address} failed with ${status}: ${text}`];
  }
}

/** The library wraps the reason that the system gave in words of its own. */
function plainReason(text: string): string {
  const reason = /Last error: (?:Error: )?(.*?)\. Resolution note/.exec(text);
  return reason?.[1] ?? text;
}

function cut(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 1)}…`;
}
