/**
 * `daymill explain | result | executors | drain`: plans, tables and who works.
 */
import type { Command } from "commander";
import { limits } from "../../shared/kernel/limits.ts";
import {
  type CommonOptions,
  checkDay,
  clusterCommand,
  print,
  show,
  toJson,
  wholeNumber,
  withCluster,
} from "../command.ts";
import { exitCodes } from "../exit-codes.ts";
import { formatTable, type TableOptions } from "../format.ts";
import { executorsTable } from "../views.ts";
import { jobReference } from "./runs.ts";

export function explainCommand(): Command {
  return clusterCommand(
    "explain",
    "show how a job would run: stages, exchanges, the SQL of each side",
  )
    .argument("<job>", "a job file, or the name of a job that the cluster knows")
    .option("--day <date>", "also say how much this day reads", "")
    .option("--diff", "what changes against the form of the job that the cluster knows")
    .action((job: string, options: CommonOptions & { day: string; diff?: boolean }) =>
      withCluster(options, async ({ client }) => {
        const day = options.day === "" ? "" : checkDay(options.day);
        const { diff = false } = options;
        const plan = await client.explain(await jobReference(job), day, { diff });
        if (options.json === true) print(plan.planJson);
        else print(plan.text.trimEnd());
        return exitCodes.ok;
      }),
    );
}

interface ResultOptions extends CommonOptions {
  readonly day?: string;
  readonly limit: string;
  readonly orderBy: string;
  readonly revision: string;
}

export function resultCommand(): Command {
  return clusterCommand("result", "print rows of a committed dataset")
    .argument("<dataset>", "name of the model")
    .option("--day <date>", "data date, YYYY-MM-DD (needed)")
    .option("--limit <n>", "at most so many rows", "20")
    .option("--order-by <column>", 'column to sort by, e.g. "bytes DESC"', "")
    .option("--revision <n>", "an older revision; 0 is the committed one", "0")
    .action((dataset: string, options: ResultOptions) =>
      withCluster(options, async ({ client }) => {
        const day = checkDay(options.day);
        const limit = wholeNumber("--limit", options.limit, 1, limits.resultRowsMax);
        const revision = wholeNumber("--revision", options.revision, 0, 1_000_000_000);
        const chunks = client.read(dataset, day, { limit, revision, orderBy: options.orderBy });
        // A large library that no other command needs: loading it takes as long as all the rest of a start.
        const { readArrowRows } = await import("../../shared/adapters/arrow-rows.ts");
        const { columns, rows } = await readArrowRows(chunks);
        if (options.json === true) {
          for (const row of rows) {
            print(toJson(Object.fromEntries(columns.map((name, index) => [name, row[index]]))));
          }
        } else for (const line of formatTable(columns, rows, terminal())) print(line);
        return exitCodes.ok;
      }),
    );
}

/** A table that is cut by no terminal stays whole: in a pipe, or in a file. */
function terminal(): TableOptions {
  const { isTTY, columns } = process.stdout;
  return isTTY === true && columns > 0 ? { lineMax: columns } : {};
}

export function executorsCommand(): Command {
  return clusterCommand("executors", "list executors").action((options: CommonOptions) =>
    withCluster(options, async ({ client }) => {
      const executors = await client.executors();
      show(options, executors, () => executorsTable(executors));
      return exitCodes.ok;
    }),
  );
}

export function drainCommand(): Command {
  return clusterCommand("drain", "give an executor no new work; it leaves when it has finished")
    .argument("<executor>", "its id")
    .action((executorId: string, options: CommonOptions) =>
      withCluster(options, async ({ client }) => {
        await client.drain(executorId);
        show(options, { executorId, state: "draining" }, () => [`${executorId} drains`]);
        return exitCodes.ok;
      }),
    );
}
