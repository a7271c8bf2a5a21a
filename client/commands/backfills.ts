/**
 * `daymill backfill | backfills | backfill-pause | backfill-resume | backfill-cancel`: days made, or made again, on command.
 */
import { userInfo } from "node:os";
import type { Command } from "commander";
import { backfillOrders, redos } from "../../shared/kernel/backfill.ts";
import { fail } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { backfillLines, backfillTable } from "../backfill-view.ts";
import type { BackfillMarkName } from "../client.ts";
import {
  type CommonOptions,
  checkDay,
  clusterCommand,
  show,
  wholeNumber,
  withCluster,
} from "../command.ts";
import { exitCodes } from "../exit-codes.ts";

interface BackfillOptions extends CommonOptions {
  readonly from?: string;
  readonly to?: string;
  readonly redo: string;
  readonly order: string;
  readonly concurrency: string;
  readonly reason: string;
  readonly dryRun?: boolean;
}

export function backfillCommand(): Command {
  return clusterCommand("backfill", "make days of a job, or make them again")
    .argument("<job>", "its name")
    .option("--from <date>", "first day, YYYY-MM-DD (needed)")
    .option("--to <date>", "last day, YYYY-MM-DD (needed)")
    .option("--redo <which>", `days to make: ${redos.join(", ")}`, "missing")
    .option("--order <which>", `which day comes first: ${backfillOrders.join(", ")}`, "oldest")
    .option("--concurrency <n>", "days under way at a time", "1")
    .option("--reason <text>", "shown with it", "")
    .option("--dry-run", "show what would be done with each day, and change nothing")
    .action((job: string, options: BackfillOptions) =>
      withCluster(options, async ({ client }) => {
        const dryRun = options.dryRun === true;
        const backfill = await client.startBackfill({
          job,
          from: checkDay(options.from, "--from"),
          to: checkDay(options.to, "--to"),
          redo: oneOf("--redo", options.redo, redos),
          order: oneOf("--order", options.order, backfillOrders),
          concurrency: wholeNumber("--concurrency", options.concurrency, 1, limits.backfillRunsMax),
          by: userInfo().username,
          reason: options.reason,
          dryRun,
        });
        show(options, backfill, () => backfillLines(backfill));
        return exitCodes.ok;
      }),
    );
}

export function backfillsCommand(): Command {
  return clusterCommand("backfills", "list backfills and how far they have come")
    .argument("[job]", "of this job only", "")
    .option("--id <id>", "this one, with each of its days")
    .action((job: string, options: CommonOptions & { readonly id?: string }) =>
      withCluster(options, async ({ client }) => {
        const { id } = options;
        const all = await client.backfills(job);
        if (id === undefined) {
          show(options, all, () => backfillTable(all));
          return exitCodes.ok;
        }
        const backfill = all.find((one) => one.id === id);
        if (backfill === undefined) {
          throw fail(
            "badRequest",
            `--id ${id} is not known; see which there are: daymill backfills`,
          );
        }
        show(options, backfill, () => backfillLines(backfill));
        return exitCodes.ok;
      }),
    );
}

export function backfillMarkCommands(): readonly Command[] {
  return [
    marking("pause", "start no further day of a backfill"),
    marking("resume", "go on with a backfill"),
    marking("cancel", "end a backfill; what runs is run to its end"),
  ];
}

function marking(action: BackfillMarkName, description: string): Command {
  return clusterCommand(`backfill-${action}`, description)
    .argument("<id>", "as daymill backfills lists it")
    .option("--reason <text>", "shown with it", "")
    .action((id: string, options: CommonOptions & { readonly reason: string }) =>
      withCluster(options, async ({ client }) => {
        const backfill = await client.markBackfill(id, action, options.reason);
        show(options, backfill, () => backfillTable([backfill]));
        return exitCodes.ok;
      }),
    );
}

function oneOf(option: string, text: string, words: readonly string[]): string {
  if (words.includes(text)) return text;
  throw fail("badRequest", `${option} ${text} is none of: ${words.join(", ")}`);
}
