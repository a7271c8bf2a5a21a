/**
 * `daymill ack | deliveries`: consumers say which revision of a dataset's day they have, and everybody sees who has not.
 */
import { userInfo } from "node:os";
import type { Command } from "commander";
import { limits } from "../../shared/kernel/limits.ts";
import {
  type CommonOptions,
  checkDay,
  clusterCommand,
  needed,
  show,
  wholeNumber,
  withCluster,
} from "../command.ts";
import { deliveryLine, deliveryTable } from "../delivery-view.ts";
import { exitCodes } from "../exit-codes.ts";

interface AckOptions extends CommonOptions {
  readonly revision?: string;
  readonly job: string;
  readonly by?: string;
}

export function ackCommand(): Command {
  return clusterCommand("ack", "say that a consumer has a dataset's day")
    .argument("<consumer>", "as the job file names it")
    .argument("<dataset>", "which it takes")
    .argument("<day>", "data date, YYYY-MM-DD")
    .option("--revision <n>", "of the day, as it was read (needed)")
    .option("--job <name>", "where several jobs give the consumer such a dataset", "")
    .option("--by <name>", "who says so; default: the user of this process")
    .action((consumer: string, dataset: string, day: string, options: AckOptions) =>
      withCluster(options, async ({ client }) => {
        const which = needed("--revision", "the one that was read, e.g. 1", options.revision);
        const revision = wholeNumber("--revision", which, 1, 999_999_999);
        const { job, by = userInfo().username } = options;
        const wish = { job, consumer, dataset, day: checkDay(day), revision, by };
        const delivery = await client.acknowledge(wish);
        show(options, delivery, () => [deliveryLine(delivery)]);
        return exitCodes.ok;
      }),
    );
}

interface ListOptions extends CommonOptions {
  readonly days?: string;
  readonly consumer: string;
  readonly outstanding?: boolean;
}

export function deliveriesCommand(): Command {
  return clusterCommand("deliveries", "show which consumers have which days, and who has not")
    .argument("[job]", "of this job only", "")
    .option("--days <n>", "so many days of each job; default: its window")
    .option("--consumer <name>", "of this consumer only", "")
    .option("--outstanding", "only what is not acknowledged")
    .action((job: string, options: ListOptions) =>
      withCluster(options, async ({ client }) => {
        const { days = "", consumer, outstanding } = options;
        const most = days === "" ? 0 : wholeNumber("--days", days, 1, limits.deliveryDaysMax);
        const shown = (await client.deliveries(job, most)).filter(
          (one) =>
            (consumer === "" || one.consumer === consumer) &&
            (outstanding !== true || one.state === "outstanding"),
        );
        show(options, shown, () => deliveryTable(shown));
        return exitCodes.ok;
      }),
    );
}
