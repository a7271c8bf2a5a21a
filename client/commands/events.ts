/**
 * `daymill events`: what happens in a cluster, as it happens. Reads NATS only; no coordinator is asked.
 */
import { type Command, Option } from "commander";
import { followEvents } from "../../shared/adapters/nats-follow.ts";
import { checkDay, finish, interruptible, print, printing } from "../command.ts";
import { connectCommand } from "../connect.ts";
import { exitCodes } from "../exit-codes.ts";

interface EventsOptions {
  readonly json?: boolean;
  readonly nats: string;
  readonly job: string;
  readonly day: string;
}

export function eventsCommand(): Command {
  return printing("events", "follow events of runs, stages, tasks and datasets until Ctrl-C")
    .addOption(
      new Option("--nats <url>", "NATS of the cluster")
        .env("DAYMILL_NATS")
        .default("nats://127.0.0.1:4222"),
    )
    .option("--job <name>", "of this job only", "")
    .option("--day <date>", "of this day only", "")
    .action((options: EventsOptions) =>
      finish(async () => {
        if (options.day !== "") checkDay(options.day);
        const link = await connectCommand(options.nats);
        const interrupt = interruptible();
        try {
          for await (const { subject, text } of followEvents(link, options, interrupt.signal)) {
            print(options.json === true ? text : eventLine(subject, text));
          }
        } finally {
          interrupt.done();
          await link.close();
        }
        return exitCodes.ok;
      }),
    );
}

/** `06:00:12 ipdr-daily 2026-01-15 run.started {…}`; what is no CloudEvent is shown as its subject. */
function eventLine(subject: string, text: string): string {
  const [, , job = "", day = "", ...kind] = subject.split(".");
  let event: { time?: unknown; data?: unknown };
  try {
    event = JSON.parse(text) as typeof event;
  } catch {
    return `- ${subject}`;
  }
  const time = typeof event.time === "string" ? event.time.slice(11, 19) : "-";
  return [time, job, day, kind.join("."), JSON.stringify(event.data ?? {})].join(" ");
}
