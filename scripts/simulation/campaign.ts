/**
 * Many seeds one after the other, and what came of them all: virtual time, faults by kind, takeovers, coverage,
 * failures with the last lines of their history.
 */
import { Coverage, coordinatorTable, executorTable } from "./coverage.ts";
import { type Counts, type FaultKind, faultKinds, noCounts } from "./faults.ts";
import type { SimJob } from "./jobs.ts";
import { withKnobs } from "./knobs.ts";
import { SimCluster, type SimOptions, simTimes } from "./sim-cluster.ts";

export interface Outcome {
  readonly seed: number;
  readonly events: number;
  readonly traced: number;
  readonly traceHash: string;
  readonly takeovers: number;
  readonly runs: number;
  readonly counts: Counts;
  readonly coverage: Coverage;
  readonly failure: string | undefined;
  /** Last lines of the history. */
  readonly tail: readonly string[];
}

export interface SeedOptions extends SimOptions {
  /** Hears each line of the history. */
  readonly listen?: (line: string) => void;
  /** Without a hash of its history, for those who compare none. */
  readonly isUnhashed?: true;
}

/** One seed from beginning to end. A check that fails is told, not thrown. */
export function simulate(
  seed: number,
  jobs: readonly SimJob[],
  options: SeedOptions = {},
): Outcome {
  return withKnobs(seed, () => {
    const cluster = new SimCluster(seed, jobs, options);
    const { world, faults, coverage, memory } = cluster;
    world.listen = options.listen;
    world.isHashed = options.isUnhashed !== true;
    let failure: string | undefined;
    try {
      cluster.run();
    } catch (error) {
      failure = `at ${world.at} ms: ${error instanceof Error ? error.message : String(error)}`;
      const stack = error instanceof Error ? (error.stack ?? "") : "";
      failure += stack.split("\n").slice(1, 6).join("\n");
    }
    return {
      seed,
      events: world.happened,
      traced: world.traced,
      traceHash: world.traceHash(),
      takeovers: Math.max(0, cluster.takeovers),
      runs: memory.manifests.size,
      counts: faults.counts,
      coverage,
      failure,
      tail: world.tail(),
    };
  });
}

export class Campaign {
  seeds = 0;
  events = 0;
  takeovers = 0;
  runs = 0;
  readonly counts = noCounts();
  readonly coverage = new Coverage();
  readonly failures: Outcome[] = [];

  add(outcome: Outcome): void {
    this.seeds++;
    this.events += outcome.events;
    this.takeovers += outcome.takeovers;
    this.runs += outcome.runs;
    for (const kind of Object.keys(outcome.counts) as FaultKind[]) {
      this.counts[kind] += outcome.counts[kind];
    }
    this.coverage.add(outcome.coverage);
    if (outcome.failure !== undefined) this.failures.push(outcome);
  }

  get virtualHours(): number {
    return (this.seeds * simTimes.endMs) / 3_600_000;
  }

  /** What keeps this campaign from proving anything: faults that never struck, cells that were never hit. */
  gaps(): readonly string[] {
    const never = (Object.keys(faultKinds) as FaultKind[]).filter(
      (kind) => this.counts[kind] === 0,
    );
    return [
      ...never.map((kind) => `fault ${kind} never struck: ${faultKinds[kind]}`),
      ...this.coverage.faults(coordinatorTable),
      ...this.coverage.faults(executorTable),
    ];
  }

  report(): string {
    const kinds = Object.entries(this.counts).sort(([, one], [, other]) => other - one);
    const width = Math.max(...kinds.map(([kind]) => kind.length));
    const struck = kinds.reduce((sum, [, count]) => sum + count, 0);
    return [
      this.coverage.print(coordinatorTable),
      "",
      this.coverage.print(executorTable),
      "",
      "faults by kind",
      ...kinds.map(
        ([kind, count]) =>
          `  ${kind.padEnd(width)}  ${String(count).padStart(7)}  ${faultKinds[kind as FaultKind]}`,
      ),
      "",
      `${this.seeds} seeds, ${this.virtualHours.toFixed(1)} virtual hours, ${this.events} events, ` +
        `${struck} faults, ${this.takeovers} takeovers, ${this.runs} runs ended, ` +
        `${this.failures.length} failures`,
    ].join("\n");
  }
}

/** A failure with the last lines of its history and how to see them all. */
export function describeFailure({ seed, failure, tail }: Outcome): string {
  const how = `npm run sim -- --trace ${seed}`;
  return [`seed ${seed} ${failure}`, ...tail.map((line) => `    ${line}`), `  ${how}`].join("\n");
}
