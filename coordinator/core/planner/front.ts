/**
 * From a job's SQL texts to relations: parse, refuse, order the models by what they read, learn their columns from the
 * engine, then read each into relations.
 */
import { must } from "../../../shared/kernel/assert.ts";
import type { Column, JobSpec, ModelSpec } from "../../../shared/kernel/job.ts";
import { tableColumns } from "../../../shared/kernel/job-day.ts";
import { nearestName } from "../../../shared/kernel/nearest.ts";
import { fileTableColumns, type HistoryPlan } from "../../../shared/kernel/plan.ts";
import type { Asker } from "./binding.ts";
import { checkStatement, pivotWay, singleStatement } from "./checks.ts";
import type { Reading } from "./from-clause.ts";
import { Histories, joinedSql } from "./history.ts";
import { ordinalOf } from "./modifiers.ts";
import { readQuery } from "./query.ts";
import { inModel, Refusal } from "./refusal.ts";
import { orderExpr, orderLike, ordersOf, Relations } from "./relation.ts";
import type { Written } from "./stages.ts";
import {
  childOf,
  classOf,
  column,
  doublesAsCasts,
  listOf,
  parseTree,
  type Tree,
  textsOf,
} from "./tree.ts";

export interface Front {
  readonly relations: Relations;
  /** Columns of base tables and models. */
  readonly known: Map<string, readonly Column[]>;
  readonly written: readonly Written[];
  /** Models that read others, and which. */
  readonly reads: Readonly<Record<string, readonly string[]>>;
  readonly usesLogicalTime: boolean;
  readonly history: readonly HistoryPlan[];
  /** By model: the tables of earlier days that it reads, by way of other models, too. */
  readonly readsHistory: ReadonlyMap<string, readonly string[]>;
  /** Source that a base relation is scanned with. */
  readonly sourceOf: ReadonlyMap<string, string>;
}

interface Parsed {
  readonly model: ModelSpec;
  readonly node: Tree;
  /** Names in FROM, as known relations. */
  readonly reads: readonly string[];
}

export function readJob(job: JobSpec, asker: Asker): Front {
  const relations = new Relations();
  const known = new Map<string, readonly Column[]>();
  const sourceOf = new Map<string, string>();
  const names = new Map<string, string>();
  const base = (
    name: string,
    kind: "source" | "files" | "dimension",
    columns: readonly Column[],
  ): void => {
    claim(names, name);
    known.set(name, columns);
    relations.add({
      name,
      model: "",
      columns: columns.map((c) => c.name),
      body: { kind: "base", base: kind },
    });
  };
  for (const source of job.sources) {
    base(source.name, "source", tableColumns(source));
    base(`${source.name}_files`, "files", fileTableColumns);
    sourceOf.set(source.name, source.name).set(`${source.name}_files`, source.name);
  }
  for (const dimension of job.dimensions) base(dimension.name, "dimension", dimension.columns);
  for (const model of job.models) {
    claim(names, model.name);
    relations.reserve(model.name);
  }
  const histories = new Histories(job);
  for (const name of histories.names()) {
    claim(names, name);
    relations.reserve(name);
  }
  const models = parseModels(job, names, asker);
  for (const entry of models) histories.checkReads(entry);
  const joined = histories.joined().map(
    ({ table, scanned, dataset }): Parsed => ({
      model: { name: table, sql: "", file: "" },
      node: {},
      reads: [scanned, dataset],
    }),
  );
  const ordered = inOrder([...models, ...joined], histories);
  describeModels(ordered, known, histories, asker);
  histories.checkDeclared(known);
  for (const { scanned } of histories.tables) {
    const columns = must(known.get(scanned), "its columns are declared, or its model's are known");
    const body = { kind: "base", base: "source" } as const;
    relations.add({ name: scanned, model: "", columns: columns.map((c) => c.name), body });
    sourceOf.set(scanned, scanned);
  }
  const parsed = withJoined(ordered, known, histories, asker);
  let usesLogicalTime = false;
  const onLogicalTime = (): void => {
    usesLogicalTime = true;
  };
  const read = parsed.map((entry) =>
    inModel(entry.model.name, () => readModel(entry, { relations, known, names, onLogicalTime })),
  );
  const written = read.filter(({ model }) => job.models.some(({ name }) => name === model));
  const history = histories.plans(known);
  const readsHistory = tablesRead(parsed, history);
  const reads = readsOf(parsed, job.models);
  return { relations, known, written, reads, usesLogicalTime, history, readsHistory, sourceOf };
}

/** Tables that hold the run's own rows as well are read like models, from SQL of ours. */
function withJoined(
  ordered: readonly Parsed[],
  known: ReadonlyMap<string, readonly Column[]>,
  histories: Histories,
  asker: Asker,
): readonly Parsed[] {
  const texts = new Map(
    histories.joined().map((table) => {
      const columns = must(known.get(table.table), "it has the columns of its scanned part");
      return [table.table, joinedSql(table, columns)] as const;
    }),
  );
  const answers = new Map(
    [...texts].map(([table, sql]) => [table, asker.ask({ kind: "parse", sql })] as const),
  );
  asker.settle();
  return ordered.map((entry) => {
    const answer = answers.get(entry.model.name);
    if (answer === undefined) return entry;
    if (answer.kind !== "tree") throw notParsed(entry.model, answer);
    return { ...entry, node: singleStatement(parseTree(answer.tree)) };
  });
}

/** Models stand after what they read. */
function tablesRead(
  parsed: readonly Parsed[],
  history: readonly HistoryPlan[],
): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, readonly string[]>(history.map(({ table }) => [table, [table]]));
  for (const { model, reads } of parsed) {
    const tables = new Set(reads.flatMap((read) => found.get(read) ?? []));
    if (tables.size > 0) found.set(model.name, [...tables].sort());
  }
  return found;
}

function claim(names: Map<string, string>, name: string): void {
  const lower = name.toLowerCase();
  if (names.has(lower)) {
    throw new Refusal(`name ${name}`, "is used twice among sources, dimensions and models", {
      code: "jobInvalid",
    });
  }
  names.set(lower, name);
}

// --- parsing and order --------------------------------------------------------------------------

function parseModels(
  job: JobSpec,
  names: ReadonlyMap<string, string>,
  asker: Asker,
): readonly Parsed[] {
  const answers = job.models.map((model) => asker.ask({ kind: "parse", sql: model.sql }));
  asker.settle();
  return job.models.map((model, index) =>
    inModel(model.name, () => {
      const answer = must(answers[index], "settled");
      if (answer.kind !== "tree") throw notParsed(model, answer);
      const raw = singleStatement(parseTree(answer.tree, true));
      const reads = checkStatement(raw).tables.map(({ name, position }) => {
        const found = names.get(name.toLowerCase());
        if (found === undefined) throw unknownTable(name, position, [...names.values()]);
        return found;
      });
      return { model, node: doublesAsCasts(singleStatement(parseTree(answer.tree))), reads };
    }),
  );
}

function notParsed(
  model: ModelSpec,
  answer: { kind: string; message?: string; position?: number },
): Refusal {
  const message = answer.message ?? "can't be parsed";
  const statement = /Only SELECT statements/.test(message);
  const word = /^\s*(?:--[^\n]*\n\s*)*(\w+)/.exec(model.sql)?.[1]?.toUpperCase() ?? "statement";
  if (!statement)
    return new Refusal("SQL", message, { code: "jobInvalid", position: answer.position });
  const pivot = /\bUNPIVOT\b/i.test(model.sql)
    ? "UNPIVOT"
    : /\bPIVOT\b/i.test(model.sql)
      ? "PIVOT"
      : word;
  const way = pivot === "PIVOT" ? pivotWay : "a model is one SELECT; it can't change anything";
  return new Refusal(pivot, way);
}

function unknownTable(
  name: string,
  position: number | undefined,
  known: readonly string[],
): Refusal {
  const near = nearestName(name, known);
  const hint = near === undefined ? `known are ${known.join(", ")}` : `did you mean ${near}?`;
  return new Refusal(`table ${name}`, `is no source, dimension or model of this job; ${hint}`, {
    code: "jobInvalid",
    position,
  });
}

/** Models of the job that each of them reads, directly or by way of tables that are none. */
function readsOf(parsed: readonly Parsed[], models: readonly ModelSpec[]): Front["reads"] {
  const named = new Set(models.map(({ name }) => name));
  const byName = new Map(parsed.map((entry) => [entry.model.name, entry]));
  const below = (name: string): readonly string[] =>
    (byName.get(name)?.reads ?? []).flatMap((read) => (named.has(read) ? [read] : below(read)));
  const reads = [...named].map((name) => [name, [...new Set(below(name))]] as const);
  return Object.fromEntries(reads.filter(([, all]) => all.length > 0));
}

/** Models with what they read before them; a cycle is refused by its path. */
function inOrder(parsed: readonly Parsed[], histories: Histories): readonly Parsed[] {
  const byName = new Map(parsed.map((entry) => [entry.model.name, entry]));
  const done: Parsed[] = [];
  const visit = (entry: Parsed, path: readonly string[]): void => {
    if (done.includes(entry)) return;
    const { name } = entry.model;
    if (path.includes(name)) {
      const ring = [...path.slice(path.indexOf(name)), name];
      const cycle = ring.join(" → ");
      const ofHistory = histories.cycle(ring);
      if (ofHistory !== undefined) throw ofHistory;
      throw new Refusal(
        "cycle",
        `models read each other: ${cycle}; one of them has to do without another`,
        {
          code: "jobInvalid",
          model: name,
        },
      );
    }
    for (const read of entry.reads) {
      const below = byName.get(read) ?? byName.get(histories.columnsFrom(read) ?? "");
      if (below !== undefined) visit(below, [...path, name]);
    }
    done.push(entry);
  };
  for (const entry of parsed) visit(entry, []);
  return done;
}

// --- columns ------------------------------------------------------------------------------------

/** Learns every model's columns by describing its own text over the tables it reads. */
function describeModels(
  parsed: readonly Parsed[],
  known: Map<string, readonly Column[]>,
  histories: Histories,
  asker: Asker,
): void {
  const learn = (name: string): void => {
    const columns = histories.scannedColumns(name, known);
    if (columns !== undefined) known.set(name, columns);
  };
  for (const { model, reads } of parsed) {
    for (const name of [...reads, model.name]) learn(name);
    if (known.has(model.name)) continue;
    if (!reads.every((name) => known.has(name))) continue;
    const tables = [...reads].sort().map((name) => ({ name, columns: known.get(name) ?? [] }));
    const answer = asker.ask({ kind: "describe", tables, sql: model.sql });
    if (answer === undefined) continue;
    if (answer.kind !== "columns") {
      const message = answer.kind === "error" ? answer.message : "";
      throw inModelRefusal(
        model,
        message,
        tables.flatMap((table) => table.columns.map((c) => c.name)),
      );
    }
    const names = answer.columns.map((entry) => entry.name.toLowerCase());
    const double = names.find((name, index) => names.indexOf(name) !== index);
    if (double !== undefined) {
      const message = "two output columns have this name; give them different ones with AS";
      throw new Refusal(`column ${double}`, message, { code: "jobInvalid", model: model.name });
    }
    known.set(model.name, answer.columns);
  }
  asker.settle();
}

function inModelRefusal(model: ModelSpec, message: string, columns: readonly string[]): Refusal {
  const [head = "", ...rest] = message.split("\n");
  const line = rest
    .map((text) => /^LINE (\d+):/.exec(text)?.[1])
    .find((text) => text !== undefined);
  const wanted = /[Rr]eferenced column "([^"]+)"|column named "([^"]+)"/.exec(head);
  const name = wanted?.[1] ?? wanted?.[2];
  const near = name === undefined ? undefined : nearestName(name, columns);
  const hint = near === undefined ? "" : ` (did you mean ${near}?)`;
  const text = head.replace(/^(Binder|Catalog|Parser|Conversion) Error: /, "");
  const refusal = new Refusal(name === undefined ? "SQL" : `column ${name}`, `${text}${hint}`, {
    code: "jobInvalid",
    position: line === undefined ? undefined : lineStart(model.sql, Number(line)),
  });
  refusal.model = model.name;
  return refusal;
}

function lineStart(sql: string, line: number): number {
  return (
    sql
      .split("\n")
      .slice(0, line - 1)
      .join("\n").length + (line > 1 ? 1 : 0)
  );
}

// --- one model ----------------------------------------------------------------------------------

interface Shared {
  readonly relations: Relations;
  readonly known: ReadonlyMap<string, readonly Column[]>;
  readonly names: ReadonlyMap<string, string>;
  readonly onLogicalTime: () => void;
}

function readModel(entry: Parsed, shared: Shared): Written {
  const { model, node } = entry;
  const { relations, known, names } = shared;
  const reading: Reading = {
    relations,
    model: model.name,
    tables: names,
    aliases: new Set(),
    onLogicalTime: shared.onLogicalTime,
    query: (inner, ctes) => readQuery(inner, ctes, reading),
  };
  const answer = readQuery(node, new Map(), reading);
  const columns = must(known.get(model.name), "models are described before they are read");
  const given = relations.get(answer).columns;
  if (given.length !== columns.length) {
    throw new Refusal(
      "SELECT",
      `makes ${columns.length} columns of ${given.length}; write a struct's fields, and what a * stands for, one by one`,
    );
  }
  const select = columns.map((entry, index) => ({
    name: entry.name,
    expr: column("m", must(given[index], "counted above")),
  }));
  relations.add({
    name: model.name,
    model: model.name,
    columns: columns.map((entry) => entry.name),
    body: { kind: "view", from: { kind: "leaf", alias: "m", relation: answer }, where: [], select },
  });
  if (relations.isReplicated(model.name)) {
    throw new Refusal(
      "FROM",
      "reads only dimensions or constants: every task would write the same rows; read a source too",
    );
  }
  const orders = fileOrders(node, columns);
  return { model: model.name, relation: model.name, answer, columns, orders };
}

/** ORDER BY of a model, as far as it names output columns: the order of rows within its files. */
function fileOrders(node: Tree, columns: readonly Column[]): readonly Tree[] {
  const orders = listOf(node, "modifiers").flatMap(ordersOf);
  const found: Tree[] = [];
  for (const entry of orders) {
    const whole = orderExpr(entry);
    const collated = classOf(whole) === "COLLATE" ? childOf(whole, "child") : undefined;
    const expr = collated ?? whole;
    const name = textsOf(expr, "column_names").at(-1)?.toLowerCase();
    const ordinal = ordinalOf(expr);
    const target =
      ordinal === undefined
        ? columns.find((known) => known.name.toLowerCase() === name)
        : columns[ordinal - 1];
    if (target === undefined) return found;
    const sorted = column("t", target.name);
    found.push(
      orderLike(entry, collated === undefined ? sorted : { ...whole, child: sorted as never }),
    );
  }
  return found;
}
