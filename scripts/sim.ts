/**
 * The simulation from the command line: seeds in a row, or for so many minutes, or one seed with its whole history.
 * The last lines say what was covered; the exit code is 1 when a check failed.
 */
import { parseArgs } from "node:util";
import { wholeNumber } from "../client/command.ts";
import { fromUnknown } from "../shared/kernel/failure.ts";
import { Campaign, describeFailure, simulate } from "./simulation/campaign.ts";
import { planJobs } from "./simulation/jobs.ts";

const usage = `Whole clusters on one thread with virtual time and trouble, one per seed.

  npm run sim -- [options]

  --seeds N     how many seeds                          (default 100)
  --from S      the first one                           (default 1)
  --more N      so many seeds more at most, while something is not covered
  --minutes M   go on for so long instead of --seeds
  --takeovers N all of it has to be covered, and so many leaders replaced, or the exit code is 1
  --trace S     one seed, with every line of its history
`;

function numberOf(text: string | undefined, otherwise: number, option: string): number {
  return text === undefined ? otherwise : wholeNumber(option, text, 0, 2 ** 31 - 1);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seeds: { type: "string" },
      from: { type: "string" },
      more: { type: "string" },
      minutes: { type: "string" },
      takeovers: { type: "string" },
      trace: { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) {
    console.log(usage);
    return 0;
  }
  const jobs = await planJobs();
  if (values.trace !== undefined) {
    const seed = numberOf(values.trace, 1, "--trace");
    const outcome = simulate(seed, jobs, { listen: (line) => console.log(line) });
    console.log(`${outcome.traced} lines, hash ${outcome.traceHash}`);
    if (outcome.failure === undefined) return 0;
    console.log(`seed ${seed} ${outcome.failure}`);
    return 1;
  }
  const from = numberOf(values.from, 1, "--from");
  const seeds = numberOf(values.seeds, 100, "--seeds");
  const more = numberOf(values.more, 0, "--more");
  const minutes = numberOf(values.minutes, 0, "--minutes");
  const began = performance.now();
  const campaign = new Campaign();
  const isLast = (done: number) => {
    if (minutes > 0) return performance.now() - began > minutes * 60_000;
    return done >= seeds && (done >= seeds + more || campaign.gaps().length === 0);
  };
  for (let done = 0; !isLast(done); done++) {
    const outcome = simulate(from + done, jobs, { isUnhashed: true });
    campaign.add(outcome);
    if (outcome.failure !== undefined) console.log(describeFailure(outcome));
  }
  const seconds = (performance.now() - began) / 1_000;
  console.log(campaign.report());
  const gaps = campaign.gaps();
  for (const gap of gaps) console.log(`not covered: ${gap}`);
  console.log(`${(campaign.seeds / seconds).toFixed(2)} seeds/s in ${seconds.toFixed(0)} s`);
  if (campaign.failures.length > 0) return 1;
  if (values.takeovers === undefined) return 0;
  const wanted = numberOf(values.takeovers, 0, "--takeovers");
  if (campaign.takeovers < wanted) console.log(`too few takeovers: ${campaign.takeovers}`);
  return gaps.length === 0 && campaign.takeovers >= wanted ? 0 : 1;
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (error: unknown) => {
    console.error(fromUnknown(error).message);
    process.exitCode = 2;
  },
);
