/**
 * Exchange messages of one group into a DuckDB table, taken only from winners and proved before anybody reads it.
 * When the sums differ, the stream is read once more with each row marked by its producer, to name the wrong one.
 */
import type { DuckDBConnection } from "@duckdb/node-api";
import { must } from "../kernel/assert.ts";
import {
  attemptByOrdinal,
  exchangeShort,
  expectedTotals,
  findShort,
  type Intake,
  offerCompletion,
  offerData,
  sameTotals,
  startIntake,
} from "../kernel/exchange-intake.ts";
import {
  type ColumnLayout,
  layoutOf,
  type PartitionRows,
  parsePartitionRows,
} from "../kernel/exchange-layout.ts";
import { DaymillError } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";
import { type ExchangePlan, partitionColumn } from "../kernel/plan.ts";
import type { ExchangeRoute, Winner } from "../kernel/work.ts";
import { decodeArrow } from "./arrow.ts";
import { sqlName } from "./duckdb.ts";
import { type ConstantRun, openLoader } from "./duckdb-arrow-load.ts";
import { partitionTotals } from "./duckdb-arrow-sums.ts";
import { translateDuckDb } from "./duckdb-errors.ts";

/** A message of a stream, as its source gives it. */
export interface ReceivedMessage {
  readonly head: {
    readonly attemptId: string;
    readonly kind: "data" | "completion";
    readonly sequence: number;
    readonly rows: string;
  };
  readonly body: Uint8Array;
}

export interface ReceiveRequest {
  readonly plan: ExchangePlan;
  readonly route: ExchangeRoute;
  readonly winners: readonly Winner[];
  readonly group: number;
  readonly table: string;
}

/** Opens a stream's messages from first to last; called again for a second look. */
export type StreamSource = (stream: string) => AsyncIterable<ReceivedMessage>;

const producerColumn = "__producer";

/** Loads and proves one group; see `ExchangeIo.read`. A failed read leaves no table behind. */
export async function readGroup(
  connection: DuckDBConnection,
  request: ReceiveRequest,
  source: StreamSource,
): Promise<{ readonly rows: number; readonly bytes: number }> {
  const { plan, table, group, winners } = request;
  const stream = must(request.route.streams[group], "the group has a stream");
  try {
    await createTable(connection, plan, table, []);
    if (winners.length === 0) return { rows: 0, bytes: 0 };
    const intake = startIntake(plan, stream, group, winners);
    const bytes = await load(connection, intake, table, source, false);
    const short = findShort(intake);
    if (short !== undefined) throw new DaymillError(short);
    const found = await partitionTotals(connection, plan, table);
    if (!sameTotals(found, expectedTotals(intake))) {
      throw new DaymillError(await blame(connection, request, stream, source));
    }
    return { rows: found.reduce((sum, part) => sum + part.rows, 0), bytes };
  } catch (error) {
    await connection.run(`DROP TABLE IF EXISTS ${sqlName(table)}`).catch(() => undefined);
    throw translateDuckDb(error, `rows of exchange ${plan.id}`);
  }
}

async function createTable(
  connection: DuckDBConnection,
  plan: ExchangePlan,
  table: string,
  extra: readonly string[],
): Promise<void> {
  const columns = plan.columns.map((column) => `${sqlName(column.name)} ${column.type}`);
  const integers = [partitionColumn, ...extra].map((name) => `${name} INTEGER`);
  await connection.run(`CREATE TABLE ${sqlName(table)} (${[...columns, ...integers].join(", ")})`);
}

/** Appends the winners' rows; gives the bytes of the messages taken. The next message is asked for after each append. */
async function load(
  connection: DuckDBConnection,
  intake: Intake,
  table: string,
  source: StreamSource,
  marked: boolean,
): Promise<number> {
  const { columns } = intake.plan;
  const layouts = columns.map((column): ColumnLayout => must(layoutOf(column.type), "a wire type"));
  const loader = await openLoader(connection, table, layouts);
  let bytes = 0;
  try {
    for await (const { head, body } of source(intake.stream)) {
      if (head.kind === "completion") {
        offerCompletion(intake, head.attemptId, Buffer.from(body).toString("utf8"));
        continue;
      }
      const parts = parsePartitionRows(head.rows) ?? [];
      const taken = offerData(intake, head.attemptId, head.sequence, parts);
      if (taken === false) continue;
      const rows = parts.reduce((sum, part) => sum + part.rows, 0);
      const batch = decode(intake, head.attemptId, body, rows);
      const producer = marked ? [[{ value: taken.ordinal, rows }]] : [];
      loader.append(batch, [partitionRuns(parts), ...producer]);
      bytes += body.byteLength;
    }
  } finally {
    // Also after a failure: an appender that stays open keeps its rows in memory.
    loader.finish();
  }
  return bytes;
}

function partitionRuns(parts: readonly PartitionRows[]): readonly ConstantRun[] {
  return parts.map((part) => ({ value: part.partition, rows: part.rows }));
}

function decode(intake: Intake, attemptId: string, body: Uint8Array, rows: number) {
  try {
    const [batch, ...others] = decodeArrow(body, intake.plan.columns);
    if (batch === undefined || others.length > 0 || batch.rows !== rows) {
      throw new RangeError("not one batch with the announced rows");
    }
    return batch;
  } catch (error) {
    const failure = exchangeShort(intake.stream, [attemptId], "a message is damaged");
    throw new DaymillError(failure, error);
  }
}

/** Which producer's rows differ from what it declared. */
async function blame(
  connection: DuckDBConnection,
  request: ReceiveRequest,
  stream: string,
  source: StreamSource,
) {
  const { plan, group, winners } = request;
  const table = `${request.table}__again`;
  const intake = startIntake(plan, stream, group, winners);
  try {
    await createTable(connection, plan, table, [producerColumn]);
    await load(connection, intake, table, source, true);
    const wrong: string[] = [];
    for (let ordinal = 0; ordinal < winners.length; ordinal++) {
      const where = `${producerColumn} = ${ordinal}`;
      const found = await partitionTotals(connection, plan, table, where);
      if (sameTotals(found, expectedTotals(intake, ordinal))) continue;
      wrong.push(attemptByOrdinal(intake, ordinal) ?? "");
      if (wrong.length === limits.shortProducersNamedMax) break;
    }
    if (wrong.length === 0) {
      return exchangeShort(stream, [], "the rows differed from their checksums once");
    }
    return exchangeShort(stream, wrong, "its rows differ from its checksum");
  } finally {
    await connection.run(`DROP TABLE IF EXISTS ${sqlName(table)}`).catch(() => undefined);
  }
}
