/**
 * `daymill alerts check FILE`: a dry run of the file of alerts. Needs no cluster: it reads the file, says which secrets
 * are not there, and prints who would be told what of a sample of each rule. Nothing is sent unless `--send` says so.
 */
import { type Command, Option } from "commander";
import type { ChannelSpec } from "../../shared/adapters/alert-channel.ts";
import type { AlertSettings } from "../../shared/adapters/alert-file.ts";
import { outgoing } from "../../shared/adapters/alert-format.ts";
import type { StartWarning } from "../../shared/adapters/alert-start.ts";
import { createLog } from "../../shared/adapters/logger.ts";
import {
  type AlertRule,
  alertRules,
  type Notice,
  type Severity,
} from "../../shared/kernel/alert.ts";
import { channelsFor, severityIn } from "../../shared/kernel/alert-routes.ts";
import { fail, failure, fromUnknown } from "../../shared/kernel/failure.ts";
import { nearestName } from "../../shared/kernel/nearest.ts";
import { sampleAlert, sampleFinding, sampleNotice } from "../alert-samples.ts";
import { finish, printing, show } from "../command.ts";
import { errorLines, exitCodeOf, exitCodes } from "../exit-codes.ts";

interface CheckOptions {
  readonly json?: boolean;
  readonly rule?: string;
  readonly kind: Notice["kind"];
  readonly send?: string;
}

export function alertsCheckCommand(): Command {
  return printing(
    "check",
    "check a file of alerts and print what would be sent (nothing is sent without --send)",
  )
    .argument("<file>", "the file of alerts, e.g. jobs/alerts.yaml")
    .option("--rule <name>", "the sample of this rule only")
    .addOption(
      new Option("--kind <kind>", "which message of an alert")
        .choices(["opened", "repeated", "resolved"])
        .default("opened"),
    )
    .option("--send <channel>", "send a sample (of --rule, else runFailed) to this channel")
    .action((file: string, options: CheckOptions) => finish(() => check(file, options)));
}

async function check(file: string, options: CheckOptions): Promise<number> {
  const { readAlertFile } = await import("../../shared/adapters/alert-file.ts");
  const settings = await readAlertFile(file);
  const rules = options.rule === undefined ? alertRules : [ruleNamed(options.rule)];
  const nowMs = Date.now();
  if (options.send !== undefined) {
    const [rule] = options.rule === undefined ? ["runFailed" as const] : rules;
    return send(settings, options.send, rule ?? "runFailed", options, nowMs);
  }
  const { secretWarnings } = await import("../../shared/adapters/alert-start.ts");
  const warnings = await secretWarnings(settings, process.env);
  const told = rules.map((rule) => tell(settings, rule, options.kind, nowMs));
  const answer = { ok: true, channels: settings.config.channels, warnings, rules: told };
  show(options, answer, () => lines(file, settings, warnings, told));
  return exitCodes.ok;
}

interface Told {
  readonly rule: AlertRule;
  /** Null: the rule is off. */
  readonly severity: Severity | null;
  readonly channels: readonly string[];
  readonly messages: readonly {
    readonly channel: string;
    readonly kind: ChannelSpec["kind"];
    readonly message: unknown;
    readonly text: string;
  }[];
}

function tell(
  { config, channels }: AlertSettings,
  rule: AlertRule,
  kind: Notice["kind"],
  nowMs: number,
): Told {
  const severity = severityIn(config, sampleFinding(rule));
  if (severity === undefined) return { rule, severity: null, channels: [], messages: [] };
  const alert = { ...sampleAlert(rule, nowMs), severity };
  const names = channelsFor(config, alert);
  const messages = channels
    .filter(({ name }) => names.includes(name))
    .map((spec) => {
      const sent = outgoing(spec, sampleNotice(spec.name, [alert], kind, nowMs));
      const message = sent.kind === "mail" ? sent.mail : sent.bodies;
      const text =
        sent.kind === "mail"
          ? `Subject: ${sent.mail.subject}\n\n${sent.mail.text}`
          : sent.bodies.map((body) => JSON.stringify(body, undefined, 2)).join("\n");
      return { channel: spec.name, kind: spec.kind, message, text };
    });
  return { rule, severity, channels: names, messages };
}

function lines(
  file: string,
  { config }: AlertSettings,
  warnings: readonly StartWarning[],
  told: readonly Told[],
): readonly string[] {
  const counted = (count: number, word: string) => `${count} ${word}${count === 1 ? "" : "s"}`;
  const { channels, routes } = config;
  return [
    `${file}: ${counted(channels.length, "channel")}, ${counted(routes.length, "route")}`,
    ...warnings.map(({ channel, reason }) => `warning: ${channel}: ${reason}`),
    "",
    ...told.map(({ rule, severity, channels: names }) =>
      severity === null
        ? `${rule}: off`
        : `${rule} (${severity}): ${names.length === 0 ? "nobody is told" : names.join(", ")}`,
    ),
    ...told.flatMap(({ rule, messages }) =>
      messages.flatMap(({ channel, kind, text }) => [
        "",
        `--- ${rule} to ${channel} (${kind})`,
        text,
      ]),
    ),
  ];
}

/** A receiver's refusal is not a wrong command line. */
async function send(
  settings: AlertSettings,
  name: string,
  rule: AlertRule,
  options: CheckOptions,
  nowMs: number,
): Promise<number> {
  const names = settings.channels.map((spec) => spec.name);
  if (!names.includes(name)) {
    throw fail("badRequest", `--send ${name}: no channel of that name${near(name, names)}`);
  }
  const { openAlertSender } = await import("../../shared/adapters/alert-sender.ts");
  const sender = openAlertSender({
    channels: settings.channels.filter((spec) => spec.name === name),
    environment: process.env,
    log: createLog("silent", {}),
  });
  try {
    await sender.send(sampleNotice(name, [sampleAlert(rule, nowMs)], options.kind, nowMs));
  } catch (error) {
    const { code, message } = fromUnknown(error);
    for (const line of errorLines(failure(code, message))) process.stderr.write(`${line}\n`);
    return code === "badRequest" ? exitCodes.refused : exitCodeOf(code);
  } finally {
    await sender.close();
  }
  show(options, { ok: true, channel: name, rule }, () => [
    `a sample of ${rule} was sent to ${name}`,
  ]);
  return exitCodes.ok;
}

function ruleNamed(name: string): AlertRule {
  const found = alertRules.find((rule) => rule === name);
  if (found !== undefined) return found;
  throw fail("badRequest", `--rule ${name}: no rule of that name${near(name, alertRules)}`);
}

function near(name: string, known: readonly string[]): string {
  const nearest = nearestName(name, known);
  return nearest === undefined ? ` (known: ${known.join(", ")})` : `; did you mean ${nearest}?`;
}
