/**
 * How many rows each exchange will carry, as bounds that the plan alone gives: a raw row is sent once, a filter makes
 * fewer, a group is sent once a task. For people only; what is planned never depends on it.
 */
import { unreachable } from "../../../shared/kernel/assert.ts";
import type { JobSpec } from "../../../shared/kernel/job.ts";
import type { ExchangeTraffic, RowsBound } from "../../../shared/kernel/plan.ts";
import { makesRows } from "./aggregates.ts";
import { limitValue } from "./modifiers.ts";
import type { Placement } from "./placement.ts";
import { type Body, type From, inputsOf, leavesOf } from "./relation.ts";
import type { DraftStage } from "./stages.ts";
import { some, textOf } from "./tree.ts";

type Flow = Omit<ExchangeTraffic, "exchange">;
type Join = From & { readonly kind: "join" };

/** One entry for each exchange, in the order of their ids. */
export function trafficOf(
  job: JobSpec,
  placement: Placement,
  drafts: readonly DraftStage[],
): readonly ExchangeTraffic[] {
  const flows = new Flows(job, placement);
  return drafts
    .flatMap((draft) => draft.sends)
    .map(({ id, exchange, filtered }) => {
      const flow = flows.of(exchange.anchor);
      return { exchange: id, ...(filtered ? fewer(flow) : flow) };
    })
    .sort((a, b) => Number(a.exchange.slice(1)) - Number(b.exchange.slice(1)));
}

class Flows {
  private readonly job: JobSpec;
  private readonly placement: Placement;
  private readonly known = new Map<string, Flow>();

  constructor(job: JobSpec, placement: Placement) {
    this.job = job;
    this.placement = placement;
  }

  /** Rows of a relation over the whole job, per row of its sources. */
  of(name: string): Flow {
    const known = this.known.get(name);
    if (known !== undefined) return known;
    const flow = this.made(name, this.placement.relations.get(name).body);
    this.known.set(name, flow);
    return flow;
  }

  private made(name: string, body: Body): Flow {
    switch (body.kind) {
      case "base":
        return this.base(name, body.base);
      case "view": {
        const flow = this.from(body.from) ?? nothingKnown;
        const many = body.select.some((item) => some(item.expr, makesRows));
        if (many) return unbounded(flow);
        return body.where.length > 0 ? fewer(flow) : flow;
      }
      case "join":
        return this.from(body.from) ?? nothingKnown;
      case "window":
        return this.of(body.input);
      case "aggregate":
        return this.grouped(name, body);
      case "distinct":
        return this.perGroup(name, fewer(this.of(body.input)));
      case "limit": {
        const flow = fewer(this.of(body.input));
        const each = limitValue(body.limit);
        return body.limit === undefined
          ? flow
          : { ...flow, rows: { each, times: this.times(name) } };
      }
      case "setop": {
        const all = body.inputs.map((input) => this.of(input)).reduce(together);
        return body.op === "UNION" && body.all ? all : fewer(all);
      }
      default:
        return unreachable(body);
    }
  }

  private base(name: string, base: "source" | "files" | "dimension"): Flow {
    const source = this.placement.sourceOf(name);
    if (base === "dimension" || source === undefined) return nothingKnown;
    if (base === "files") {
      return { ...nothingKnown, sources: [source], rows: { each: "files", times: "run" } };
    }
    const outside = this.job.sources.find((entry) => entry.name === source)?.eventTime?.outside;
    // Records outside their day are set aside before the models see them.
    const whole = outside === undefined || outside === "keep";
    return { sources: [source], atLeast: whole ? 1 : 0, atMost: 1, assumes: [] };
  }

  private grouped(name: string, body: Body & { readonly kind: "aggregate" }): Flow {
    const flow = fewer(this.of(body.input));
    // Without keys there is a row even where nothing was read.
    if (body.keys.length === 0) {
      return { ...unbounded(flow), assumes: [], rows: { each: 1, times: this.times(name) } };
    }
    if (body.sets === undefined) return this.perGroup(name, flow);
    const rows: RowsBound = { each: "groups", times: this.times(name) };
    const atMost = flow.atMost === undefined ? {} : { atMost: flow.atMost * body.sets.length };
    return { ...flow, ...atMost, rows };
  }

  /** A bound by number or by files is better than one by groups, which nobody knows before. */
  private perGroup(name: string, flow: Flow): Flow {
    const known = flow.rows !== undefined && flow.rows.each !== "groups";
    return known ? flow : { ...flow, rows: { each: "groups", times: this.times(name) } };
  }

  /** What tasks make of their own rows is there once in each; its combination once in all. */
  private times(name: string): RowsBound["times"] {
    const { placement } = this;
    if (!placement.isPartial(name)) return "run";
    const home = placement.places.get(placement.places.homeOf(name));
    return home.source === undefined ? "task" : "split";
  }

  /** undefined: the same in every task (dimensions, literals). */
  private from(from: From): Flow | undefined {
    switch (from.kind) {
      case "empty":
      case "literal":
        return undefined;
      case "leaf": {
        const same = this.placement.relations.isReplicated(from.relation);
        return same ? undefined : this.of(from.relation);
      }
      case "join":
        return this.joined(from);
      default:
        return unreachable(from);
    }
  }

  private joined(join: Join): Flow | undefined {
    const { joinType } = join;
    const left = this.from(join.left);
    const right = this.from(join.right);
    if (left !== undefined && (joinType === "SEMI" || joinType === "ANTI")) return fewer(left);
    if (left !== undefined && joinType === "LEFT" && this.isOneRow(join.right)) return left;
    if (left !== undefined && right !== undefined) return unbounded(together(left, right));
    const flow = left ?? right;
    if (flow === undefined) return undefined;
    const outer = left === undefined ? "RIGHT" : "LEFT";
    if (joinType !== outer && joinType !== "INNER") return unbounded(flow);
    const isLookup = join.condition.some((expr) => textOf(expr, "type") === "COMPARE_EQUAL");
    if (!isLookup) return unbounded(flow);
    const looked = this.dimensionsOf(left === undefined ? join.left : join.right);
    const assumes = [...new Set([...flow.assumes, ...looked])].sort();
    return { ...flow, atLeast: joinType === "INNER" ? 0 : flow.atLeast, assumes };
  }

  private isOneRow(from: From): boolean {
    if (from.kind !== "leaf") return false;
    const { body } = this.placement.relations.get(from.relation);
    if (body.kind === "aggregate") return body.keys.length === 0 && body.sets === undefined;
    return body.kind === "view" && this.isOneRow(body.from);
  }

  private dimensionsOf(from: From): readonly string[] {
    const { relations } = this.placement;
    const below = (name: string): readonly string[] => {
      const { body } = relations.get(name);
      return body.kind === "base" ? [name] : inputsOf(body).flatMap(below);
    };
    return leavesOf(from).flatMap((leaf) => below(leaf.relation));
  }
}

const nothingKnown: Flow = { sources: [], atLeast: 0, assumes: [] };

function fewer(flow: Flow): Flow {
  return { ...flow, atLeast: 0 };
}

/** One row may become many: neither input rows nor the rows before are a bound any more. */
function unbounded({ sources, assumes }: Flow): Flow {
  return { sources, atLeast: 0, assumes };
}

/** The rows of both: of one source they add up; of two, each input row is in one of them. */
function together(one: Flow, other: Flow): Flow {
  const apart = !one.sources.some((source) => other.sources.includes(source));
  const same = one.sources.join() === other.sources.join();
  const sources = [...new Set([...one.sources, ...other.sources])].sort();
  const assumes = [...new Set([...one.assumes, ...other.assumes])].sort();
  const least = same ? one.atLeast + other.atLeast : 0;
  const atLeast = apart ? Math.min(one.atLeast, other.atLeast) : least;
  if (one.atMost === undefined || other.atMost === undefined) return { sources, atLeast, assumes };
  const atMost = apart ? Math.max(one.atMost, other.atMost) : one.atMost + other.atMost;
  return { sources, atLeast, atMost, assumes };
}
