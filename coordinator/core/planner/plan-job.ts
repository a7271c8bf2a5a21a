/**
 * The planner's one entry: job + the SQL engine's answers so far → a plan, a refusal, or the questions still open.
 * Pure: called again with more answers it starts over and gets further.
 */

import { type Failure, failure } from "../../../shared/kernel/failure.ts";
import type { Column, JobSpec } from "../../../shared/kernel/job.ts";
import type { ExchangePlan, JobPlan, StageOutput, StagePlan } from "../../../shared/kernel/plan.ts";
import type { SqlAnswer, SqlQuestion } from "../../../shared/kernel/sql-question.ts";
import { Asker, columnsOf, describeQuestion, Pending, questionKey } from "./binding.ts";
import { readChecks } from "./check-sql.ts";
import { selectNode, statement } from "./emit.ts";
import { type Front, readJob } from "./front.ts";
import { Placement } from "./placement.ts";
import { failureAt, inModel, lineAt, Refusal } from "./refusal.ts";
import { type DraftExchange, type DraftStage, draftStages } from "./stages.ts";
import { trafficOf } from "./traffic.ts";
import { printTree, type Tree } from "./tree.ts";
import { Typing } from "./typing.ts";

export { questionKey };

export type Planning =
  | { readonly kind: "need"; readonly questions: readonly SqlQuestion[] }
  | { readonly kind: "planned"; readonly plan: JobPlan }
  | { readonly kind: "refused"; readonly failure: Failure };

export function planJob(job: JobSpec, answers: ReadonlyMap<string, SqlAnswer>): Planning {
  const asker = new Asker(answers);
  try {
    return { kind: "planned", plan: plan(job, asker) };
  } catch (error) {
    if (error instanceof Pending) return { kind: "need", questions: asker.questions() };
    if (error instanceof Refusal) return { kind: "refused", failure: explainRefusal(error, job) };
    throw error;
  }
}

function explainRefusal(refusal: Refusal, job: JobSpec): Failure {
  const model = job.models.find((entry) => entry.name === refusal.model);
  if (model === undefined) {
    const text = `job ${job.name}: ${refusal.clause}: ${refusal.message}`;
    return failure(
      refusal.code,
      text,
      refusal.field === undefined ? undefined : { field: refusal.field },
    );
  }
  const line = lineAt(model.sql, refusal.position);
  return failureAt(refusal, { model: model.name, file: model.file, line });
}

function plan(job: JobSpec, asker: Asker): JobPlan {
  const front = readJob(job, asker);
  const types = describeRelations(front, asker);
  for (const { model, answer, columns } of front.written) {
    inModel(model, () => refuseOtherTypes(types.get(answer) ?? [], columns));
  }
  const typing = new Typing(front.relations, asker, front.known, types);
  const sourceOf = (name: string): string | undefined => front.sourceOf.get(name);
  const placement = new Placement(front.relations, types, typing, sourceOf);
  placement.run();
  const stages = draftStages(placement, front.written, exchangeNames(front));
  const written = stages.flatMap((stage) => stage.writes);
  const datasets = new Map(written.map((one) => [one.written.model, one.columns]));
  const scanned = new Set(stages.flatMap(({ source = [] }) => source));
  readChecks(job, datasets, scanned, asker);
  const traffic = trafficOf(job, placement, stages);
  const { reads } = front;
  const known = Object.keys(reads).length === 0 ? {} : { reads };
  return withHistory({ ...new PlanText(job, asker).plan(stages, front), traffic, ...known }, front);
}

/** A model that is read in another way than the engine reads it shows in its types first. */
function refuseOtherTypes(read: readonly Column[], told: readonly Column[]): void {
  told.forEach(({ name, type }, index) => {
    const other = read[index]?.type;
    if (other === type) return;
    throw new Refusal(
      `column ${name}`,
      `would be computed as ${other} where the engine has ${type}; write CAST(… AS ${type})`,
    );
  });
}

/** Says what of earlier days is read, and which datasets depend on it. */
function withHistory(plan: JobPlan, { history, readsHistory }: Front): JobPlan {
  if (history.length === 0) return plan;
  const datasets = plan.datasets.map((dataset) => {
    const tables = readsHistory.get(dataset.model);
    return tables === undefined ? dataset : { ...dataset, history: tables };
  });
  return { ...plan, datasets, history };
}

/** Columns of every relation, asked for in one round. */
function describeRelations(front: Front, asker: Asker): Map<string, readonly Column[]> {
  const types = new Map<string, readonly Column[]>(front.known);
  const names = [...front.relations.byName.keys()].filter((name) => !types.has(name));
  const questions = names.map((name) => describeQuestion(name, front.relations, front.known));
  for (const question of questions) asker.ask(question);
  asker.settle();
  names.forEach((name, index) => {
    const question = questions[index];
    if (question === undefined) return;
    types.set(name, columnsOf(asker.demand(question), front.relations.get(name).model));
  });
  return types;
}

/** `x0`, `x1` … leaving out what a table of the job is called. */
function exchangeNames(front: Front): (number: number) => string {
  const free: string[] = [];
  let next = 0;
  return (number) => {
    while (free.length <= number) {
      const name = `x${next}`;
      next += 1;
      if (!front.relations.isTaken(name)) free.push(name);
    }
    return free[number] ?? "";
  };
}

/** Drafts with trees → the plan with SQL texts. */
class PlanText {
  private readonly job: JobSpec;
  private readonly asker: Asker;

  constructor(job: JobSpec, asker: Asker) {
    this.job = job;
    this.asker = asker;
  }

  plan(drafts: readonly DraftStage[], front: Front): JobPlan {
    const stages = drafts.map((draft, index) => this.stage(draft, `s${index}`));
    const exchanges = drafts.flatMap((draft) => draft.sends.map((send) => this.exchange(send)));
    const datasets = stages.flatMap((stage) =>
      stage.outputs.flatMap((output) =>
        output.kind === "dataset"
          ? [{ model: output.model, stage: stage.id, columns: output.columns }]
          : [],
      ),
    );
    this.asker.settle();
    const order = new Map(this.job.models.map((model, index) => [model.name, index]));
    datasets.sort((a, b) => (order.get(a.model) ?? 0) - (order.get(b.model) ?? 0));
    exchanges.sort((a, b) => Number(a.id.slice(1)) - Number(b.id.slice(1)));
    const { usesLogicalTime } = front;
    return { stages: this.withInputs(stages, drafts), exchanges, datasets, usesLogicalTime };
  }

  private stage(draft: DraftStage, id: string): StagePlan {
    const { source } = draft;
    const outputs: StageOutput[] = [
      ...draft.sends.map((send) => ({
        kind: "exchange" as const,
        exchange: send.id,
        sql: this.text(send.node),
      })),
      ...draft.writes.map((write) => ({
        kind: "dataset" as const,
        model: write.written.model,
        sql: this.text(write.node),
        columns: write.columns,
        single: source === undefined,
      })),
    ];
    return {
      id,
      input:
        source === undefined
          ? { kind: "exchange", exchanges: [] }
          : { kind: "scan", source, keep: draft.keep, files: draft.files },
      dimensions: draft.dimensions,
      tables: draft.tables.map(({ name, node, materialize }) => ({
        name,
        sql: this.text(node),
        materialize,
      })),
      outputs,
    };
  }

  /** Exchange stages name their inputs by the ids that senders drew. */
  private withInputs(
    stages: readonly StagePlan[],
    drafts: readonly DraftStage[],
  ): readonly StagePlan[] {
    const sends = drafts.flatMap((draft) => draft.sends);
    return stages.map((stage, index) => {
      const places = drafts[index]?.places ?? [];
      if (stage.input.kind === "scan") return stage;
      const read = sends.filter((send) => places.includes(send.place));
      const exchanges = read.map((send) => send.id);
      exchanges.sort((a, b) => Number(a.slice(1)) - Number(b.slice(1)));
      return { ...stage, input: { kind: "exchange", exchanges } };
    });
  }

  private exchange(send: DraftExchange): ExchangePlan {
    const single = send.keys.length === 0;
    const { partitions, groups } = this.job.execution;
    return {
      id: send.id,
      columns: send.columns,
      keys: send.keys.map((expr) => this.expression(expr)),
      partitions: single ? 1 : partitions,
      groups: single ? 1 : Math.min(groups, partitions),
    };
  }

  private text(node: Tree): string {
    const answer = this.asker.ask({ kind: "format", tree: printTree(statement(node)) });
    if (answer === undefined) return "";
    if (answer.kind !== "sql") {
      const message = answer.kind === "error" ? answer.message : answer.kind;
      throw new Refusal("query", `the engine can't write it back: ${message}`);
    }
    return answer.sql;
  }

  /** One expression as text: formatted as the only column of a SELECT. */
  private expression(expr: Tree): string {
    const empty = { type: "EMPTY", alias: "", sample: null };
    const text = this.text(selectNode({ select: [{ name: "", expr }], from: empty }));
    return text.replace(/^SELECT /, "");
  }
}
