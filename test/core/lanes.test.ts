/** Who gets which slot: the live day has its share, the backlog has its own, and nobody is stopped for somebody else. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Load, mayTake, reserveOf, servingOrder } from "../../coordinator/core/lanes.ts";
import { type Lane, lanes } from "../../shared/kernel/lane.ts";

const none = { live: 0, backlog: 0, ahead: 0 };

function load(changes: Partial<Load>): Load {
  return { slots: 4, free: 4, held: none, isLiveActive: false, ...changes };
}

describe("the reserve", () => {
  test("is a quarter of the slots, one at least, and none of a single one", () => {
    expect([0, 1, 2, 3, 4, 7, 8, 64].map(reserveOf)).toEqual([0, 0, 1, 1, 1, 1, 2, 16]);
  });
});

describe("while a live run is active", () => {
  test("the backlog is served first, and gets its reserve", () => {
    expect(servingOrder(true)).toEqual(["backlog", "live", "ahead"]);
    expect(mayTake("backlog", load({ isLiveActive: true }))).toBe(1);
    expect(mayTake("live", load({ isLiveActive: true, free: 3 }))).toBe(3);
  });

  test("what runs beyond the reserve ends; nothing starts in its place", () => {
    const held = { live: 1, backlog: 3, ahead: 0 };
    expect(mayTake("backlog", load({ isLiveActive: true, free: 1, held }))).toBe(0);
    expect(mayTake("live", load({ isLiveActive: true, free: 1, held }))).toBe(1);
  });

  test("files of days to come share the reserve with the backlog", () => {
    const held = { live: 3, backlog: 1, ahead: 0 };
    expect(mayTake("ahead", load({ isLiveActive: true, slots: 8, free: 4, held }))).toBe(1);
    expect(mayTake("ahead", load({ isLiveActive: true, slots: 4, free: 0, held }))).toBe(0);
  });

  test("with a single slot only live runs", () => {
    const one = load({ isLiveActive: true, slots: 1, free: 1 });
    expect(lanes.map((lane) => mayTake(lane, one))).toEqual([1, 0, 0]);
  });
});

test("when nothing live has anything to run the others take everything, the backlog first", () => {
  expect(servingOrder(false)).toEqual(["live", "backlog", "ahead"]);
  expect(lanes.map((lane) => mayTake(lane, load({})))).toEqual([4, 4, 4]);
  expect(mayTake("backlog", load({ slots: 1, free: 1 }))).toBe(1);
});

/** A cluster of so many slots, with tasks that take so many rounds. */
interface Story {
  readonly slots: number;
  readonly arrivals: readonly { readonly lane: Lane; readonly tasks: number }[][];
  readonly rounds: number;
}

interface Running {
  readonly lane: Lane;
  left: number;
}

const stories: fc.Arbitrary<Story> = fc.record({
  slots: fc.integer({ min: 1, max: 12 }),
  arrivals: fc.array(
    fc.array(
      fc.record({ lane: fc.constantFrom(...lanes), tasks: fc.integer({ min: 1, max: 15 }) }),
      { maxLength: 2 },
    ),
    { maxLength: 30 },
  ),
  rounds: fc.integer({ min: 1, max: 5 }),
});

/** Plays a story by the decisions alone; `look` sees each round before and after its slots were given out. */
function play(
  { slots, arrivals, rounds }: Story,
  look: (round: {
    readonly waiting: Readonly<Record<Lane, number>>;
    readonly started: Readonly<Record<Lane, number>>;
    readonly running: readonly Running[];
    readonly isLiveActive: boolean;
  }) => void,
): number {
  const waiting = { ...none };
  let running: Running[] = [];
  let round = 0;
  const count = (lane: Lane) => running.filter((one) => one.lane === lane).length;
  for (; round < 1_000; round++) {
    for (const one of running) one.left--;
    running = running.filter(({ left }) => left > 0);
    for (const { lane, tasks } of arrivals[round] ?? []) waiting[lane] += tasks;
    const isLiveActive = waiting.live + count("live") > 0;
    const started = { ...none };
    for (const lane of servingOrder(isLiveActive)) {
      const held = { live: count("live"), backlog: count("backlog"), ahead: count("ahead") };
      const free = slots - running.length;
      const taken = Math.min(waiting[lane], mayTake(lane, { slots, free, held, isLiveActive }));
      started[lane] = taken;
      waiting[lane] -= taken;
      // The lengths differ, so that slots do not all become free at once.
      for (let n = 0; n < taken; n++) running.push({ lane, left: 1 + ((round + n) % rounds) });
    }
    look({ waiting, started, running, isLiveActive });
    const isOver = round >= arrivals.length && running.length === 0;
    if (isOver && lanes.every((lane) => waiting[lane] === 0)) break;
  }
  return round;
}

describe("whatever arrives", () => {
  test("no more runs than there are slots, and shares are kept", () => {
    fc.assert(
      fc.property(stories, (story) => {
        play(story, ({ running, started, isLiveActive }) => {
          expect(running.length).toBeLessThanOrEqual(story.slots);
          if (!isLiveActive || started.backlog + started.ahead === 0) return;
          const others = running.filter(({ lane }) => lane !== "live").length;
          expect(others).toBeLessThanOrEqual(reserveOf(story.slots));
        });
      }),
    );
  });

  test("a slot stays free only where whoever waits has its share", () => {
    fc.assert(
      fc.property(stories, (story) => {
        play(story, ({ waiting, running, isLiveActive }) => {
          if (running.length === story.slots) return;
          expect(waiting.live).toBe(0);
          if (waiting.backlog + waiting.ahead === 0) return;
          expect(isLiveActive).toBe(true);
          const others = running.filter(({ lane }) => lane !== "live").length;
          expect(others).toBeGreaterThanOrEqual(reserveOf(story.slots));
        });
      }),
    );
  });

  test("files of days to come start only when neither live nor backlog could take the slot", () => {
    fc.assert(
      fc.property(stories, (story) => {
        play(story, ({ waiting, started }) => {
          if (started.ahead > 0) expect([waiting.live, waiting.backlog]).toEqual([0, 0]);
        });
      }),
    );
  });

  test("everything ends", () => {
    fc.assert(
      fc.property(stories, (story) => {
        expect(play(story, () => undefined)).toBeLessThan(1_000);
      }),
    );
  });

  test("a backlog beside live work without end gets on, and so does live work beside a backlog without end", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 12 }),
        fc.integer({ min: 1, max: 5 }),
        (slots, rounds) => {
          const arrivals = Array.from({ length: 60 }, () => [
            { lane: "live" as const, tasks: slots },
            { lane: "backlog" as const, tasks: slots },
          ]);
          const sums = { live: 0, backlog: 0, ahead: 0 };
          let round = 0;
          play({ slots, arrivals, rounds }, ({ started }) => {
            if (round++ >= 60) return;
            for (const lane of lanes) sums[lane] += started[lane];
          });
          // Each slot of a share is given out again at least every `rounds` rounds.
          expect(sums.backlog).toBeGreaterThanOrEqual(reserveOf(slots) * Math.floor(60 / rounds));
          const liveSlots = slots - reserveOf(slots);
          expect(sums.live).toBeGreaterThanOrEqual(liveSlots * Math.floor(60 / rounds));
        },
      ),
    );
  });
});
