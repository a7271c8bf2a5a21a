/**
 * What a job file says about days that run by themselves: when they start, when their input is ready, what they wait
 * for, by when they are to be done, and how missed ones are caught up. Pure: parsed YAML in, fields of a JobSpec out.
 */
import { z } from "zod";
import type { JobSpec, ReadyRule } from "../kernel/job.ts";
import { limits } from "../kernel/limits.ts";
import { durationMs } from "../kernel/time.ts";
import { cronProblem } from "./calendar.ts";
import { dataPath, didYouMean, jobName, object, tableName, timezone } from "./job-fields.ts";

const cron = z.string().superRefine((text, context) => {
  const message = cronProblem(text);
  if (message !== undefined) context.addIssue({ code: "custom", message });
});

const timeOfDay = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$/, "a time of day from 00:00 to 23:59, such as 06:00, quoted");

const duration = z
  .string()
  .refine((text) => durationMs(text) !== undefined, "a duration such as 90s, 30m, 2h or 1d");

const dayPath = dataPath.refine(
  (path) => path.includes("{day}"),
  "the path holds {day}: without it every day would look at the same file",
);

const rules = ["manifest", "marker", "count", "quiet"] as const;

/** When a source's files of a day are complete. */
export const ready = object({
  manifest: dayPath.optional(),
  marker: dayPath.optional(),
  count: z.int().min(1).max(limits.filesPerDayMax).optional(),
  quiet: duration
    .refine((text) => durationMs(text) !== 0, "a quiet time is longer than nothing")
    .optional(),
  completeness: z.number().min(0).max(1).optional(),
  grace: duration.optional(),
}).superRefine((value, context) => {
  const given = rules.filter((rule) => value[rule] !== undefined);
  if (given.length !== 1) {
    const message = "exactly one of manifest, marker, count and quiet says when a day is ready";
    context.addIssue({ code: "custom", message });
  }
  if (value.completeness === undefined) return;
  const refuse = (message: string) =>
    context.addIssue({ code: "custom", message, path: ["completeness"] });
  if (value.manifest === undefined && value.count === undefined) {
    refuse("a share of the expected files needs manifest or count, which say how many there are");
  } else if (value.grace === undefined) {
    refuse("fewer files are enough after the grace time only: say grace, too (0s: at once)");
  }
});

const consumerName = z
  .string()
  .regex(/^[a-z][a-z0-9_-]{0,62}$/, "a consumer's name is [a-z][a-z0-9_-]*, at most 63 characters");

/** Keys of the file that this page knows. */
export const dayKeys = {
  schedule: object({ cron, timezone: timezone.optional() }).optional(),
  deadline: object({
    finish_by: timeOfDay.optional(),
    models: z.record(z.string(), timeOfDay).default({}),
  })
    .refine(
      ({ finish_by: all, models }) => all !== undefined || Object.keys(models).length > 0,
      "a deadline says finish_by, or models with a time each",
    )
    .optional(),
  after: z
    .array(object({ job: jobName, dataset: tableName }))
    .max(limits.upstreamsPerJobMax)
    .default([]),
  on_change: z.enum(["flag", "rerun"]).default("flag"),
  backlog: object({
    days: z.int().min(0).max(366).default(limits.backlogDaysDefault),
    order: z.enum(["oldest", "newest"]).default("oldest"),
  }).prefault({}),
  work_ahead: z.boolean().default(true),
  consumers: z
    .record(consumerName, z.array(tableName).min(1, "a consumer takes at least one dataset"))
    .default({}),
};

const dayPart = z.object(dayKeys);
type DayPart = z.output<typeof dayPart>;

interface Named extends DayPart {
  readonly name: string;
  readonly timezone?: string | undefined;
  readonly models: Readonly<Record<string, unknown>>;
}

type Refuse = (message: string, path: (string | number)[]) => void;

/** Rules between these fields and the rest of the file. */
export function refuseDays(job: Named, refuse: Refuse): void {
  const models = Object.keys(job.models);
  for (const model of Object.keys(job.deadline?.models ?? {})) {
    if (models.includes(model)) continue;
    refuse(`no model ${model}${didYouMean(model, models)}`, ["deadline", "models", model]);
  }
  const seen = new Set<string>();
  job.after.forEach(({ job: upstream, dataset }, index) => {
    if (upstream === job.name) refuse("a job can't wait for itself", ["after", index, "job"]);
    const key = `${upstream}/${dataset}`;
    if (seen.has(key)) refuse(`${dataset} of ${upstream} stands here twice`, ["after", index]);
    seen.add(key);
  });
  refuseConsumers(job, models, refuse);
  const zone = job.schedule?.timezone;
  if (zone !== undefined && job.timezone !== undefined && zone !== job.timezone) {
    refuse("a job lives in one time zone: timezone says another", ["schedule", "timezone"]);
  }
}

function refuseConsumers(job: Named, models: readonly string[], refuse: Refuse): void {
  const consumers = Object.entries(job.consumers);
  const most = limits.consumersPerJobMax;
  if (consumers.length > most) refuse(`at most ${most} consumers`, ["consumers"]);
  for (const [consumer, datasets] of consumers) {
    datasets.forEach((dataset, index) => {
      const path = ["consumers", consumer, index];
      if (!models.includes(dataset)) {
        refuse(`no model ${dataset}${didYouMean(dataset, models)}`, path);
      } else if (datasets.indexOf(dataset) < index) {
        refuse(`${dataset} stands here twice`, path);
      }
    });
  }
}

type DayFields = Pick<
  JobSpec,
  | "schedule"
  | "finishBy"
  | "finishByModel"
  | "after"
  | "onChange"
  | "backlogDays"
  | "backlogOrder"
  | "workAhead"
  | "consumers"
>;

/** What is as by default is left out: a job that says it and one that does not are the same job. */
export function dayFields({ schedule, deadline, after, backlog, ...job }: DayPart): DayFields {
  const { finish_by: finishBy, models = {} } = deadline ?? {};
  return {
    ...(schedule === undefined ? {} : { schedule: schedule.cron }),
    ...(finishBy === undefined ? {} : { finishBy }),
    ...(Object.keys(models).length === 0 ? {} : { finishByModel: models }),
    ...(after.length === 0 ? {} : { after }),
    ...(job.on_change === "rerun" ? { onChange: "rerun" } : {}),
    backlogDays: backlog.days,
    ...(backlog.order === "newest" ? { backlogOrder: "newest" } : {}),
    ...(job.work_ahead ? {} : { workAhead: false }),
    ...(Object.keys(job.consumers).length === 0 ? {} : { consumers: consumersOf(job.consumers) }),
  };
}

function consumersOf(given: DayPart["consumers"]): NonNullable<JobSpec["consumers"]> {
  return Object.entries(given).map(([name, datasets]) => ({ name, datasets }));
}

/** By source; sources without a rule are left out. */
export function readyRules(
  sources: Readonly<Record<string, { readonly ready?: z.output<typeof ready> | undefined }>>,
): Pick<JobSpec, "ready"> {
  const found = Object.entries(sources).flatMap(([name, { ready: rule }]) =>
    rule === undefined ? [] : [[name, readyRule(rule)] as const],
  );
  return found.length === 0 ? {} : { ready: Object.fromEntries(found) };
}

function readyRule(given: z.output<typeof ready>): ReadyRule {
  const { completeness, grace } = given;
  const by = rules.find((rule) => given[rule] !== undefined) ?? "quiet";
  return {
    by,
    value: String(given[by]),
    ...(completeness === undefined ? {} : { completeness }),
    ...(grace === undefined ? {} : { grace }),
  };
}
