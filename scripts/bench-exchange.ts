/**
 * The exchange without NATS, in a process of its own: DuckDB rows to Arrow and back, four BIGINT and a VARCHAR.
 * Prints one JSON line of ExchangeFigures. Time and heap are measured in separate runs: weighing costs time.
 */
import { Session } from "node:inspector/promises";
import { DuckDBInstance } from "@duckdb/node-api";
import { decodeArrow } from "../shared/adapters/arrow.ts";
import { encodeQuery } from "../shared/adapters/duckdb-arrow.ts";
import { openLoader } from "../shared/adapters/duckdb-arrow-load.ts";
import { type ReceivedMessage, readGroup } from "../shared/adapters/duckdb-arrow-receive.ts";
import { writeTable } from "../shared/adapters/duckdb-arrow-send.ts";
import { must } from "../shared/kernel/assert.ts";
import { layoutOf } from "../shared/kernel/exchange-layout.ts";
import type { ExchangePlan } from "../shared/kernel/plan.ts";
import type { ExchangeFigure } from "./bench-report.ts";

interface SampledCall {
  readonly selfSize: number;
  readonly children: readonly SampledCall[];
}

const rows = Number(process.argv[2] ?? 2_000_000);
const plan: ExchangePlan = {
  id: "x0",
  columns: [
    { name: "subscriber", type: "BIGINT" },
    { name: "hour", type: "BIGINT" },
    { name: "up", type: "BIGINT" },
    { name: "down", type: "BIGINT" },
    { name: "category", type: "VARCHAR" },
  ],
  keys: ["subscriber"],
  partitions: 32,
  groups: 1,
};
const request = {
  plan,
  route: { exchange: plan.id, streams: ["memory"] },
  attemptId: "bench",
  producer: "bench",
  signal: new AbortController().signal,
};

const inspector = new Session();
inspector.connect();

const instance = await DuckDBInstance.create(":memory:", { threads: "1" });
const connection = await instance.connect();
await connection.run(`CREATE TABLE sent AS
  SELECT (919000000000 + hash(n) % 100000)::BIGINT AS subscriber, (n % 24)::BIGINT AS hour,
    (hash(n + 1) % 100000)::BIGINT AS up, (hash(n + 2) % 10000000)::BIGINT AS down,
    'category-' || (hash(n + 3) % 25) AS category, (hash(subscriber) % 32)::INTEGER AS __p
  FROM range(${rows}) AS t(n)`);

const messages: ReceivedMessage[] = [];
// Once for nothing: compiled code and warm tables, as in a worker that has run before.
await toArrow();
const encoded = await measure("DuckDB → Arrow (LZ4)", toArrow);
const written = await measure("exchange write (sort, sum, cut)", write, async () => {
  messages.length = 0;
});
const decoded = await measure("Arrow → DuckDB", fromArrow, () => drop("loaded"));
const read = await measure(
  "exchange read (load, prove)",
  () => prove(written.value.digest),
  () => drop("got"),
);
const figures = [encoded, decoded, written, read].map((measured) => measured.figure);
console.log(JSON.stringify(figures));
connection.closeSync();
instance.closeSync();

async function drop(table: string): Promise<void> {
  await connection.run(`DROP TABLE ${table}`);
}

async function toArrow(): Promise<void> {
  const sql = "SELECT subscriber, hour, up, down, category FROM sent";
  let bytes = 0;
  for await (const piece of encodeQuery(connection, sql, { packed: true })) {
    bytes += piece.byteLength;
  }
  if (bytes === 0) throw new Error("nothing was encoded");
}

function write() {
  const head = { attemptId: "bench" };
  return writeTable(
    connection,
    { ...request, table: "sent" },
    {
      data: async (_stream, sequence, parts, body) => {
        messages.push({ head: { ...head, kind: "data", sequence, rows: parts }, body });
      },
      completion: async (_stream, text) => {
        const body = Buffer.from(text);
        messages.push({ head: { ...head, kind: "completion", sequence: 0, rows: "" }, body });
      },
      settled: async () => {},
    },
  );
}

/** Decodes and appends what the exchange carried, without proving it. */
async function fromArrow(): Promise<void> {
  await connection.run("CREATE TABLE loaded AS SELECT * FROM sent LIMIT 0");
  const layouts = plan.columns.map((column) => must(layoutOf(column.type), "a wire type"));
  const loader = await openLoader(connection, "loaded", layouts);
  for (const { head, body } of messages) {
    if (head.kind !== "data") continue;
    for (const batch of decodeArrow(body, plan.columns)) {
      loader.append(batch, [[{ value: 0, rows: batch.rows }]]);
    }
  }
  loader.finish();
}

async function prove(digest: string): Promise<void> {
  const winners = [{ attemptId: "bench", digest }];
  const found = await readGroup(
    connection,
    { ...request, winners, group: 0, table: "got" },
    memory,
  );
  if (found.rows !== rows) throw new Error(`${found.rows} of ${rows} rows came back`);
}

async function* memory(): AsyncGenerator<ReceivedMessage> {
  yield* messages;
}

/** Times the work, then weighs what it allocates on the heap in a second, sampled run of it. */
async function measure<Value>(
  name: string,
  work: () => Promise<Value>,
  again: () => Promise<void> = async () => {},
): Promise<{ readonly figure: ExchangeFigure; readonly value: Value }> {
  const cpu = process.cpuUsage();
  const startedAt = process.hrtime.bigint();
  await work();
  const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
  const used = process.cpuUsage(cpu);
  const cpuSeconds = (used.user + used.system) / 1e6;
  await again();
  await inspector.post("HeapProfiler.startSampling", {
    samplingInterval: 16_384,
    includeObjectsCollectedByMajorGC: true,
    includeObjectsCollectedByMinorGC: true,
  });
  const value = await work();
  const { profile } = await inspector.post("HeapProfiler.stopSampling");
  const heapBytes = allocated(profile.head);
  return { value, figure: { name, rows, seconds, cpuSeconds, heapBytes } };
}

/** Bytes of a call tree, the callees' included. */
function allocated(node: SampledCall): number {
  return node.children.reduce((sum, child) => sum + allocated(child), node.selfSize);
}
