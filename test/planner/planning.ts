/** Plans test jobs and gives short views of plans for comparing. */
import { planWithBinder } from "../../coordinator/shell/plan.ts";
import { openBinder } from "../../shared/adapters/duckdb-binder.ts";
import type { Failure } from "../../shared/kernel/failure.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import { failureOf } from "../kit/failures.ts";
import { jobOf } from "../sql/tables.ts";

type Models = Readonly<Record<string, string>>;

function jobFor(models: Models) {
  return jobOf(Object.entries(models).map(([name, sql]) => ({ name, sql })));
}

export async function planOf(models: Models): Promise<JobPlan> {
  const binder = await openBinder();
  try {
    return await planWithBinder(jobFor(models), binder);
  } finally {
    binder.close();
  }
}

export function refusalOf(models: Models): Promise<Failure> {
  return failureOf(planOf(models));
}

/** One line a stage: what it reads, and what it sends and writes. */
export function shapeOf(plan: JobPlan): readonly string[] {
  const keysOf = (id: string): string => {
    const exchange = plan.exchanges.find((entry) => entry.id === id);
    return exchange?.keys.length === 0 ? "one" : (exchange?.keys.join(", ") ?? "?");
  };
  return plan.stages.map((stage) => {
    const reads =
      stage.input.kind === "scan"
        ? `scan ${stage.input.source}`
        : stage.input.exchanges.join(" + ");
    const outputs = stage.outputs.map((output) =>
      output.kind === "dataset" ? output.model : `${output.exchange} by ${keysOf(output.exchange)}`,
    );
    return `${reads} → ${outputs.join("; ")}`;
  });
}
