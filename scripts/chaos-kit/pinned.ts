/**
 * Trials that met a bug once. Each keeps its promises now, and the line says what it was. Real processes never do the same
 * twice, so each bug has a test with values, or against the real library, as well: `heldBy`.
 * They are bugs of the product: what a trial got wrong about itself is not pinned.
 */
import { Draw } from "./draw.ts";
import { type ChaosOptions, chaosOptions } from "./options.ts";
import type { Scenario } from "./scenario.ts";

export interface Bug {
  readonly what: string;
  /** The test that fails when it comes back. */
  readonly heldBy: readonly [file: string, title: string];
}

export interface Pinned {
  readonly scenario: string;
  readonly seed: number;
  /** Is it the seed that met it? Where that was not written down one is chosen that strikes in the same place. */
  readonly isFirst: boolean;
  /** What else the command line says: `--rows 20_000`. */
  readonly options?: string;
  /** What the seed makes of the scenario … */
  readonly strikes: readonly string[];
  /** … and each number that it draws for it, victims included. With others it would be another trial. */
  readonly drawn: readonly number[];
  readonly bugs: readonly Bug[];
}

export const pinned: readonly Pinned[] = [
  {
    scenario: "kill-leader-ten-times",
    seed: 2,
    isFirst: false,
    strikes: [
      "a leader stops itself before-manifest:1",
      "kill -9 of the leader, mid-map, 8 % of its tasks done",
      "kill -9 of the leader, mid-map, 21 % of its tasks done",
      "kill -9 of the leader, mid-map, 50 % of its tasks done",
      "kill -9 of the leader, mid-map, 62 % of its tasks done",
      "kill -9 of the leader, mid-reduce, 1 % of its tasks done",
      "kill -9 of the leader, mid-reduce, 21 % of its tasks done",
      "kill -9 of the leader, mid-reduce, 42 % of its tasks done",
      "kill -9 of the leader, mid-reduce, 62 % of its tasks done",
      "kill -9 of the leader, mid-commit, exactly before manifest:1",
      "kill -9 of the leader, mid-commit, exactly before manifest:1",
    ],
    drawn: [3, 1, 8, 1, 10, 2, 1, 1, 2, 2],
    bugs: [
      {
        what: "a takeover read all records since the last snapshot, which came after 5,000 of them whatever their size: over 5 s",
        heldBy: [
          "test/core/journal-replay.test.ts",
          "a journal of few and long records is cut, too: a takeover reads less than a mebibyte and a bit",
        ],
      },
      {
        what: "executors that a candidate had refused dialled it again only after up to 1.6 s",
        heldBy: [
          "test/executor/link.test.ts",
          "a candidate's refusal is short-lived: it is dialled again soon, however often it refused",
        ],
      },
    ],
  },
  {
    scenario: "pause-purge",
    seed: 3,
    isFirst: false,
    strikes: [
      "a leader stops itself before-purge:1",
      "kill -9 of an executor, when 6/12 of the map tasks were done",
      "a pause of the leader, exactly before purge:1",
    ],
    drawn: [6, 1],
    bugs: [
      {
        what: "that a loser's rows were still to be removed was known to one leader only, and lost with it",
        heldBy: [
          "test/core/leftovers.test.ts",
          "are found by the next leader when the one that was to remove them is gone",
        ],
      },
    ],
  },
  {
    scenario: "wipe-nats",
    seed: 2,
    isFirst: false,
    strikes: [
      "kill -9 of nats-server, its files removed, start, when 5/12 of the map tasks were done",
    ],
    drawn: [5, 1, 0],
    bugs: [
      {
        what: "executors that looked for a leader in a registry that was just being made crashed nats-server 2.9.10",
        heldBy: [
          "test/contract/nats-trouble.test.ts",
          "the server survives everybody looking into a registry that is just being made",
        ],
      },
      {
        what: "whoever watched the run was told that it is not known, until it was planned again",
        heldBy: [
          "test/core/restore.test.ts",
          "is not denied meanwhile: who asks for it, or wants it cancelled, is told to ask again",
        ],
      },
    ],
  },
  {
    scenario: "wipe-journal",
    seed: 4,
    isFirst: false,
    strikes: [
      "kill -9 of nats-server, the journal's files removed, start, when 7/12 of the map tasks were done",
    ],
    drawn: [7],
    bugs: [
      {
        what: "rows of attempts that nobody could use any more stayed beside the outputs that were found again",
        heldBy: [
          "test/core/reindex.test.ts",
          "has what nobody can use removed: an attempt without an account, and the second of two",
        ],
      },
    ],
  },
  {
    scenario: "full-nats",
    seed: 2,
    isFirst: false,
    strikes: [
      "nats-server filled until it takes nothing any more, for 4035 ms, when 5/12 of the map tasks were done",
    ],
    drawn: [4035, 5],
    bugs: [
      {
        what: "a nats-server at its limit took neither lease nor journal: nobody could lead any more, for good",
        heldBy: [
          "test/contract/nats-reserve.test.ts",
          "at its limit a server takes nothing; what was kept free is given to whoever leads, and made again with room",
        ],
      },
      {
        what: "an append that was refused was made again at once, in a circle, for as long as there was no room",
        heldBy: [
          "test/core/journal.test.ts",
          "that is refused at once, each time, is not made in a circle, and soon after there is room",
        ],
      },
      {
        what: "an attempt whose command waited for the journal was given up: its executor could not know of it",
        heldBy: [
          "test/core/adoption.test.ts",
          "one whose command waits for the journal is not missed before the executor can know of it",
        ],
      },
    ],
  },
  {
    scenario: "full-nats",
    seed: 4,
    isFirst: true,
    strikes: [
      "nats-server filled until it takes nothing any more, for 4961 ms, when 6/12 of the map tasks were done",
    ],
    drawn: [4961, 6],
    bugs: [
      {
        what: "of two writes that were refused at once one stayed refused, although the other had made room",
        heldBy: [
          "test/contract/nats-reserve.test.ts",
          "at its limit a server takes nothing; what was kept free is given to whoever leads, and made again with room",
        ],
      },
    ],
  },
  {
    scenario: "full-nats",
    seed: 6,
    isFirst: true,
    options: "--rows 2_000_000",
    strikes: [
      "nats-server filled until it takes nothing any more, for 6518 ms, when 3/12 of the map tasks were done",
    ],
    drawn: [6518, 3],
    bugs: [
      {
        what: "attempts that were under way took all of the room that the leader had made for itself: it lost its lease",
        heldBy: [
          "test/contract/nats-reserve.test.ts",
          "an attempt that is at it when it is given away is refused a few messages later",
        ],
      },
    ],
  },
];

/** The entry as if somebody had typed it. `badRequest` where the scenario or an option does not exist. */
export function optionsOf(
  { scenario, seed, options }: Pick<Pinned, "scenario" | "seed" | "options">,
  known: Parameters<typeof chaosOptions>[1],
): ChaosOptions {
  const more = options === undefined ? [] : options.split(" ");
  return chaosOptions(["run", scenario, "--seed", String(seed), ...more], known);
}

class Recorder extends Draw {
  readonly drawn: number[] = [];

  override between(least: number, most: number): number {
    const number = super.between(least, most);
    this.drawn.push(number);
    return number;
  }
}

/** What a seed makes of a scenario, without carrying it out. */
export function drawsOf({ name, plan }: Scenario, seed: number): Pick<Pinned, "strikes" | "drawn"> {
  const draw = new Recorder(seed, name);
  const { faults, shape } = plan(draw, 0);
  const stops = [...new Set(shape?.stops ?? [])].map((stop) => `a leader stops itself ${stop}`);
  return {
    strikes: [...stops, ...faults.map(({ what, when }) => `${what}, ${when}`)],
    drawn: draw.drawn,
  };
}
