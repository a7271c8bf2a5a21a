/**
 * `scripts/chaos`: trials of a real cluster under faults. Text goes to standard output, with --json to standard error,
 * so that the summary is the only line there. Exit codes: 0 all passed, 1 some failed, 2 wrong options, 130 Ctrl-C.
 */
import { errorLines, exitCodeOf, exitCodes } from "../../client/exit-codes.ts";
import { formatTable } from "../../client/format.ts";
import { fromUnknown } from "../../shared/kernel/failure.ts";
import { interruptible } from "../terminal.ts";
import { byName, scenarios } from "./catalogue.ts";
import { type ChaosOptions, chaosOptions, usage } from "./options.ts";
import { optionsOf, pinned } from "./pinned.ts";
import { type Outcome, outcomeLines, summaryTable } from "./report.ts";
import { runScenario } from "./run-scenario.ts";
import type { Scenario } from "./scenario.ts";
import { randomScenario } from "./scenario-random.ts";

const interrupt = interruptible();
const known = { all: scenarios, byName };
/** Of the trials that have ended. */
const outcomes: Outcome[] = [];

async function main(): Promise<number> {
  const options = chaosOptions(process.argv.slice(2), known);
  const say = (line: string) =>
    void (options.json ? process.stderr : process.stdout).write(`${line}\n`);
  switch (options.command) {
    case "help":
      process.stdout.write(usage);
      return exitCodes.ok;
    case "list":
      list(options, say);
      return exitCodes.ok;
    case "random":
      await rounds(options, say);
      return report(options, say);
    case "run":
      await inTurn(options, say);
      return report(options, say);
    case "pinned":
      await again(options, say);
      return report(options, say);
  }
}

function list({ json }: Pick<ChaosOptions, "json">, say: (line: string) => void): void {
  const all = scenarios.map(({ name, proves }) => ({ name, proves }));
  if (json) process.stdout.write(`${JSON.stringify(all)}\n`);
  else for (const line of formatTable(["SCENARIO", "PROVES"], all.map(Object.values))) say(line);
}

async function inTurn(options: ChaosOptions, say: (line: string) => void): Promise<void> {
  for (const scenario of options.scenarios) await one(scenario, options, say);
}

/** What met a bug once, as it did then. */
async function again({ keepFailed }: ChaosOptions, say: (line: string) => void): Promise<void> {
  for (const entry of pinned) {
    for (const { what } of entry.bugs) say(`once: ${what}`);
    await inTurn({ ...optionsOf(entry, known), keepFailed }, say);
  }
}

/** Round after round until the time is over; the last one is finished. */
async function rounds(options: ChaosOptions, say: (line: string) => void): Promise<void> {
  const until = performance.now() + options.minutes * 60_000;
  while (performance.now() < until) {
    await one(randomScenario, { ...options, seed: options.seed + outcomes.length }, say);
  }
}

async function one(
  scenario: Scenario,
  { rows, seed, data, at, keepFailed }: ChaosOptions,
  say: (line: string) => void,
): Promise<void> {
  say(`${scenario.name}: ${scenario.proves}`);
  const signal = interrupt;
  const outcome = await runScenario(scenario, {
    ...{ rows, seed, data, at },
    ...{ keepFailed, signal, say },
  });
  outcomes.push(outcome);
  for (const line of outcomeLines(outcome)) say(line);
  say("");
}

function report({ json }: Pick<ChaosOptions, "json">, say: (line: string) => void): number {
  const count = (result: Outcome["result"]) =>
    outcomes.filter((outcome) => outcome.result === result).length;
  for (const line of summaryTable(outcomes)) say(line);
  const [passed, failed, skipped] = [count("PASS"), count("FAIL"), count("SKIP")];
  for (const { result, scenario, reasons } of outcomes) {
    if (result === "SKIP") say(`SKIPPED: ${scenario}: ${reasons.join("; ")}`);
  }
  say(`${passed} passed, ${failed} failed, ${skipped} skipped`);
  if (json) process.stdout.write(`${JSON.stringify({ passed, failed, skipped, outcomes })}\n`);
  return failed === 0 ? exitCodes.ok : exitCodes.runFailed;
}

try {
  process.exitCode = await main();
} catch (error) {
  const failure = fromUnknown(error);
  // What was found until Ctrl-C is worth telling.
  if (outcomes.length > 0)
    report({ json: false }, (line) => void process.stderr.write(`${line}\n`));
  for (const line of errorLines(failure)) process.stderr.write(`${line}\n`);
  process.exitCode = exitCodeOf(failure.code);
}
