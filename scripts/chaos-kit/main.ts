/**
 * `scripts/chaos`: trials of a real cluster under faults. Text goes to standard output, with --json to standard error,
 * so that the summary is the only line there. Exit codes: 0 all passed, 1 some failed, 2 wrong options, 130 Ctrl-C.
 */
import { errorLines, exitCodeOf, exitCodes } from "../../client/exit-codes.ts";
import { formatTable } from "../../client/format.ts";
import { fromUnknown } from "../../shared/kernel/failure.ts";
import { byName, scenarios } from "./catalogue.ts";
import { type ChaosOptions, chaosOptions, usage } from "./options.ts";
import { type Outcome, outcomeLines, summaryTable } from "./report.ts";
import { runScenario } from "./run-scenario.ts";
import type { Scenario } from "./scenario.ts";
import { randomScenario } from "./scenario-random.ts";

const interrupt = new AbortController();

async function main(): Promise<number> {
  const options = chaosOptions(process.argv.slice(2), { all: scenarios, byName });
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
      return report(await rounds(options, say), options, say);
    case "run":
      return report(await inTurn(options, say), options, say);
  }
}

function list({ json }: ChaosOptions, say: (line: string) => void): void {
  const all = scenarios.map(({ name, proves }) => ({ name, proves }));
  if (json) process.stdout.write(`${JSON.stringify(all)}\n`);
  else for (const line of formatTable(["SCENARIO", "PROVES"], all.map(Object.values))) say(line);
}

async function inTurn(
  options: ChaosOptions,
  say: (line: string) => void,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const scenario of options.scenarios) outcomes.push(await one(scenario, options, say));
  return outcomes;
}

/** Round after round until the time is over; the last one is finished. */
async function rounds(
  options: ChaosOptions,
  say: (line: string) => void,
): Promise<readonly Outcome[]> {
  const until = performance.now() + options.minutes * 60_000;
  const outcomes: Outcome[] = [];
  while (performance.now() < until) {
    const seed = options.seed + outcomes.length;
    outcomes.push(await one(randomScenario, { ...options, seed }, say));
  }
  return outcomes;
}

async function one(
  scenario: Scenario,
  { rows, seed, keepFailed }: ChaosOptions,
  say: (line: string) => void,
): Promise<Outcome> {
  say(`${scenario.name}: ${scenario.proves}`);
  const { signal } = interrupt;
  const outcome = await runScenario(scenario, { rows, seed, keepFailed, signal, say });
  for (const line of outcomeLines(outcome)) say(line);
  say("");
  return outcome;
}

function report(
  outcomes: readonly Outcome[],
  { json }: ChaosOptions,
  say: (line: string) => void,
): number {
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

const interrupted = () => interrupt.abort();
process.on("SIGINT", interrupted);
process.on("SIGTERM", interrupted);
// `scripts/chaos list | head` is no error.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
});

try {
  process.exitCode = await main();
} catch (error) {
  const failure = fromUnknown(error);
  for (const line of errorLines(failure)) process.stderr.write(`${line}\n`);
  process.exitCode = exitCodeOf(failure.code);
}
