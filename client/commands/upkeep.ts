/** `daymill gc | late`: what goes by retention, and files that came for days before the window. */
import type { Command } from "commander";
import type { GcReply } from "../../shared/adapters/grpc-types.ts";
import { type CommonOptions, clusterCommand, show, withCluster } from "../command.ts";
import { exitCodes } from "../exit-codes.ts";
import { gcLines, gcTotals, lateLines } from "../gc-view.ts";

interface GcOptions extends CommonOptions {
  readonly dryRun?: boolean;
  readonly all?: boolean;
}

export function gcCommand(): Command {
  return clusterCommand("gc", "remove now what the leader would remove by itself")
    .option("--dry-run", "show what would go, and remove nothing")
    .option("--all", "show all that stays, too, however much that is")
    .action((options: GcOptions) =>
      withCluster(options, async ({ client }) => {
        const isDryRun = options.dryRun === true;
        const parts: GcReply[] = [];
        // Each part names the next one; the order of jobs only goes up, so this ends.
        for (let job = "", isFirst = true; isFirst || job !== ""; isFirst = false) {
          const part = await client.gc(job, isDryRun);
          parts.push(part);
          job = part.next > job ? part.next : "";
        }
        const items = parts.flatMap((part) => part.items);
        const value = { dryRun: isDryRun, items, totals: gcTotals(parts) };
        show(options, value, () => gcLines(parts, { isDryRun, all: options.all === true }));
        return exitCodes.ok;
      }),
    );
}

export function lateCommand(): Command {
  return clusterCommand("late", "files that came for days before the backlog window of a job")
    .argument("<job>", "its name")
    .action((job: string, options: CommonOptions) =>
      withCluster(options, async ({ client }) => {
        const { stamp: _, ...late } = await client.late(job);
        show(options, late, () => lateLines({ stamp: null, ...late }));
        return exitCodes.ok;
      }),
    );
}
