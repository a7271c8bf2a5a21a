/**
 * Decides which joins of a FROM may stay row-wise (a spread input with dimensions) and cuts the others out as join
 * relations of their own: two spread inputs, with the equalities they can be brought together by.
 */
import { type Reading, uniqueAlias } from "./from-clause.ts";
import { type From, type JoinKey, leavesOf } from "./relation.ts";
import {
  classOf,
  column,
  columnRefs,
  type Item,
  isTree,
  mapColumns,
  some,
  type Tree,
  textOf,
} from "./tree.ts";

export interface Split {
  readonly from: From;
  /** WHERE conjuncts that no join took. */
  readonly where: readonly Tree[];
  /** Carries an expression over the old FROM to the new one. */
  readonly map: (expr: Tree) => Tree;
}

interface State {
  pool: Tree[];
  renamed: Map<string, Tree>;
}

/** Splits `from`; `where` conjuncts that are join conditions or one-sided filters of inner joins move into them. */
export function splitJoins(from: From, where: readonly Tree[], reading: Reading): Split {
  const state: State = { pool: [...where], renamed: new Map() };
  const result = splitFrom(from, true, state, reading);
  const map = (expr: Tree): Tree => renameAll(expr, state.renamed);
  return { from: result, where: state.pool.map(map), map };
}

const refKey = (table: string, name: string): string => `${table}\u0000${name}`;

/** Follows renames until none applies: a join over a join renames twice. */
function renameAll(expr: Tree, renamed: ReadonlyMap<string, Tree>): Tree {
  if (renamed.size === 0) return expr;
  return mapColumns(expr, (ref) => {
    const next = renamed.get(refKey(ref.table, ref.name));
    return next === undefined ? undefined : renameAll(next, renamed);
  });
}

function isSpread(from: From, reading: Reading): boolean {
  return leavesOf(from).some((entry) => !reading.relations.isReplicated(entry.relation));
}

function splitFrom(from: From, filtersPass: boolean, state: State, reading: Reading): From {
  if (from.kind !== "join") return from;
  const { joinType } = from;
  const leftPass = filtersPass && joinType !== "RIGHT" && joinType !== "FULL";
  const rightPass = filtersPass && (joinType === "INNER" || joinType === "RIGHT");
  const left = splitFrom(from.left, leftPass, state, reading);
  const right = splitFrom(from.right, rightPass, state, reading);
  const condition = from.condition.map((expr) => renameAll(expr, state.renamed));
  const [leftSpread, rightSpread] = [isSpread(left, reading), isSpread(right, reading)];
  const rowWise =
    (!rightSpread && (!leftSpread || ["INNER", "LEFT", "SEMI", "ANTI"].includes(joinType))) ||
    (!leftSpread && (joinType === "INNER" || joinType === "RIGHT"));
  if (rowWise) return { ...from, left, right, condition };
  return cutJoin(
    { joinType, left, right, condition, leftPass, rightPass, filtersPass },
    state,
    reading,
  );
}

interface Cut {
  readonly joinType: string;
  readonly left: From;
  readonly right: From;
  readonly condition: readonly Tree[];
  readonly leftPass: boolean;
  readonly rightPass: boolean;
  readonly filtersPass: boolean;
}

function cutJoin(cut: Cut, state: State, reading: Reading): From {
  state.pool = state.pool.map((expr) => renameAll(expr, state.renamed));
  const leftNames = aliasesOf(cut.left);
  const rightNames = aliasesOf(cut.right);
  const leftFilter = cut.leftPass ? takeFilters(state, leftNames) : [];
  const rightFilter = cut.rightPass ? takeFilters(state, rightNames) : [];
  const condition = [...cut.condition];
  if (cut.filtersPass && cut.joinType === "INNER") {
    condition.push(...takeFilters(state, new Set([...leftNames, ...rightNames])));
  }
  const left = asSide(cut.left, leftFilter, state, reading);
  const right = asSide(cut.right, rightFilter, state, reading);
  const renamedCondition = condition.map((expr) => renameAll(expr, state.renamed));
  const oneSided = cut.joinType === "SEMI" || cut.joinType === "ANTI";
  const sides = oneSided ? [left] : [left, right];
  const name = reading.relations.freshName(reading.model);
  const alias = uniqueAlias("joined", reading);
  const select: Item[] = [];
  const taken = new Set<string>();
  for (const side of sides) {
    for (const columnName of reading.relations.get(side.relation).columns) {
      const item = freshItemName(columnName, taken);
      select.push({ name: item, expr: column(side.alias, columnName) });
      state.renamed.set(refKey(side.alias, columnName), column(alias, item));
    }
  }
  reading.relations.add({
    name,
    model: reading.model,
    columns: select.map((item) => item.name),
    body: {
      kind: "join",
      from: { kind: "join", joinType: cut.joinType, left, right, condition: renamedCondition },
      select,
      keys: joinKeys(renamedCondition, new Set([left.alias]), new Set([right.alias])),
    },
  });
  return { kind: "leaf", alias, relation: name };
}

function aliasesOf(from: From): ReadonlySet<string> {
  if (from.kind === "leaf" || from.kind === "literal") return new Set([from.alias]);
  return from.kind === "join"
    ? new Set([...aliasesOf(from.left), ...aliasesOf(from.right)])
    : new Set();
}

function reads(expr: Tree, aliases: ReadonlySet<string>): boolean {
  const refs = columnRefs(expr);
  return refs.length > 0 && refs.every((ref) => aliases.has(ref.table));
}

function takeFilters(state: State, aliases: ReadonlySet<string>): readonly Tree[] {
  const taken = state.pool.filter((expr) => reads(expr, aliases));
  state.pool = state.pool.filter((expr) => !taken.includes(expr));
  return taken;
}

/** One side of a cut join as a single relation: itself, or a view over its own little FROM. */
function asSide(
  from: From,
  filter: readonly Tree[],
  state: State,
  reading: Reading,
): From & { readonly kind: "leaf" } {
  if (from.kind === "leaf" && filter.length === 0) return from;
  const alias = uniqueAlias("side", reading);
  const select: Item[] = [];
  const taken = new Set<string>();
  for (const [table, columns] of columnsOf(from, reading)) {
    for (const columnName of columns) {
      const item = freshItemName(columnName, taken);
      select.push({ name: item, expr: column(table, columnName) });
      state.renamed.set(refKey(table, columnName), column(alias, item));
    }
  }
  const relation = reading.relations.add({
    name: reading.relations.freshName(reading.model),
    model: reading.model,
    columns: select.map((item) => item.name),
    body: { kind: "view", from, where: filter, select },
  });
  return { kind: "leaf", alias, relation: relation.name };
}

function columnsOf(
  from: From,
  reading: Reading,
): readonly (readonly [string, readonly string[]])[] {
  switch (from.kind) {
    case "leaf":
      return [[from.alias, reading.relations.get(from.relation).columns]];
    case "literal":
      return [[from.alias, from.columns]];
    case "join": {
      const left = columnsOf(from.left, reading);
      const oneSided = from.joinType === "SEMI" || from.joinType === "ANTI";
      return oneSided ? left : [...left, ...columnsOf(from.right, reading)];
    }
    case "empty":
      return [];
  }
}

/** `name`, `name_1`, … whichever is free; notes it as taken. */
export function freshItemName(name: string, taken: Set<string>): string {
  for (let number = 0; ; number += 1) {
    const candidate = number === 0 ? name : `${name}_${number}`;
    if (!taken.has(candidate.toLowerCase())) {
      taken.add(candidate.toLowerCase());
      return candidate;
    }
  }
}

/** Equalities of a condition with one side reading only the left input and the other only the right. */
function joinKeys(
  condition: readonly Tree[],
  left: ReadonlySet<string>,
  right: ReadonlySet<string>,
): readonly JoinKey[] {
  const keys: JoinKey[] = [];
  for (const part of condition) {
    const type = textOf(part, "type");
    if (type !== "COMPARE_EQUAL" && type !== "COMPARE_NOT_DISTINCT_FROM") continue;
    const [a, b] = [part["left"], part["right"]];
    if (!isTree(a) || !isTree(b)) continue;
    // Equal under a collation is not equal to the hash.
    if (some(part, (entry) => classOf(entry) === "COLLATE")) continue;
    if (reads(a, left) && reads(b, right)) keys.push({ left: a, right: b });
    else if (reads(a, right) && reads(b, left)) keys.push({ left: b, right: a });
  }
  return keys;
}
