/**
 * The command line of scripts/chaos: texts in, checked values out.
 */

import { parseArgs } from "node:util";
import { wholeNumber } from "../../client/command.ts";
import { fail } from "../../shared/kernel/failure.ts";
import type { Skew } from "../generate/options.ts";
import { type Data, dataOf } from "./data.ts";
import type { Scenario } from "./scenario.ts";
import { parseTimes } from "./times.ts";

export const usage = `Trials of a real cluster under faults: real processes, a real nats-server, one temporary folder each.

  scripts/chaos list                  what there is and what each proves
  scripts/chaos run SCENARIO…         these, one after the other
  scripts/chaos all                   all of them
  scripts/chaos pinned                those that met a bug once, each with its own seed and options
  scripts/chaos run --random          rounds with faults drawn at random within a budget; the nth round has seed S + n - 1,
                                      and 'run random --seed' does it again

  --seed S        draws positions, victims and points          (default 1)
  --minutes M     with --random: no new round after this long  (default 5)
  --at S,S…       the faults come so many seconds after the submission, not at the seed's positions; with --random,
                  as many faults as times
  --data WHICH    ipdr, retail (CSV and Parquet of a shop chain) or a folder laid out as a storage root (default ipdr)
  --rows N        lines of the day, where they are made here   (default 60,000)
  --data-seed S   draws these lines                            (default 1)
  --skew WHICH    of ipdr: realistic or hostile                (default realistic)
  --job FILE      YAML of the job that reads a folder of yours (default jobs/ipdr-daily.yaml)
  --day D         its day                                      (default 2026-01-15)
  --keep-failed   leave the folder of a trial that failed
  --json          print one JSON summary as the last line
`;

export interface ChaosOptions {
  readonly command: "help" | "list" | "run" | "random" | "pinned";
  /** Of `run` and `all`. */
  readonly scenarios: readonly Scenario[];
  readonly data: Data;
  readonly rows: number;
  readonly seed: number;
  /** Milliseconds after the submission; empty: at the seed's positions. */
  readonly at: readonly number[];
  readonly minutes: number;
  readonly keepFailed: boolean;
  readonly json: boolean;
}

/** `badRequest` names what is wrong and what is allowed. */
export function chaosOptions(
  argv: readonly string[],
  { all, byName }: { readonly all: readonly Scenario[]; readonly byName: readonly Scenario[] },
): ChaosOptions {
  const { values, positionals, tokens } = parsed(argv);
  const [word = "help", ...names] = positionals;
  const random = values.random === true;
  const command = values.help === true ? "help" : commandOf(word, random);
  if (command === "run" && word === "run" && names.length === 0) {
    throw fail("badRequest", "run needs the name of a scenario; see scripts/chaos list");
  }
  if (command === "pinned") refuseOthers(names, tokens);
  return {
    command,
    scenarios: word === "all" ? all : names.map((name) => named(name, byName)),
    data: dataOf({
      data: values.data,
      seed: wholeNumber("--data-seed", values["data-seed"], 0, 2 ** 31),
      skew: skewOf(values.skew),
      job: values.job,
      day: values.day,
    }),
    at: parseTimes(values.at),
    rows: wholeNumber("--rows", values.rows, 12_000, 1_000_000_000),
    seed: wholeNumber("--seed", values.seed, 0, 2 ** 31),
    minutes: wholeNumber("--minutes", values.minutes, 1, 10_000),
    keepFailed: values["keep-failed"] === true,
    json: values.json === true,
  };
}

function commandOf(word: string, random: boolean): ChaosOptions["command"] {
  switch (word) {
    case "help":
    case "list":
    case "pinned":
      return word;
    case "run":
    case "all":
      return random ? "random" : "run";
    default:
      throw fail(
        "badRequest",
        `${word}: list, run, all or pinned is expected; see scripts/chaos --help`,
      );
  }
}

/** What is pinned has its own seed and data: with others it would show nothing. */
function refuseOthers(names: readonly string[], tokens: ReturnType<typeof parsed>["tokens"]): void {
  const [name] = names;
  const options = tokens.flatMap((token) => (token.kind === "option" ? [token] : []));
  const other = options.find((one) => one.name !== "json" && one.name !== "keep-failed");
  const wrong = name ?? other?.rawName;
  if (wrong === undefined) return;
  const way = "a single one is run by its name and seed: run SCENARIO --seed S";
  throw fail("badRequest", `pinned ${wrong}: only --json and --keep-failed go with it; ${way}`);
}

function skewOf(text: string): Skew {
  if (text === "realistic" || text === "hostile") return text;
  throw fail("badRequest", `--skew ${text}: realistic or hostile is expected`);
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
      tokens: true,
      options: {
        rows: { type: "string", default: "60000" },
        seed: { type: "string", default: "1" },
        minutes: { type: "string", default: "5" },
        at: { type: "string" },
        data: { type: "string", default: "ipdr" },
        "data-seed": { type: "string", default: "1" },
        skew: { type: "string", default: "realistic" },
        job: { type: "string" },
        day: { type: "string" },
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
