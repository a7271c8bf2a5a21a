/** Runs in lanes, on a bench: who gets a slot that becomes free, what is remembered of it, and what a lane does not change. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { laneOf } from "../../coordinator/core/durable.ts";
import { reserveOf } from "../../coordinator/core/lanes.ts";
import { decodeSnapshot, encodeSnapshot } from "../../coordinator/core/snapshot.ts";
import { openRuns, startableStages } from "../../coordinator/core/startable.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { type Lane, lanes } from "../../shared/kernel/lane.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { carryOut } from "../sim/executor-model.ts";
import { sampleFiles, sampleJob } from "../sim/sample-job.ts";
import { Bench, type SentTask } from "./bench.ts";

const [monday, tuesday, wednesday] = ["2026-01-12", "2026-01-13", "2026-01-14"];

/** Two executors of two slots each; a day has twelve maps, in file order. */
function leader(executors: readonly number[] = [2, 2]): Bench {
  const bench = new Bench().lead();
  executors.forEach((slots, index) => {
    bench.attach(index + 1, { slots });
  });
  bench.memory.inputs = sampleFiles(12);
  bench.effects = [];
  return bench;
}

function submit(bench: Bench, day: string, lane?: Lane, requestId?: string): void {
  const named = { ...(lane && { lane }), ...(requestId && { requestId }) };
  bench.submit(sampleJob({ backlogDays: 10 }), { day, ...named });
}

function dayOf({ delivery }: SentTask): string {
  return delivery.run.slice("usage.".length, -".r1".length);
}

/** Days of the tasks that were sent. */
function days(tasks: readonly SentTask[]): string[] {
  return tasks.map(dayOf);
}

function runOf(bench: Bench, day: string) {
  const reply = bench.ask({ kind: "run", run: `usage.${day}.r1` });
  if (reply?.kind !== "run") throw new Error(`no run of ${day}`);
  return reply.run;
}

/** Finishes the oldest task that runs and gives what is sent then. */
class Slots {
  readonly #bench: Bench;
  running: SentTask[];

  constructor(bench: Bench) {
    this.#bench = bench;
    this.running = bench.takeTasks();
  }

  next(): string[] {
    const [oldest, ...rest] = this.running;
    if (oldest === undefined) throw new Error("nothing runs");
    this.#bench.finish(oldest);
    const sent = this.#bench.takeTasks();
    this.running = [...rest, ...sent];
    return days(sent);
  }

  /** The same for a task of this day. */
  nextOf(day: string): string[] {
    const found = this.running.find((task) => dayOf(task) === day);
    if (found === undefined) throw new Error(`no task of ${day} runs`);
    this.running = [found, ...this.running.filter((task) => task !== found)];
    return this.next();
  }
}

describe("beside a live run", () => {
  test("a backlog that had every slot ends what runs, and keeps one slot", () => {
    const bench = leader();
    submit(bench, monday, "backlog");
    const slots = new Slots(bench);
    expect(days(slots.running)).toEqual([monday, monday, monday, monday]);
    submit(bench, tuesday);
    expect(bench.commands()).toEqual([]);
    expect([slots.next(), slots.next(), slots.next()]).toEqual([[tuesday], [tuesday], [tuesday]]);
    // The last slot that the backlog holds is its own.
    expect([slots.next(), slots.nextOf(monday)]).toEqual([[monday], [monday]]);
    expect([slots.nextOf(tuesday), slots.nextOf(tuesday)]).toEqual([[tuesday], [tuesday]]);
  });

  test("a backlog that comes later gets the next slot, and no more", () => {
    const bench = leader();
    submit(bench, tuesday);
    const slots = new Slots(bench);
    submit(bench, monday, "backlog");
    expect([slots.next(), slots.next(), slots.next()]).toEqual([[monday], [tuesday], [tuesday]]);
  });

  test("all runs of the backlog together have one share, earlier ones first", () => {
    const bench = leader([4, 4]);
    for (const day of [monday, tuesday]) submit(bench, day, "backlog");
    const slots = new Slots(bench);
    expect(days(slots.running)).toEqual(Array.from({ length: 8 }, () => monday));
    submit(bench, wednesday);
    for (let n = 0; n < 8; n++) slots.next();
    const held = () => days(slots.running).filter((day) => day !== wednesday);
    expect(held()).toEqual([monday, monday]);
  });

  test("with a single slot live goes first, and the backlog goes on after it", () => {
    const bench = leader([1]);
    submit(bench, monday, "backlog");
    const slots = new Slots(bench);
    submit(bench, tuesday);
    const order: string[] = [];
    while (slots.running.length > 0) order.push(...slots.next());
    const lives = Array.from({ length: 14 }, () => tuesday);
    const others = Array.from({ length: 13 }, () => monday);
    expect(order).toEqual([...lives, ...others]);
    expect(runOf(bench, monday)).toMatchObject({ state: "committed", lane: "backlog" });
  });

  test("with a single slot the backlog takes it while the only live task may not be tried again yet", () => {
    const bench = leader([1]);
    bench.memory.inputs = sampleFiles(1);
    submit(bench, tuesday);
    const [first] = bench.takeTasks();
    if (first === undefined) throw new Error("a task was sent");
    submit(bench, monday, "backlog");
    bench.fail(first, failure("unavailable", "no answer"));
    expect(days(bench.takeTasks())).toEqual([monday]);
  });

  test("files of days to come get what both leave", () => {
    const bench = leader();
    submit(bench, wednesday, "ahead");
    submit(bench, monday, "backlog");
    const slots = new Slots(bench);
    expect(days(slots.running)).toEqual([wednesday, wednesday, wednesday, wednesday]);
    const order: string[] = [];
    while (slots.running.length > 0) order.push(...slots.next());
    expect(order.slice(0, 12)).toEqual(Array.from({ length: 12 }, () => monday));
    expect(runOf(bench, wednesday)).toMatchObject({ state: "committed", lane: "ahead" });
  });

  test("when it has ended the backlog has everything again", () => {
    const bench = leader();
    submit(bench, monday, "backlog");
    submit(bench, tuesday);
    bench.cancel(`usage.${tuesday}.r1`);
    const slots = new Slots(bench);
    slots.next();
    expect(days(slots.running).filter((day) => day === monday)).toHaveLength(4);
  });
});

describe("a slow task of the backlog", () => {
  /** Twelve maps: the last runs on executor 2, the others took a second. */
  function withSlow(beside: Lane | undefined) {
    const bench = leader([4, 12]);
    submit(bench, monday, "backlog");
    for (const task of bench.takeTasks()) {
      if (task.connection === 2 && task.delivery.task === 11) continue;
      const outcome = carryOut(bench.memory, task.work, task.delivery);
      if (outcome.kind === "failed") throw new Error(outcome.failure.message);
      bench.report(task, { ...outcome, counters: { ...outcome.counters, elapsedMs: 1_000 } });
    }
    if (beside !== undefined) {
      bench.memory.inputs = sampleFiles(3);
      submit(bench, tuesday, beside);
    }
    bench.takeTasks();
    return bench;
  }

  test("has a second attempt where there is room for it", () => {
    const bench = withSlow(undefined);
    bench.pass(10_000, [1, 2]);
    expect(days(bench.takeTasks())).toEqual([monday]);
  });

  test("has it within the share beside a live run, not beyond", () => {
    const bench = withSlow("live");
    // Sixteen slots, a reserve of four.
    bench.pass(10_000, [1, 2]);
    expect(days(bench.takeTasks())).toEqual([monday]);
    const crowded = withSlow("live");
    // Three days of one running map each take the rest of the share.
    crowded.memory.inputs = sampleFiles(1);
    for (const day of ["2026-01-01", "2026-01-02", "2026-01-03"]) submit(crowded, day, "backlog");
    expect(days(crowded.takeTasks())).toHaveLength(3);
    crowded.pass(10_000, [1, 2]);
    expect(days(crowded.takeTasks())).toEqual([]);
  });
});

describe("a lane", () => {
  test("is live unless told otherwise, also for runs of an old journal", () => {
    const bench = leader();
    submit(bench, monday);
    expect(bench.state.durable.runs.get(`usage.${monday}.r1`)).not.toHaveProperty("lane");
    expect(runOf(bench, monday).lane).toBe("live");
    expect(bench.takeTasks().map(({ delivery }) => delivery.lane)).toEqual(
      Array(4).fill(undefined),
    );
  });

  test("is told with the work, and remembered by snapshot and journal", () => {
    const bench = leader();
    submit(bench, monday, "backlog");
    expect(bench.takeTasks().map(({ delivery }) => delivery.lane)).toEqual(
      Array(4).fill("backlog"),
    );
    const read = decodeSnapshot(encodeSnapshot(bench.state.durable));
    expect(read.runs.get(`usage.${monday}.r1`)?.lane).toBe("backlog");
    const next = new Bench(bench.memory, "c2");
    next.at = bench.at;
    next.lead();
    expect(runOf(next, monday).lane).toBe("backlog");
    const running = [...bench.state.durable.running];
    next.attach(1, { runningAttempts: running.slice(0, 2) });
    next.attach(2, { runningAttempts: running.slice(2) });
    expect(next.state.places.held).toEqual({ live: 0, backlog: 4, ahead: 0 });
  });

  test("comes back with a run that a lost journal had promised", () => {
    const bench = leader();
    submit(bench, monday, "backlog");
    bench.memory.loseJournal();
    bench.memory.epochs.clear();
    bench.memory.streams.clear();
    const next = new Bench(bench.memory, "c2");
    next.at = bench.at;
    next.lead();
    expect(runOf(next, monday).lane).toBe("backlog");
  });

  test("is raised when somebody wants the day now, and never lowered", () => {
    const bench = leader();
    submit(bench, monday, "backlog", "first");
    const slots = new Slots(bench);
    submit(bench, monday, "live", "second");
    expect(runOf(bench, monday).lane).toBe("live");
    slots.next();
    expect(slots.running.at(-1)?.delivery.lane).toBe("live");
    submit(bench, monday, "ahead", "third");
    // The first request once more says what it said.
    submit(bench, monday, "backlog", "first");
    expect(runOf(bench, monday).lane).toBe("live");
    while (slots.running.length > 0) slots.next();
    expect(runOf(bench, monday)).toMatchObject({ state: "committed", lane: "live" });
  });

  test("of a day that is asked for twice while it is planned is the more urgent one", () => {
    const bench = leader();
    bench.hold = (ask) => ask.kind === "planJob";
    submit(bench, monday, "ahead");
    submit(bench, monday, "live");
    submit(bench, monday, "backlog");
    bench.release();
    expect(runOf(bench, monday).lane).toBe("live");
  });

  test("decides before the day which scans wait while the exchange is short of room", () => {
    const bench = leader();
    submit(bench, wednesday, "backlog");
    const slots = new Slots(bench);
    submit(bench, monday);
    bench.memory.bytesPerStream = limits.exchangeBytesBudget;
    bench.pass(limits.spaceLookEveryMs + limits.tickEveryMs, [1, 2]);
    for (let n = 0; n < 4; n++) slots.next();
    // Not even the slot that is the backlog's own, although its day is the newer one.
    expect(days(slots.running)).toEqual([monday, monday, monday, monday]);
    while (slots.running.length > 0) slots.next();
    expect(runOf(bench, wednesday).state).toBe("committed");
  });
});

/** What may come next: a day in a lane, the end of a task, a failure that is tried again later, time. */
const act = fc.oneof(
  fc.record({ kind: fc.constant("submit" as const), lane: fc.constantFrom(...lanes) }),
  fc.record({ kind: fc.constantFrom("finish" as const, "fail" as const), which: fc.nat(50) }),
  fc.record({ kind: fc.constant("finish" as const), which: fc.nat(50) }),
  fc.constant({ kind: "pass" as const }),
);

/** A bench that looks at every step of a random story. */
class Story {
  readonly bench: Bench;
  readonly #executors: readonly number[];
  #running: SentTask[] = [];
  #days = 0;

  constructor(slots: readonly number[]) {
    this.bench = leader(slots);
    this.bench.memory.inputs = sampleFiles(5);
    this.#executors = slots.map((_, index) => index + 1);
  }

  get isOver(): boolean {
    return this.#running.length === 0 && this.bench.state.delays.size === 0;
  }

  /** One step; gives how many tasks of lanes that are not live it started. */
  act(step: typeof act extends fc.Arbitrary<infer One> ? One : never): number {
    const { bench } = this;
    const wasActive = this.#isLiveRunning();
    if (step.kind === "pass") bench.pass(limits.retryBackoffMsMin, this.#executors);
    else if (step.kind === "submit") {
      submit(bench, `2026-02-${String(++this.#days).padStart(2, "0")}`, step.lane);
    } else {
      const [task] = this.#running.splice(step.which % Math.max(1, this.#running.length), 1);
      if (task === undefined) return 0;
      if (step.kind === "fail") bench.fail(task, failure("storageFull", "no room"));
      else bench.finish(task);
    }
    const sent = bench.takeTasks();
    this.#running.push(...sent);
    const others = sent.filter(({ delivery }) => delivery.lane !== undefined).length;
    const { held, slots } = bench.state.places;
    // A live run that ran before and after this step was active in between.
    if (wasActive && this.#isLiveRunning() && others > 0) {
      expect(held.backlog + held.ahead).toBeLessThanOrEqual(reserveOf(slots));
    }
    this.#nothingIsIdle();
    return others;
  }

  #isLiveRunning(): boolean {
    return this.#running.some(({ delivery }) => delivery.lane === undefined);
  }

  /** A slot stays free only where whoever waits has its share, or may not be tried again yet. */
  #nothingIsIdle(): void {
    const { state, at } = this.bench;
    const { freeSlots, held, slots } = state.places;
    if (freeSlots === 0 || state.delays.size > 0) return;
    const turn = { state, at, wall: 0, effects: [] };
    const waiting = Object.values(openRuns(turn))
      .flat()
      .filter((run) => startableStages(turn, run).length > 0);
    if (waiting.length === 0) return;
    expect(waiting.map(laneOf)).not.toContain("live");
    expect(this.#isLiveRunning()).toBe(true);
    expect(held.backlog + held.ahead).toBeGreaterThanOrEqual(reserveOf(slots));
  }

  finishAll(): void {
    for (let left = 2_000; !this.isOver && left > 0; left--) {
      this.act(this.#running.length > 0 ? { kind: "finish", which: 0 } : { kind: "pass" });
    }
  }
}

test("whatever comes, shares are kept, no slot is idle in vain, and every run is committed", () => {
  const seen = { others: 0, runs: 0 };
  const slots = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 });
  const acts = fc.array(act, { minLength: 10, maxLength: 40, size: "max" });
  fc.assert(
    fc.property(slots, acts, (places, steps) => {
      const story = new Story(places);
      for (const step of steps.filter(({ kind }, at) => kind !== "submit" || at < 28)) {
        seen.others += story.act(step);
      }
      story.finishAll();
      const states = [...story.bench.state.durable.runs.values()].map(({ state }) => state);
      expect(new Set(states).size).toBeLessThanOrEqual(1);
      for (const state of states) expect(state).toBe("committed");
      seen.runs += states.length;
    }),
    { numRuns: 40 },
  );
  // The stories did reach what they are about.
  expect(seen.others).toBeGreaterThan(200);
  expect(seen.runs).toBeGreaterThan(50);
});
