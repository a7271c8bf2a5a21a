/**
 * What a worker would do, as values: a map task puts the names of its files into every group's stream, a reduce task
 * collects what the winners put there. So a dataset file lists exactly the input files that reached it, and a row
 * lost or doubled anywhere shows up as a name missing or doubled. It does not stand on scripts/simulation/data-plane.ts:
 * that one wants folders, a world and real plans, and its rows by partition would say less to a reader than names do.
 */
import type { ClusterMemory } from "../../scripts/simulation/cluster-memory.ts";
import { accountsOf, accountText } from "../../scripts/simulation/data-plane.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { sha256Hex } from "../../shared/kernel/sha256.ts";
import type {
  AttemptOutcome,
  AttemptSuccess,
  Delivery,
  ExchangeRoute,
  ReduceWork,
  Work,
} from "../../shared/kernel/work.ts";

const counters = {
  rowsIn: 10,
  bytesIn: 100,
  rowsOut: 5,
  bytesOut: 50,
  elapsedMs: 1,
  peakMemoryBytes: 1,
};

/** Files that a map task stages beside its rows. */
export type SideFiles = Pick<AttemptSuccess, "rejectsFile" | "lateFile">;

/** Carries the work out at once and gives what the executor will report. */
export function carryOut(
  memory: ClusterMemory,
  work: Work,
  delivery: Delivery,
  sideFiles: SideFiles = {},
): AttemptOutcome {
  if (work.kind === "check") {
    return { kind: "done", outputs: [], files: [], accounts: [], counters, checkValue: "0" };
  }
  if (work.kind === "reduce") return reduce(memory, work, delivery);
  const names = work.split.files.map((file) => `${file.path}@${file.mtimeNs}`);
  const outputs = delivery.outputs.map((route) => write(memory, route, delivery.attemptId, names));
  if (outputs.includes(undefined)) {
    return { kind: "failed", failure: failure("exchangeShort", "a stream is gone") };
  }
  const success: AttemptSuccess = {
    kind: "done",
    outputs: outputs.flatMap((output) => (output === undefined ? [] : [output])),
    files: [],
    ...sideFiles,
    accounts: accountsOf(work),
    counters,
  };
  const { attemptId } = delivery;
  const stream = delivery.outputs[0]?.streams[0];
  const text = accountText(work, attemptId, success);
  // Last of all, in the first stream.
  if (stream !== undefined) memory.accounts.set(attemptId, { stream, text });
  return success;
}

function write(
  memory: ClusterMemory,
  route: ExchangeRoute,
  attemptId: string,
  names: readonly string[],
) {
  for (const name of route.streams) {
    const stream = memory.streams.get(name);
    if (stream === undefined) return undefined;
    stream.set(attemptId, names);
  }
  const checksum = sha256Hex(names.join("\n"));
  const digest = sha256Hex(`${attemptId} ${checksum}`);
  return { exchange: route.exchange, digest, checksum, rows: names.length, bytes: 1, messages: 1 };
}

function reduce(
  memory: ClusterMemory,
  { group, stage }: ReduceWork,
  delivery: Delivery,
): AttemptOutcome {
  const rows: string[] = [];
  for (const input of delivery.inputs) {
    const stream = memory.streams.get(input.streams[group] ?? "");
    for (const winner of input.winners) {
      const found = stream?.get(winner.attemptId);
      if (found === undefined) {
        const detail = { attempt: winner.attemptId, stream: input.streams[group] ?? "" };
        return { kind: "failed", failure: failure("exchangeShort", "rows are missing", detail) };
      }
      rows.push(...found);
    }
  }
  const named = rows.map((name) => `${name}#${group}`);
  const models = stage.outputs.flatMap((output) => (output.kind === "dataset" ? output.model : []));
  const files = models.map((model) => {
    const path = `${delivery.stagingDir}/${model}-${group}.parquet`;
    memory.files.set(path, named);
    return { model, path, rows: rows.length, bytes: 1, sha256: "" };
  });
  const outputs = delivery.outputs.map((route) => write(memory, route, delivery.attemptId, named));
  if (outputs.includes(undefined)) {
    return { kind: "failed", failure: failure("exchangeShort", "a stream is gone") };
  }
  const sent = outputs.flatMap((output) => (output === undefined ? [] : [output]));
  return { kind: "done", outputs: sent, files, accounts: [], counters };
}
