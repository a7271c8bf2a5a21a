/**
 * `daymill backlog | hold | release | skip | pause | resume | delivered`: days that run by themselves.
 */
import type { Command } from "commander";
import type { DayMark } from "../../shared/kernel/days.ts";
import { parseRunId } from "../../shared/kernel/job.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { backlogLines } from "../backlog-view.ts";
import type { DaymillClient } from "../client.ts";
import {
  type CommonOptions,
  checkDay,
  clusterCommand,
  show,
  wholeNumber,
  withCluster,
} from "../command.ts";
import { exitCodes } from "../exit-codes.ts";

interface DayOptions extends CommonOptions {
  readonly day?: string;
  readonly reason?: string;
  readonly source?: string;
}

export function backlogCommand(): Command {
  return clusterCommand("backlog", "show the days of a job: state, reason, and what comes next")
    .argument("<job>", "its name")
    .option("--days <n>", "so many days; default: those that are acted on")
    .action((job: string, options: CommonOptions & { days?: string }) =>
      withCluster(options, async ({ client }) => {
        const { days = "" } = options;
        const most = days === "" ? 0 : wholeNumber("--days", days, 1, limits.backlogDaysShownMax);
        const backlog = await client.backlog(job, most);
        show(options, backlog, () => backlogLines(backlog));
        return exitCodes.ok;
      }),
    );
}

export function holdCommand(): Command {
  return dayCommand("hold", "start no run for a day until it is released", "held");
}

/** A run id names a run in quarantine; a job is named with a day. */
export function releaseCommand(): Command {
  return clusterCommand(
    "release",
    "let a held or skipped day run, or readers see a quarantined run",
  )
    .argument("<job or run>", "a job's name with --day, or a run's id")
    .option("--day <date>", "data date, YYYY-MM-DD (needed with a job)")
    .option("--reason <text>", "shown with the day", "")
    .action((name: string, options: DayOptions) =>
      parseRunId(name) === undefined
        ? said(options, `day ${options.day} of ${name} is released`, (client) =>
            client.mark(name, checkDay(options.day), "released", options.reason),
          )
        : said(options, `${name} is released: readers see it`, (client) => client.release(name)),
    );
}

export function skipCommand(): Command {
  return dayCommand("skip", "nobody wants this day: it is not run", "skipped");
}

function dayCommand(name: string, description: string, mark: DayMark): Command {
  return dayOfJob(name, description)
    .option("--reason <text>", "shown with the day", "")
    .action((job: string, options: DayOptions) =>
      said(options, `day ${options.day} of ${job} is ${mark}`, (client) =>
        client.mark(job, checkDay(options.day), mark, options.reason),
      ),
    );
}

export function deliveredCommand(): Command {
  return dayOfJob("delivered", "say that upstream has delivered all there will be of a day")
    .option("--source <name>", "of this source only", "")
    .action((job: string, options: DayOptions) =>
      said(options, `day ${options.day} of ${job} is delivered`, (client) =>
        client.delivered(job, checkDay(options.day), options.source),
      ),
    );
}

function dayOfJob(name: string, description: string): Command {
  return clusterCommand(name, description)
    .argument("<job>", "its name")
    .option("--day <date>", "data date, YYYY-MM-DD (needed)");
}

export function pauseCommand(): Command {
  return pausing("pause", "start nothing of a job's backlog; its newest day still runs", true);
}

export function resumeCommand(): Command {
  return pausing("resume", "go on with a job's backlog", false);
}

function pausing(name: string, description: string, paused: boolean): Command {
  return clusterCommand(name, description)
    .argument("<job>", "its name")
    .option("--reason <text>", "shown with the backlog", "")
    .action((job: string, options: DayOptions) =>
      said(options, `the backlog of ${job} ${paused ? "is paused" : "goes on"}`, (client) =>
        client.pauseBacklog(job, paused, options.reason),
      ),
    );
}

/** Says something and confirms it: by then it is on storage. */
function said(
  options: CommonOptions,
  text: string,
  say: (client: DaymillClient) => Promise<void>,
): Promise<void> {
  return withCluster(options, async ({ client }) => {
    await say(client);
    show(options, { ok: true }, () => [text]);
    return exitCodes.ok;
  });
}
