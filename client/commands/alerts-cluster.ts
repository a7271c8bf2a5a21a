/** `daymill alerts`, `alerts history | silence | unsilence | test`: what is wrong, who was told, and who does not want to hear. */
import { userInfo } from "node:os";
import type { Command } from "commander";
import { fail } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { durationMs } from "../../shared/kernel/time.ts";
import { alertLines, historyLines, silenceText } from "../alert-view.ts";
import {
  type CommonOptions,
  checkDay,
  clusterCommand,
  needed,
  show,
  withCluster,
} from "../command.ts";
import { exitCodes } from "../exit-codes.ts";

interface OfJob extends CommonOptions {
  readonly job: string;
}

/** The group itself lists what is open. */
export function openAlertsCommand(): Command {
  return clusterCommand("alerts", "list what is wrong now, silences, and how channels do")
    .option("--job <name>", "of this job only", "")
    .action((options: OfJob) =>
      withCluster(options, async ({ client }) => {
        const found = await client.alerts.list("open", options.job);
        show(options, found, () => alertLines(found, Date.now()));
        return exitCodes.ok;
      }),
    );
}

export function alertCommands(): readonly Command[] {
  return [historyCommand(), silenceCommand(), unsilenceCommand(), testCommand()];
}

function historyCommand(): Command {
  return clusterCommand("history", "list alerts that have ended, the newest first")
    .option("--job <name>", "of this job only", "")
    .action((options: OfJob) =>
      withCluster(options, async ({ client }) => {
        const found = await client.alerts.list("history", options.job);
        show(options, found.alerts, () => historyLines(found));
        return exitCodes.ok;
      }),
    );
}

interface SilenceOptions extends CommonOptions {
  readonly for?: string;
  readonly rule: string;
  readonly job: string;
  readonly day: string;
  readonly subject: string;
  readonly reason: string;
  readonly all?: boolean;
}

function silenceCommand(): Command {
  return clusterCommand("silence", "tell nobody of some alerts for a while")
    .option("--for <duration>", "how long, such as 90s, 30m, 2h, 1d (needed)")
    .option("--rule <name>", "alerts of this rule", "")
    .option("--job <name>", "about this job", "")
    .option("--day <date>", "about this day", "")
    .option("--subject <text>", "about this model, source, executor or channel", "")
    .option("--all", "all alerts: needed where nothing else is named")
    .option("--reason <text>", "shown with it", "")
    .action((options: SilenceOptions) =>
      withCluster(options, async ({ client }) => {
        const { rule, job, day, subject, reason } = options;
        if (`${rule}${job}${day}${subject}` === "" && options.all !== true) {
          const text = "name a --rule, --job, --day or --subject; --all silences everything";
          throw fail("badRequest", text);
        }
        if (day !== "") checkDay(day);
        const forMs = duration(needed("--for", "a duration such as 2h", options.for));
        const by = userInfo().username;
        const silence = await client.alerts.silence({ rule, job, day, subject, forMs, by, reason });
        show(options, silence, () => [silenceText(silence)]);
        return exitCodes.ok;
      }),
    );
}

function duration(text: string): number {
  const ms = durationMs(text) ?? 0;
  if (ms > 0 && ms <= limits.silenceMsMax) return ms;
  throw fail("badRequest", `--for ${text}: a duration such as 90s, 30m, 2h or 1d, at most 30d`);
}

function unsilenceCommand(): Command {
  return clusterCommand("unsilence", "take a silence back")
    .argument("<id>", "as daymill alerts lists it")
    .action((id: string, options: CommonOptions) =>
      withCluster(options, async ({ client }) => {
        await client.alerts.unsilence(id);
        show(options, { id }, () => [`silence ${id} is taken back`]);
        return exitCodes.ok;
      }),
    );
}

function testCommand(): Command {
  return clusterCommand("test", "send a message to a channel that says that it is a test")
    .argument("<channel>", "as daymill alerts lists it")
    .action((channel: string, options: CommonOptions) =>
      withCluster(options, async ({ client }) => {
        await client.alerts.test(channel);
        show(options, { channel }, () => [`channel ${channel} has taken a test message`]);
        return exitCodes.ok;
      }),
    );
}
