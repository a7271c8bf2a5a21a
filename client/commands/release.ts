/**
 * `daymill release`: a quarantined run is shown to readers after all.
 */
import type { Command } from "commander";
import { type CommonOptions, clusterCommand, show, withCluster } from "../command.ts";
import { exitCodes } from "../exit-codes.ts";

export function releaseCommand(): Command {
  return clusterCommand("release", "show a quarantined run to readers although a check failed")
    .argument("<run>", "its id, e.g. ipdr-daily.2026-01-15.r2")
    .action((runId: string, options: CommonOptions) =>
      withCluster(options, async ({ client }) => {
        await client.release(runId);
        show(options, { runId, state: "committed" }, () => [`${runId}: readers see it now`]);
        return exitCodes.ok;
      }),
    );
}
