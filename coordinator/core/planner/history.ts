/**
 * Tables of earlier days in SQL: `<dataset>_history`. What is scanned is a base relation like a source; where the last
 * day is the run's own, the table is a relation over it and the dataset's model, which the run makes itself.
 */

import {
  dayColumn,
  type HistoryTable,
  historyTables,
  scannedDays,
} from "../../../shared/kernel/history.ts";
import { type Column, isSameColumns, type JobSpec } from "../../../shared/kernel/job.ts";
import type { HistoryPlan } from "../../../shared/kernel/plan.ts";
import { datasetType } from "./key-types.ts";
import { inModel, Refusal } from "./refusal.ts";

/** What the planner knows of a model that was parsed, for the rules here. */
interface Reader {
  readonly model: { readonly name: string };
  readonly reads: readonly string[];
}

export class Histories {
  readonly tables: readonly HistoryTable[];
  private readonly job: JobSpec;
  private readonly byName: ReadonlyMap<string, HistoryTable>;

  constructor(job: JobSpec) {
    this.job = job;
    this.tables = historyTables(job);
    this.byName = new Map(
      this.tables.flatMap((one) => [
        [one.table, one],
        [one.scanned, one],
      ]),
    );
  }

  /** Every name that these tables take. */
  names(): readonly string[] {
    return [...this.byName.keys()];
  }

  /** Those that are made of what is scanned and of the run's own rows. */
  joined(): readonly HistoryTable[] {
    return this.tables.filter(({ isJoined }) => isJoined);
  }

  /** The model whose columns have to be known first. */
  columnsFrom(read: string): string | undefined {
    const table = this.byName.get(read);
    return table?.isOwn === true && table.columns === undefined ? table.dataset : undefined;
  }

  /** A model reads the tables that it declares, and declares those that it reads. */
  checkReads({ model, reads }: Reader): void {
    const declared = this.job.models.find(({ name }) => name === model.name)?.history ?? [];
    for (const read of reads) {
      const table = this.byName.get(read);
      if (table === undefined) continue;
      const { dataset } = table;
      if (read !== table.table) {
        const text = `is a part of ${table.table}: read that, with a condition on its column day`;
        throw new Refusal(`table ${read}`, text, { code: "jobInvalid", model: model.name });
      }
      if (declared.some((one) => one.dataset === dataset)) continue;
      const text = `is read, but the model says nothing of it: add history: { ${dataset}: ${table.days} } to the model`;
      throw new Refusal(`table ${read}`, text, { code: "jobInvalid", model: model.name });
    }
    const unread = declared.find(({ dataset }) => !reads.includes(`${dataset}_history`));
    if (unread === undefined) return;
    const { dataset } = unread;
    throw new Refusal(
      fieldOf(model.name, dataset),
      `the model's SQL does not read ${dataset}_history, which is what the days are called (${dataset} is the run's own day); read it, or take the field out`,
      { code: "jobInvalid", field: fieldOf(model.name, dataset) },
    );
  }

  /** Why models that read each other can't be ordered, when a table of earlier days has to do with it. */
  cycle(path: readonly string[]): Refusal | undefined {
    const joined = this.joined().find(({ table }) => path.includes(table));
    if (joined !== undefined) {
      const { dataset, table } = joined;
      const reader = path[path.indexOf(table) - 1] ?? this.readerOf(dataset);
      return new Refusal(
        fieldOf(reader, dataset),
        `the last day of ${table} is the run's own, which is still being made (${path.join(" → ")}); ` +
          `say own_day: false to read the days before it`,
        { code: "jobInvalid", field: fieldOf(reader, dataset) },
      );
    }
    const open = this.tables.find(
      ({ dataset, isOwn, columns }) => isOwn && columns === undefined && path.includes(dataset),
    );
    if (open === undefined) return undefined;
    const reader = this.readerOf(open.dataset);
    return new Refusal(
      fieldOf(reader, open.dataset),
      `the columns of ${open.table} can't be told from SQL that reads it; add columns: those of the model ${open.dataset}`,
      { code: "jobInvalid", field: fieldOf(reader, open.dataset) },
    );
  }

  private readerOf(dataset: string): string {
    const reads = ({ history = [] }: JobSpec["models"][number]) =>
      history.some((one) => one.dataset === dataset);
    return this.job.models.find(reads)?.name ?? dataset;
  }

  /** Columns of what is scanned, once those of the models are known; undefined: not yet. */
  scannedColumns(
    read: string,
    known: ReadonlyMap<string, readonly Column[]>,
  ): readonly Column[] | undefined {
    const table = this.byName.get(read);
    if (table === undefined) return undefined;
    const own = table.isOwn ? known.get(table.dataset) : undefined;
    const columns = table.columns ?? (own && written(table.dataset, own));
    if (columns === undefined) return undefined;
    const field = fieldOf(this.readerOf(table.dataset), table.dataset);
    if (columns.some(({ name }) => name.toLowerCase() === dayColumn.name)) {
      const text = `dataset ${table.dataset} has a column day of its own; ${table.table} says by that name of which day a row is: give the dataset's another name`;
      throw new Refusal(field, text, { code: "jobInvalid", field });
    }
    return [...columns, dayColumn];
  }

  /** Declared columns of the job's own models are what the models give. */
  checkDeclared(known: ReadonlyMap<string, readonly Column[]>): void {
    for (const { dataset, isOwn, columns } of this.tables) {
      const own = known.get(dataset);
      if (!isOwn || columns === undefined || own === undefined) continue;
      const given = written(dataset, own);
      if (isSameColumns(columns, given)) continue;
      const field = `${fieldOf(this.readerOf(dataset), dataset)}.columns`;
      const list = given.map(({ name, type }) => `${name}: ${type}`).join(", ");
      const text = `are not those of the model ${dataset}; it has { ${list} }`;
      throw new Refusal(field, text, { code: "jobInvalid", field });
    }
  }

  plans(known: ReadonlyMap<string, readonly Column[]>): readonly HistoryPlan[] {
    return this.tables.map((table) => ({
      table: table.scanned,
      job: table.owner,
      dataset: table.dataset,
      ...scannedDays(table),
      columns: known.get(table.scanned) ?? [],
    }));
  }
}

/** The table of earlier days and the run's own rows as one. The run's own day is the one before its logical time. */
export function joinedSql({ dataset, scanned }: HistoryTable, columns: readonly Column[]): string {
  const rows = columns.slice(0, -1);
  const names = rows.map(({ name }) => quoted(name));
  const casts = rows.map(({ name, type }) => `CAST(${quoted(name)} AS ${type}) AS ${quoted(name)}`);
  return (
    `SELECT ${[...names, "day"].join(", ")} FROM ${quoted(scanned)} UNION ALL ` +
    `SELECT ${[...casts, "CAST(current_date - 1 AS DATE) AS day"].join(", ")} FROM ${quoted(dataset)}`
  );
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** As files of the dataset have them. */
function written(dataset: string, columns: readonly Column[]): readonly Column[] {
  return inModel(dataset, () =>
    columns.map(({ name, type }) => ({ name, type: datasetType(name, type) })),
  );
}

function fieldOf(model: string, dataset: string): string {
  return `models.${model}.history.${dataset}`;
}
