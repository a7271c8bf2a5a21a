/**
 * Some models of a job, said in the words of dbt: `model`, `+model` (with all that it reads), `model+` (with all that
 * read it), `+model+`, `2+model` and `model+1` (so many steps). Spaces or several texts add up, commas leave what is in
 * all of them. Pure: texts and what the models read in, names out.
 */
import { type Failure, failure } from "./failure.ts";
import { nearestName } from "./nearest.ts";

/** Model → models that it reads. Those that read none may be left out. */
export type ModelReads = Readonly<Record<string, readonly string[]>>;

interface Term {
  readonly model: string;
  /** Steps towards what it reads, and towards what reads it. */
  readonly up: number;
  readonly down: number;
}

/** Each text is a union of intersections of terms. */
type Parsed = readonly (readonly Term[])[];

/** What is wrong with a selection, whatever the models read: `badRequest`, with the nearest name. */
export function selectionProblem(
  texts: readonly string[],
  models: readonly string[],
): Failure | undefined {
  const parsed = parse(texts, models);
  return "code" in parsed ? parsed : undefined;
}

/** The models that are meant, in the order of `models`. None: `badRequest`. */
export function selectModels(
  texts: readonly string[],
  models: readonly string[],
  reads: ModelReads,
): readonly string[] | Failure {
  const parsed = parse(texts, models);
  if ("code" in parsed) return parsed;
  const readers = readersOf(reads);
  const chosen = new Set<string>();
  for (const terms of parsed) {
    const [first = new Set<string>(), ...others] = terms.map(({ model, up, down }) => {
      return new Set([...reach(model, up, reads), ...reach(model, down, readers)]);
    });
    for (const model of first) if (others.every((set) => set.has(model))) chosen.add(model);
  }
  if (chosen.size > 0) return models.filter((model) => chosen.has(model));
  const text = `--select ${texts.join(" ")} leaves no model: a comma leaves what is on both of its sides`;
  return failure("badRequest", text);
}

function parse(texts: readonly string[], models: readonly string[]): Parsed | Failure {
  const parts = texts.flatMap((text) => text.split(/\s+/)).filter((part) => part !== "");
  if (parts.length === 0) return failure("badRequest", "--select names no model");
  const parsed: Term[][] = [];
  for (const part of parts) {
    const terms: Term[] = [];
    for (const text of part.split(",")) {
      const term = parseTerm(text, models);
      if ("code" in term) return term;
      terms.push(term);
    }
    parsed.push(terms);
  }
  return parsed;
}

function parseTerm(text: string, models: readonly string[]): Term | Failure {
  const found = /^(?:(\d{0,3})(\+))?([A-Za-z_]\w*)(?:(\+)(\d{0,3}))?$/.exec(text);
  if (found === null) {
    const ways = "write model, +model, model+, +model+, 2+model or model+1";
    return failure("badRequest", `--select: ${JSON.stringify(text)} is no selection; ${ways}`);
  }
  const [, upSteps = "", up, name = "", down, downSteps = ""] = found;
  if (!models.includes(name)) {
    const near = nearestName(name, models);
    const hint =
      near === undefined ? `; there are ${models.join(", ")}` : `; did you mean ${near}?`;
    return failure("badRequest", `--select: the job has no model ${name}${hint}`, { model: name });
  }
  return { model: name, up: steps(up, upSteps), down: steps(down, downSteps) };
}

function steps(sign: string | undefined, count: string): number {
  if (sign === undefined) return 0;
  return count === "" ? Number.POSITIVE_INFINITY : Number(count);
}

/** The model and what lies within so many steps of it. */
function reach(model: string, most: number, next: ModelReads): Set<string> {
  const found = new Set([model]);
  let edge: readonly string[] = [model];
  for (let step = 0; step < most && edge.length > 0; step++) {
    const further = edge.flatMap((one) => next[one] ?? []).filter((one) => !found.has(one));
    edge = [...new Set(further)];
    for (const one of edge) found.add(one);
  }
  return found;
}

function readersOf(reads: ModelReads): ModelReads {
  const readers: Record<string, string[]> = {};
  for (const [model, read] of Object.entries(reads)) {
    for (const one of read) readers[one] = [...(readers[one] ?? []), model];
  }
  return readers;
}
