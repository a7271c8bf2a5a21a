/**
 * The command line of scripts/chaos: texts in, checked values out.
 */

import { parseArgs } from "node:util";
import { wholeNumber } from "../../client/command.ts";
import { fail } from "../../shared/kernel/failure.ts";
import type { Scenario } from "./scenario.ts";

export const usage = `Trials of a real cluster under faults: real processes, a real nats-server, one temporary folder each.

  scripts/chaos list                  what there is and what each proves
  scripts/chaos run SCENARIO…         these, one after the other
  scripts/chaos all                   all of them
  scripts/chaos run --random          rounds with faults drawn at random within a budget; the nth round has seed S + n - 1,
                                      and 'run random --seed' does it again

  --rows N        lines of the day                             (default 60,000)
  --seed S        draws positions, victims and points          (default 1)
  --minutes M     with --random: no new round after this long  (default 5)
  --keep-failed   leave the folder of a trial that failed
  --json          print one JSON summary as the last line
`;

export interface ChaosOptions {
  readonly command: "help" | "list" | "run" | "random";
  /** Of `run` and `all`. */
  readonly scenarios: readonly Scenario[];
  readonly rows: number;
  readonly seed: number;
  readonly minutes: number;
  readonly keepFailed: boolean;
  readonly json: boolean;
}

/** `badRequest` names what is wrong and what is allowed. */
export function chaosOptions(
  argv: readonly string[],
  { all, byName }: { readonly all: readonly Scenario[]; readonly byName: readonly Scenario[] },
): ChaosOptions {
  const { values, positionals } = parsed(argv);
  const [word = "help", ...names] = positionals;
  if (!["help", "list", "run", "all"].includes(word)) {
    throw fail("badRequest", `${word}: list, run or all is expected; see scripts/chaos --help`);
  }
  const random = values.random === true;
  const command = values.help || word === "help" ? "help" : word === "list" ? "list" : "run";
  if (command === "run" && word === "run" && names.length === 0 && !random) {
    throw fail("badRequest", "run needs the name of a scenario; see scripts/chaos list");
  }
  return {
    command: command === "run" && random ? "random" : command,
    scenarios: word === "all" ? all : names.map((name) => named(name, byName)),
    rows: wholeNumber("--rows", values.rows, 12_000, 1_000_000_000),
    seed: wholeNumber("--seed", values.seed, 0, 2 ** 31),
    minutes: wholeNumber("--minutes", values.minutes, 1, 10_000),
    keepFailed: values["keep-failed"] === true,
    json: values.json === true,
  };
}

function named(name: string, known: readonly Scenario[]): Scenario {
  const found = known.find((scenario) => scenario.name === name);
  if (found !== undefined) return found;
  const all = known.map((scenario) => scenario.name).join(", ");
  throw fail("badRequest", `no scenario is called ${name}; there are ${all}`);
}

function parsed(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        rows: { type: "string", default: "60000" },
        seed: { type: "string", default: "1" },
        minutes: { type: "string", default: "5" },
        random: { type: "boolean" },
        "keep-failed": { type: "boolean" },
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw fail("badRequest", `${reason}; see scripts/chaos --help`);
  }
}
