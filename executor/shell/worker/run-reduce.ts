/**
 * One reduce task: all rows of one partition group of each input exchange, then the stage's SQL and its outputs.
 * It reads nothing but the exchange and dimensions.
 */
import { sqlName } from "../../../shared/adapters/duckdb.ts";
import { fail } from "../../../shared/kernel/failure.ts";
import type { ReduceWork } from "../../../shared/kernel/work.ts";
import { type Attempt, exchangePlan, exchangeRoute } from "./attempt.ts";
import { loadDimensions } from "./dimensions.ts";
import { openRejects } from "./rejects.ts";
import type { WorkResult } from "./result.ts";
import { runStage } from "./stage-program.ts";

/** Errors: `exchangeShort`, `inputMalformed` (dimension), `sqlFailed`, `valueOverflow`, `outOfMemory`, `storage…`, `cancelled`. */
export async function runReduce(attempt: Attempt, work: ReduceWork): Promise<WorkResult> {
  const { engine, context, delivery } = attempt;
  const { input } = work.stage;
  if (input.kind !== "exchange") throw fail("internal", `stage ${work.stage.id} reads no exchange`);
  await openRejects(engine);
  await loadDimensions(attempt, work);
  let [rowsIn, bytesIn] = [0, 0];
  for (const id of input.exchanges) {
    const route = exchangeRoute(delivery.inputs, id);
    const read = await context.exchange.read(engine.connection, {
      plan: exchangePlan(work.exchanges, id),
      route,
      winners: route.winners,
      group: work.group,
      table: id,
      signal: context.signal,
    });
    rowsIn += read.rows;
    bytesIn += read.bytes;
    context.progress(rowsIn, bytesIn);
  }
  const { outputs, files } = await runStage(attempt, {
    stage: work.stage,
    exchanges: work.exchanges,
    producer: `${delivery.run}/${delivery.stage}/${delivery.task}`,
    first: work.group === 0,
    release: async () => {
      for (const id of input.exchanges) await engine.run(`DROP TABLE ${sqlName(id)}`, id);
    },
  });
  return { outputs, files, accounts: [], rowsIn, bytesIn };
}
