/**
 * The file of alerts as a schema: channels, routes, times, quiet hours, rules, thresholds, heartbeat, with their
 * defaults and the rules between them. It turns parsed YAML into the core's configuration and the sender's channels.
 */
import { z } from "zod";
import {
  type AlertConfig,
  type AlertRule,
  type AlertThresholds,
  alertRules,
  type QuietHours,
  type Severity,
  severities,
} from "../kernel/alert.ts";
import { limits } from "../kernel/limits.ts";
import type { ChannelSpec, HeartbeatSpec } from "./alert-channel.ts";
import {
  channel,
  channelSpec,
  type HoldMs,
  heartbeatPlace,
  placeOf,
} from "./alert-file-channels.ts";
import { duration, timeOfDay } from "./alert-file-fields.ts";
import { didYouMean, jobName, object, timezone } from "./job-fields.ts";

const severity = z.enum(severities as readonly [Severity, ...Severity[]]);

const ruleName = z.string().superRefine((name, context) => {
  if ((alertRules as readonly string[]).includes(name)) return;
  const message = `no rule of that name${didYouMean(name, alertRules)} (rules: ${alertRules.join(", ")})`;
  context.addIssue({ code: "custom", message });
});

const route = object({
  severities: z.array(severity).default([]),
  jobs: z.array(jobName).default([]),
  rules: z.array(ruleName).default([]),
  channels: z.array(z.string()).min(1, "a route leads to at least one channel"),
  go_on: z.boolean().default(false),
});

const repeat = z.union([z.literal("never").transform(() => 0), duration("1m", "30d")], {
  error: "a duration from 1m to 30d, such as 4h, or never",
});

const share = z.number().gt(0, "a share above 0, such as 0.85").max(1);
const factor = z.number().gt(1, "a multiple above 1, such as 1.5").max(100);

const thresholds = object({
  baseline_runs: z.int().min(7).max(100).default(14),
  baseline_runs_min: z
    .int()
    .min(7, "fewer than 7 runs say nothing about what is usual")
    .max(100)
    .default(7),
  slow_factor: factor.default(1.5),
  slow_floor: duration("0s", "1d").default(600_000),
  trend_factor: factor.default(1.25),
  trend_floor: duration("0s", "1d").default(300_000),
  throughput_share: share.default(0.7),
  volume_low: z.number().min(0).max(1).default(0.6),
  volume_high: factor.default(1.5),
  rejects_share: z.number().min(0).max(1).default(0.001),
  executors_min: z.int().min(0).max(limits.executorsMax).default(1),
  backlog_days: z.int().min(1).max(366).default(3),
  full_share: share.default(0.85),
  not_started_after: duration("1m", "7d").default(1_800_000),
}).superRefine(({ baseline_runs: most, baseline_runs_min: least }, context) => {
  if (least <= most) return;
  const message = `${least} runs are needed, and only ${most} are looked at (baseline_runs)`;
  context.addIssue({ code: "custom", message, path: ["baseline_runs_min"] });
});

/** `off`, a severity, or both said at length. */
const rule = z
  .union(
    [
      z.literal("off"),
      severity,
      object({ off: z.boolean().optional(), severity: severity.optional() }),
    ],
    {
      error: `off, a severity (${severities.join(", ")}), or { off, severity }`,
    },
  )
  .transform((said): { off?: boolean; severity?: Severity } => {
    if (typeof said !== "object") return said === "off" ? { off: true } : { severity: said };
    return {
      ...(said.off === undefined ? {} : { off: said.off }),
      ...(said.severity === undefined ? {} : { severity: said.severity }),
    };
  });

/** The whole file. Unknown keys are refused at every level. */
export const alertSchema = object({
  channels: z.record(
    z
      .string()
      .regex(
        /^[a-z][a-z0-9-]{0,62}$/,
        "a channel's name is [a-z][a-z0-9-]*, at most 63 characters",
      ),
    channel,
  ),
  routes: z.array(route).max(limits.alertRoutesMax).optional(),
  group_wait: duration("0s", "1h").default(30_000),
  group_interval: duration("10s", "1d").default(300_000),
  repeat: object({
    critical: repeat.default(14_400_000),
    warning: repeat.default(86_400_000),
    info: repeat.default(0),
  }).prefault({}),
  quiet_hours: object({ from: timeOfDay, to: timeOfDay, timezone })
    .refine(({ from, to }) => from !== to, "from and to are the same: quiet hours have a length")
    .optional(),
  rules: z.record(ruleName, rule).default({}),
  thresholds: thresholds.prefault({}),
  heartbeat: object({
    ...heartbeatPlace,
    every: duration("10s", "1d").default(60_000),
    method: z.enum(["GET", "POST", "HEAD"]).default("POST"),
  }).optional(),
}).superRefine((file, context) => {
  const refuse = (message: string, path: (string | number)[]) =>
    context.addIssue({ code: "custom", message, path });
  const names = Object.keys(file.channels);
  if (names.length === 0)
    refuse("at least one channel is needed: nobody would be told", ["channels"]);
  if (names.length > limits.channelsMax)
    refuse(`at most ${limits.channelsMax} channels`, ["channels"]);
  if (file.routes?.length === 0)
    refuse("no route leads to a channel; leave routes out to tell all", ["routes"]);
  for (const [index, { channels }] of (file.routes ?? []).entries()) {
    for (const [at, name] of channels.entries()) {
      if (names.includes(name)) continue;
      const message = `no channel of that name${didYouMean(name, names)} (channels: ${names.join(", ")})`;
      refuse(message, ["routes", index, "channels", at]);
    }
  }
});

export type AlertDocument = z.output<typeof alertSchema>;

/** Without routes every channel is told everything. */
export function alertConfig(file: AlertDocument): AlertConfig {
  const { quiet_hours: quietHours, heartbeat } = file;
  const names = Object.keys(file.channels);
  const all = { severities: [], jobs: [], rules: [], channels: names, goOn: false };
  return {
    channels: Object.entries(file.channels).map(([name, { kind }]) => ({ name, kind })),
    routes: file.routes?.map(({ go_on: goOn, rules, ...given }) => ({
      ...given,
      rules: rules as AlertRule[],
      goOn,
    })) ?? [all],
    groupWaitMs: file.group_wait,
    groupIntervalMs: file.group_interval,
    repeatMs: file.repeat,
    ...(quietHours === undefined ? {} : { quietHours }),
    rules: file.rules as AlertConfig["rules"],
    thresholds: thresholdsOf(file.thresholds),
    ...(heartbeat === undefined ? {} : { heartbeatEveryMs: heartbeat.every }),
  };
}

function thresholdsOf(given: AlertDocument["thresholds"]): AlertThresholds {
  return {
    baselineRuns: given.baseline_runs,
    baselineRunsMin: given.baseline_runs_min,
    slowFactor: given.slow_factor,
    slowFloorMs: given.slow_floor,
    trendFactor: given.trend_factor,
    trendFloorMs: given.trend_floor,
    throughputShare: given.throughput_share,
    volumeLow: given.volume_low,
    volumeHigh: given.volume_high,
    rejectsShare: given.rejects_share,
    executorsMin: given.executors_min,
    backlogDays: given.backlog_days,
    fullShare: given.full_share,
    notStartedAfterMs: given.not_started_after,
  };
}

export function channelSpecs(file: AlertDocument): readonly ChannelSpec[] {
  const holdMs = holdOf(file);
  return Object.entries(file.channels).map(([name, given]) => channelSpec(name, given, holdMs));
}

/**
 * Twice the time until it is told again, so that one message may be late, and through the hours in which it is not; for
 * long when it is told once only.
 */
function holdOf({ repeat, group_interval: intervalMs, quiet_hours: quiet }: AlertDocument): HoldMs {
  const hold = (repeatMs: number) => (repeatMs === 0 ? 30 * 86_400_000 : 2 * repeatMs + intervalMs);
  const quietMs = quiet === undefined ? 0 : spanMs(quiet);
  return {
    critical: hold(repeat.critical),
    warning: hold(repeat.warning) + quietMs,
    info: hold(repeat.info) + quietMs,
  };
}

/** On a day without a change of the clock. */
function spanMs({ from, to }: Pick<QuietHours, "from" | "to">): number {
  const minutes = (time: string) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
  return ((minutes(to) - minutes(from) + 24 * 60) % (24 * 60)) * 60_000;
}

export function heartbeatSpec({ heartbeat }: AlertDocument): HeartbeatSpec | undefined {
  return heartbeat && { ...placeOf(heartbeat), method: heartbeat.method };
}
