/** What each part of a trial of alerts needs: the cluster, whoever is told, small days, and waiting. */
import type { DaymillClient } from "../../client/client.ts";
import type { LocalCluster } from "../../client/local-cluster.ts";
import type { JobBundle } from "../../shared/adapters/grpc-types.ts";
import type { AlertRule, AlertStatus } from "../../shared/kernel/alert.ts";
import { channelsFor } from "../../shared/kernel/alert-routes.ts";
import { until } from "../trial-bed.ts";
import type { AlertDesk } from "./desk.ts";

export interface Bed {
  readonly cluster: LocalCluster;
  readonly client: DaymillClient;
  readonly desk: AlertDesk;
  readonly startedMs: number;
}

/** All who are to hear of it have taken a message about it; the flaky channel does so in its own time. */
export async function told(bed: Bed, rule: AlertRule, withinMs = 60_000): Promise<void> {
  const { config } = bed.desk.settings;
  await until(`${rule} is told`, withinMs, async () => {
    const open = await openAlerts(bed);
    return open.some((alert) => {
      if (alert.rule !== rule) return false;
      const channels = channelsFor(config, alert).filter((channel) => channel !== "flaky");
      return channels.every((channel) => alert.told.includes(channel));
    });
  });
}

/** Words of the wire are those of the kernel here: it is the same version. */
export async function openAlerts({ client }: Bed): Promise<readonly AlertStatus[]> {
  return (await client.alerts.list("open")).alerts as readonly AlertStatus[];
}

/** Submits a day by hand and waits; gives how the run ended. */
export async function run({ client }: Bed, bundle: JobBundle, day: string, rerun = false) {
  const { runId } = await client.submit({ bundle }, day, { rerun });
  const { state, failure } = await client.wait(runId);
  return { state, why: failure?.message ?? "" };
}

/** As `run`; throws when it ends otherwise. */
export async function commits(bed: Bed, bundle: JobBundle, day: string, rerun = false) {
  const { state, why } = await run(bed, bundle, day, rerun);
  if (state !== "committed") throw new Error(`${bundle.jobPath} ${day} is ${state}: ${why}`);
}
