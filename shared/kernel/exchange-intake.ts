/**
 * What a reader of one group's stream takes and what it refuses: winners only, each message once, nothing short.
 * Decisions only: it sees heads of messages and completion records, never rows. The state is owned by one read
 * and updated in place.
 */
import { groupOf, type PartitionRows } from "./exchange-layout.ts";
import { type Failure, failure } from "./failure.ts";
import { limits } from "./limits.ts";
import type { ExchangePlan } from "./plan.ts";
import { type Completion, completionDigest, type PartitionTotals, type Winner } from "./work.ts";

interface Producer {
  readonly winner: Winner;
  readonly ordinal: number;
  readonly seen: Set<number>;
  readonly rows: Map<number, number>;
  completion: Completion | undefined;
}

export interface Intake {
  readonly plan: ExchangePlan;
  readonly stream: string;
  readonly group: number;
  readonly producers: ReadonlyMap<string, Producer>;
}

/** Begins the read of one group; `winners` name every attempt whose rows belong to it. */
export function startIntake(
  plan: ExchangePlan,
  stream: string,
  group: number,
  winners: readonly Winner[],
): Intake {
  const producers = new Map<string, Producer>();
  winners.forEach((winner, ordinal) => {
    const producer = { winner, ordinal, seen: new Set<number>(), rows: new Map<number, number>() };
    producers.set(winner.attemptId, { ...producer, completion: undefined });
  });
  return { plan, stream, group, producers };
}

/**
 * Is this message to be opened? false: not a winner's, or a repeat. Gives the producer's ordinal otherwise,
 * and counts the message and its rows.
 */
export function offerData(
  intake: Intake,
  attemptId: string,
  sequence: number,
  parts: readonly PartitionRows[],
): { readonly ordinal: number } | false {
  const producer = intake.producers.get(attemptId);
  if (producer === undefined || producer.seen.has(sequence)) return false;
  producer.seen.add(sequence);
  for (const part of parts) {
    producer.rows.set(part.partition, (producer.rows.get(part.partition) ?? 0) + part.rows);
  }
  return { ordinal: producer.ordinal };
}

/** Takes a completion record. One that is not the winner's (by digest) is as good as none. */
export function offerCompletion(intake: Intake, attemptId: string, text: string): void {
  const producer = intake.producers.get(attemptId);
  if (producer === undefined || producer.completion !== undefined) return;
  const completion = parseCompletion(text);
  if (completion === undefined || completion.attemptId !== attemptId) return;
  if (completionDigest(completion) === producer.winner.digest) producer.completion = completion;
}

/** A completion record as published; undefined when the text is none. */
function parseCompletion(text: string): Completion | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isCompletion(value) ? value : undefined;
}

function isCompletion(value: unknown): value is Completion {
  if (typeof value !== "object" || value === null) return false;
  const { attemptId, exchange, partitions, messages } = value as Partial<Completion>;
  const texts = typeof attemptId === "string" && typeof exchange === "string";
  return texts && Array.isArray(partitions) && Array.isArray(messages);
}

/** The producers whose data did not all come, as one `exchangeShort`; undefined when all did. */
export function findShort(intake: Intake): Failure | undefined {
  const short: string[] = [];
  let first = "";
  for (const [attemptId, producer] of intake.producers) {
    const why = shortage(intake, producer);
    if (why === undefined) continue;
    if (short.length === 0) first = why;
    short.push(attemptId);
    if (short.length === limits.shortProducersNamedMax) break;
  }
  return short.length === 0 ? undefined : exchangeShort(intake.stream, short, first);
}

/**
 * `exchangeShort` about producers, which the leader runs again: `attempt` in the detail names them, comma separated.
 * `why` is told of the first one. None are named when none can be.
 */
export function exchangeShort(stream: string, attempts: readonly string[], why: string): Failure {
  const [first] = attempts;
  const more = attempts.length > 1 ? ` and ${attempts.length - 1} more` : "";
  const who = first === undefined ? "" : ` of attempt ${first}${more}`;
  return failure(
    "exchangeShort",
    `the exchange data${who} in stream ${stream} cannot be used: ${why}; it will be made again`,
    first === undefined ? { stream } : { attempt: attempts.join(","), stream },
  );
}

/** Whom an `exchangeShort` names. */
export function shortProducers(why: Failure): readonly string[] {
  return String(why.detail?.["attempt"] ?? "")
    .split(",")
    .filter((attempt) => attempt !== "");
}

function shortage(intake: Intake, producer: Producer): string | undefined {
  const { completion } = producer;
  if (completion === undefined) return "its completion record is missing or another's";
  const due = completion.messages[intake.group] ?? 0;
  if (producer.seen.size !== due) return `${producer.seen.size} of ${due} messages are there`;
  const expected = ownPartitions(intake, completion);
  for (const { partition, rows } of expected) {
    const found = producer.rows.get(partition) ?? 0;
    if (found !== rows) return `partition ${partition} has ${found} of ${rows} rows`;
  }
  if (producer.rows.size !== expected.length) return "it holds partitions of another group";
  return undefined;
}

function ownPartitions(intake: Intake, completion: Completion): readonly PartitionTotals[] {
  const { partitions, groups } = intake.plan;
  return completion.partitions.filter(
    ({ partition }) =>
      partition >= 0 &&
      partition < partitions &&
      groupOf(partition, partitions, groups) === intake.group,
  );
}

/** Rows and checksum of one partition, as found in a table. */
export interface FoundTotals {
  readonly partition: number;
  readonly rows: number;
  readonly checksum: string;
}

/** What the loaded table must show: the sums over all winners (or one, by ordinal), without empty partitions. */
export function expectedTotals(intake: Intake, ordinal?: number): readonly FoundTotals[] {
  const sums = new Map<number, { rows: number; checksum: bigint }>();
  for (const producer of intake.producers.values()) {
    if (producer.completion === undefined) continue;
    if (ordinal !== undefined && producer.ordinal !== ordinal) continue;
    for (const part of ownPartitions(intake, producer.completion)) {
      const sum = sums.get(part.partition) ?? { rows: 0, checksum: 0n };
      const checksum = BigInt.asUintN(64, sum.checksum + BigInt(part.checksum));
      sums.set(part.partition, { rows: sum.rows + part.rows, checksum });
    }
  }
  return [...sums]
    .filter(([, sum]) => sum.rows > 0)
    .sort(([a], [b]) => a - b)
    .map(([partition, sum]) => ({ partition, rows: sum.rows, checksum: String(sum.checksum) }));
}

/** Do the totals found (in partition order, without empty ones) prove the expected ones? */
export function sameTotals(
  found: readonly FoundTotals[],
  expected: readonly FoundTotals[],
): boolean {
  const text = (totals: readonly FoundTotals[]) =>
    totals.map((total) => `${total.partition}:${total.rows}:${total.checksum}`).join();
  return text(found) === text(expected);
}

/** The attempt with this ordinal. */
export function attemptByOrdinal(intake: Intake, ordinal: number): string | undefined {
  for (const [attemptId, producer] of intake.producers) {
    if (producer.ordinal === ordinal) return attemptId;
  }
  return undefined;
}
