/**
 * What every command shares: options for reaching a cluster, printing for people or as JSON, one way to end.
 * A command's own work is in client/commands.
 */
import { Command, Option } from "commander";
import { DaymillError, fail, fromUnknown } from "../shared/kernel/failure.ts";
import { isDay } from "../shared/kernel/time.ts";
import { type Connection, type ConnectOptions, connect } from "./connect.ts";
import { errorLines, exitCodeOf, exitCodes } from "./exit-codes.ts";

export interface CommonOptions extends ConnectOptions {
  readonly json?: boolean;
}

/** A command that prints: with `--json` one JSON value instead of text. */
export function printing(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .option("--json", "print JSON instead of text")
    .showHelpAfterError("(daymill --help shows all commands)");
}

/** A command that talks to a running cluster. */
export function clusterCommand(name: string, description: string): Command {
  return printing(name, description)
    .addOption(new Option("--nats <url>", "find the leader through this NATS").env("DAYMILL_NATS"))
    .addOption(
      new Option(
        "--coordinators <list>",
        "host:port of coordinators, separated by commas (default 127.0.0.1:7400,127.0.0.1:7401)",
      ).env("DAYMILL_COORDINATORS"),
    )
    .addOption(
      new Option("--cluster <name>", "name of the cluster on this NATS")
        .env("DAYMILL_CLUSTER")
        .default("daymill"),
    );
}

/** Prints a line on standard output. */
export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** Text or JSON, as asked. 64-bit integers beyond 2^53 become texts in JSON, so that no reader rounds them. */
export function show(options: CommonOptions, value: unknown, lines: () => readonly string[]): void {
  if (options.json === true) print(toJson(value));
  else for (const line of lines()) print(line);
}

export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown) => {
    if (typeof member !== "bigint") return member;
    const number = Number(member);
    return Number.isSafeInteger(number) ? number : member.toString();
  });
}

/** Runs an action with a connection, closed in any case. The action's number, if any, is the exit code. */
export function withCluster<Options extends ConnectOptions>(
  options: Options,
  action: (connection: Connection) => Promise<number | undefined>,
): Promise<void> {
  return finish(async () => {
    const connection = await connect(options);
    try {
      return await action(connection);
    } finally {
      await connection.close();
    }
  });
}

/** Runs an action; errors become `error: …` on standard error and an exit code. */
export async function finish(action: () => Promise<number | undefined>): Promise<void> {
  try {
    process.exitCode = (await action()) ?? exitCodes.ok;
  } catch (error) {
    const failure = fromUnknown(error);
    for (const line of errorLines(failure)) process.stderr.write(`${line}\n`);
    if (!(error instanceof DaymillError) && process.env["DAYMILL_DEBUG"] !== undefined) {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    }
    process.exitCode = exitCodeOf(failure.code);
  }
}

/** Aborted by the first Ctrl-C or SIGTERM; call `done` when it is no longer needed. */
export function interruptible(): { readonly signal: AbortSignal; done(): void } {
  const controller = new AbortController();
  const stop = () => controller.abort();
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  return {
    signal: controller.signal,
    done: () => {
      process.off("SIGINT", stop);
      process.off("SIGTERM", stop);
    },
  };
}

/**
 * The value of an option that a command can't do without. Not the parser's own check: it would name the missing option
 * before a mistyped one.
 */
export function needed(option: string, what: string, value: string | undefined): string {
  if (value !== undefined && value !== "") return value;
  throw fail("badRequest", `${option} is missing: ${what}`);
}

/** A date; `badRequest` when it is missing or none. */
export function checkDay(given: string | undefined, option = "--day"): string {
  const day = needed(option, "the data date, YYYY-MM-DD", given);
  if (isDay(day)) return day;
  throw fail("badRequest", `${option} ${day} is not a date: write it as YYYY-MM-DD`);
}

/** A whole number from the command line, digits in groups or not; `badRequest` names the option and the bounds. */
export function wholeNumber(option: string, text: string, least: number, most: number): number {
  const value = Number(text.replace(/[_,]/g, ""));
  if (/^\d+([_,]\d{3})*$/.test(text) && value >= least && value <= most) return value;
  throw fail(
    "badRequest",
    `${option} ${text}: a whole number from ${least} to ${most} is expected`,
  );
}
