/**
 * Jobs whose models read several days of a dataset, on the bench: plans of the shape that the planner makes, folders by
 * day, and what was committed in which order.
 */
import type { Ask } from "../../coordinator/core/protocol.ts";
import { historyTable } from "../../shared/kernel/history.ts";
import type { HistorySpec, JobSpec } from "../../shared/kernel/job.ts";
import type { HistoryPlan, JobPlan, StagePlan } from "../../shared/kernel/plan.ts";
import type { Work } from "../../shared/kernel/work.ts";
import { sampleFiles, sampleJob, samplePlan } from "../sim/sample-job.ts";
import { Bench } from "./bench.ts";

const midnight = Date.parse("2026-01-18T00:00:00Z");

/** `totals` of a day, and `week`, which reads three days of them: at 01:00 UTC, four days are caught up. */
export function weekJob(changes: Partial<JobSpec> = {}, history?: HistorySpec): JobSpec {
  const reads = history ?? { dataset: "totals", days: 3 };
  return sampleJob({
    schedule: "0 1 * * *",
    backlogDays: 4,
    models: [
      { name: "totals", sql: "SELECT 1", file: "totals.sql" },
      { name: "week", sql: "SELECT 2", file: "week.sql", history: [reads] },
    ],
    ...changes,
  });
}

/** Running totals: each day's are made from those of the day before. */
export function runningJob(): JobSpec {
  const history: HistorySpec = { dataset: "totals", days: 1, ownDay: false, columns: [] };
  const models = [{ name: "totals", sql: "SELECT 3", file: "totals.sql", history: [history] }];
  return weekJob({ models });
}

function scanOf(table: string, exchange: string): StagePlan {
  return {
    id: "s2",
    input: { kind: "scan", source: table, keep: ["msisdn"], files: false },
    dimensions: [],
    tables: [],
    outputs: [{ kind: "exchange", exchange, sql: `SELECT msisdn FROM ${table}` }],
  };
}

function planOf(job: JobSpec): JobPlan {
  const plan = samplePlan();
  const [columns = []] = plan.exchanges.map((one) => one.columns);
  const x1 = { id: "x1", columns, keys: ["msisdn"], partitions: 4, groups: 2 };
  const of = { job: job.name, dataset: "totals", columns };
  if (!job.models.some(({ name }) => name === "week")) {
    const table = historyTable("totals");
    const history: HistoryPlan = { table, ...of, first: 1, last: 1 };
    const [scan, reduce] = plan.stages as [StagePlan, StagePlan];
    return {
      ...plan,
      stages: [
        scan,
        { ...scanOf(table, "x1"), id: "s1" },
        { ...reduce, id: "s2", input: { kind: "exchange", exchanges: ["x0", "x1"] } },
      ],
      exchanges: [...plan.exchanges, x1],
      datasets: [{ model: "totals", stage: "s2", columns, history: [table] }],
      history: [history],
    };
  }
  const owner = job.models[1]?.history?.[0]?.job;
  const table = owner === undefined ? "totals_earlier" : "totals_history";
  const last = owner === undefined ? 1 : 0;
  const history: HistoryPlan = { table, ...of, job: owner ?? job.name, first: 2, last };
  const week: StagePlan = {
    id: "s3",
    input: { kind: "exchange", exchanges: ["x1"] },
    dimensions: [],
    tables: [],
    outputs: [{ kind: "dataset", model: "week", sql: "SELECT 1", columns, single: true }],
  };
  return {
    ...plan,
    stages: [...plan.stages, scanOf(table, "x1"), week],
    exchanges: [...plan.exchanges, x1],
    datasets: [...plan.datasets, { model: "week", stage: "s3", columns, history: [table] }],
    history: [history],
  };
}

export class HistoryStory {
  readonly bench: Bench;
  /** By day; four files where nothing is said. */
  readonly folders: Map<string, number>;

  constructor(memory?: Bench["memory"], name = "c1", folders = new Map<string, number>()) {
    this.folders = folders;
    this.bench = new Bench(memory, name);
    this.bench.wallFrom = midnight;
    const from = { coordinator: name, address: `${name}:1` };
    this.bench.override = (ask: Ask) => {
      if (ask.kind === "planJob") return { kind: "planned", plan: planOf(ask.job) };
      if (ask.kind !== "listInputs" && ask.kind !== "lookAtDay") return undefined;
      const files = sampleFiles(this.folders.get(ask.day) ?? 4);
      const answer = this.bench.memory.answer(ask, from);
      if (answer.kind !== "listed" && answer.kind !== "looked") return answer;
      const sources = answer.sources.map((one) =>
        one.source === "ipdr" ? { ...one, files } : one,
      );
      return { ...answer, sources } as typeof answer;
    };
  }

  /** A leader at midnight of 18 January with one executor: the 16th is the newest day that is due. */
  begin(job: JobSpec): this {
    this.bench.lead();
    this.bench.attach(1, { slots: 8 });
    this.bench.register(job);
    return this;
  }

  /** The leader is gone; another one takes over what is there, with the executor that has run nothing meanwhile. */
  takeOver(): HistoryStory {
    const next = new HistoryStory(this.bench.memory, "c2", this.folders);
    next.bench.at = this.bench.at;
    next.bench.lead();
    next.bench.attach(1, { slots: 30 });
    return next;
  }

  /** Time passes, and everything that is sent is carried out. */
  live(ms: number): readonly Work[] {
    return this.bench.live(ms);
  }

  /** Until a run is committed, 300 s at most. */
  until(run: string): readonly Work[] {
    const done: Work[] = [];
    for (let seconds = 0; seconds < 300 && !this.committed().includes(run); seconds++) {
      done.push(...this.live(1_000));
    }
    return done;
  }

  /** Runs that readers see or saw, in the order of their commits: `16.r1`. */
  committed(job = "usage"): string[] {
    const runs = [...this.bench.memory.manifests.values()];
    const seen = runs.filter((one) => one.state === "committed" && one.job === job);
    return seen.map(({ day, revision }) => `${day.slice(-2)}.r${revision}`);
  }

  /** What a run has read of earlier days: `14@1 15@-` */
  read(run: string): string {
    const { history = [] } = this.bench.memory.manifests.get(run) ?? {};
    return history
      .flatMap(({ days }) => days)
      .map(({ day, revision }) => `${day.slice(-2)}@${revision === 0 ? "-" : revision}`)
      .join(" ");
  }

  /** `day state: reason → next`, newest first; `days` 0: those of the window. */
  grid(days = 0): string[] {
    return this.bench
      .backlog("usage", days)
      .days.map(
        ({ day, state, reason, next }) =>
          `${day.slice(-2)} ${state}: ${reason}${next === "" ? "" : ` → ${next}`}`,
      );
  }

  /** The grid's line of a day. */
  line(day: string, days = 0): string | undefined {
    return this.grid(days).find((line) => line.startsWith(day));
  }
}
