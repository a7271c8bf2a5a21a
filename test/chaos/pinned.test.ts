/** Trials that met a bug once are still what they were: scenario, options, what their seed draws, and the bug's own test. */
import { describe, expect, test } from "vitest";
import { byName, scenarios } from "../../scripts/chaos-kit/catalogue.ts";
import { chaosOptions } from "../../scripts/chaos-kit/options.ts";
import { drawsOf, optionsOf, pinned } from "../../scripts/chaos-kit/pinned.ts";
import type { Scenario } from "../../scripts/chaos-kit/scenario.ts";
import { fromUnknown } from "../../shared/kernel/failure.ts";
import { isThere } from "./named-tests.ts";

const known = { all: scenarios, byName };

describe.each(pinned)("$scenario --seed $seed", (entry) => {
  const { scenarios: chosen, seed, command } = optionsOf(entry, known);

  test("is a scenario with options that it takes", () => {
    expect([command, chosen.map(({ name }) => name), seed]).toEqual([
      "run",
      [entry.scenario],
      entry.seed,
    ]);
  });

  test("draws what it drew", () => {
    expect(chosen.map((one) => drawsOf(one, seed))).toEqual([
      { strikes: entry.strikes, drawn: entry.drawn },
    ]);
  });

  test("names a test for each of its bugs", () => {
    expect(entry.bugs.length).toBeGreaterThan(0);
    expect(entry.bugs.filter(({ heldBy: [file, title] }) => !isThere(file, title))).toEqual([]);
  });
});

test("no trial is pinned twice, and each has two numbers of its own at least", () => {
  const names = pinned.map(({ scenario, seed, options = "" }) => `${scenario} ${seed} ${options}`);
  expect(new Set(names).size).toBe(names.length);
  expect(pinned.filter(({ drawn, strikes }) => drawn.length + strikes.length < 2)).toEqual([]);
});

describe("a generator that gives other numbers", () => {
  const seedOf = (plan: Scenario["plan"]) => drawsOf({ name: "one", proves: "", plan }, 3);
  const fault = { when: "then", what: "it", due: () => true, inject: async () => undefined };

  test("is noticed also where no text says what was drawn", () => {
    const some = seedOf((draw) => ({ faults: [{ ...fault, what: `it ${draw.between(1, 9)}` }] }));
    const victim = seedOf((draw) => {
      const nth = draw.between(1, 9);
      return { faults: [{ ...fault, inject: async () => String(nth) }] };
    });
    const other = seedOf((draw) => {
      draw.between(1, 2);
      draw.between(1, 9);
      return { faults: [fault] };
    });
    expect(some.drawn).toEqual(victim.drawn);
    expect(some.strikes).toEqual([`it ${some.drawn[0]}, then`]);
    expect(other.strikes).toEqual(victim.strikes);
    expect(other.drawn).not.toEqual(victim.drawn);
  });

  test("is noticed also in what a leader stops itself before", () => {
    const stops = ["before-link:2", "before-link:2"];
    const { strikes } = seedOf(() => ({ shape: { stops }, faults: [] }));
    expect(strikes).toEqual(["a leader stops itself before-link:2"]);
  });
});

describe("the command", () => {
  const refusal = (line: string) => {
    try {
      return chaosOptions(line.split(" "), known).command;
    } catch (error) {
      return fromUnknown(error).message;
    }
  };

  test("takes nothing that would make other trials of them", () => {
    expect(chaosOptions(["pinned", "--json", "--keep-failed"], known)).toMatchObject({
      command: "pinned",
      json: true,
      keepFailed: true,
    });
    expect(refusal("pinned --seed 3")).toContain("pinned --seed: only --json and --keep-failed");
    expect(refusal("pinned full-nats")).toContain("run SCENARIO --seed S");
    expect(refusal("pinned --random")).toContain("pinned --random");
  });

  test("refuses an entry whose scenario or option is gone", () => {
    const entry = { scenario: "full-nats", seed: 4 };
    expect(() => optionsOf({ ...entry, scenario: "empty-nats" }, known)).toThrow("empty-nats");
    expect(() => optionsOf({ ...entry, options: "--lines 3" }, known)).toThrow("--lines");
    expect(optionsOf({ ...entry, options: "--rows 20_000" }, known).rows).toBe(20_000);
  });
});
