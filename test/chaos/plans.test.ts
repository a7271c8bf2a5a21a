/**
 * What the command line and a seed make of the scenarios, as values.
 */
import { describe, expect, test } from "vitest";
import type { Fact } from "../../coordinator/core/facts.ts";
import { byName, scenarios } from "../../scripts/chaos-kit/catalogue.ts";
import { Draw } from "../../scripts/chaos-kit/draw.ts";
import type { JournalView, Seen } from "../../scripts/chaos-kit/journal-watch.ts";
import { chaosOptions } from "../../scripts/chaos-kit/options.ts";
import { drawsOf } from "../../scripts/chaos-kit/pinned.ts";
import { countAttempts } from "../../scripts/chaos-kit/report.ts";
import { drawKinds, faultBudget } from "../../scripts/chaos-kit/scenario-random.ts";
import { atTimes } from "../../scripts/chaos-kit/times.ts";
import type { World } from "../../scripts/chaos-kit/world.ts";
import { fromUnknown } from "../../shared/kernel/failure.ts";

const known = { all: scenarios, byName };
const parse = (line: string) => chaosOptions(line.split(" "), known);
const refusal = (line: string) => {
  try {
    return parse(line);
  } catch (error) {
    return fromUnknown(error).message;
  }
};

describe("the command line", () => {
  test("names scenarios, or all of them", () => {
    const run = parse("run pause-link kill-executors --rows 20_000 --seed 7");
    expect(run.scenarios.map(({ name }) => name)).toEqual(["pause-link", "kill-executors"]);
    expect([run.command, run.rows, run.seed]).toEqual(["run", 20_000, 7]);
    expect(parse("all --json")).toMatchObject({
      command: "run",
      json: true,
      rows: 60_000,
      seed: 1,
    });
    expect(parse("all").scenarios).toHaveLength(scenarios.length);
    expect(parse("list").command).toBe("list");
    expect(parse("run --random --minutes 3")).toMatchObject({ command: "random", minutes: 3 });
  });

  test("chooses another day: its size, its seed, another trade, files of one's own", () => {
    expect(parse("all").data.name).toBe("ipdr, realistic, data seed 1");
    const hostile = parse("all --data-seed 9 --skew hostile --day 2026-02-28").data;
    expect([hostile.name, hostile.day]).toEqual(["ipdr, hostile, data seed 9", "2026-02-28"]);
    const retail = parse("run kill-everything --data retail").data;
    expect(retail.name).toBe("retail, data seed 1");
    expect(retail.jobFile(false)).toMatch(/fixtures\/retail\/job\.yaml$/);
    const own = parse("all --data test/fixtures --job jobs/ipdr-daily-gzip.yaml --day 2026-03-01");
    expect(own.data.name).toBe("test/fixtures, 2026-03-01");
    expect(own.data.jobFile(false)).toMatch(/jobs\/ipdr-daily-gzip\.yaml$/);
    expect(refusal("all --data nowhere")).toContain("--data nowhere: ipdr, retail or a folder");
    expect(refusal("all --data test --job none.yaml")).toContain("--job none.yaml");
    expect(refusal("all --job jobs/ipdr-daily.yaml")).toContain("--data FOLDER");
    expect(refusal("all --day yesterday")).toContain("--day yesterday");
    expect(refusal("all --skew odd")).toContain("--skew odd");
  });

  test("takes times for the faults, which come in their order", () => {
    expect(parse("run --random --at 4,1.25").at).toEqual([1_250, 4_000]);
    expect(parse("all").at).toEqual([]);
    for (const wrong of ["soon", "1,", "-1", "1.2345"]) {
      expect(refusal(`all --at=${wrong}`)).toContain("seconds after the submission are expected");
    }
  });

  test("what it does not know is refused with what there is", () => {
    expect(refusal("run pause-nothing")).toContain("no scenario is called pause-nothing");
    expect(refusal("run pause-nothing")).toContain("pause-link");
    expect(refusal("break")).toContain("list, run, all or pinned");
    expect(refusal("run")).toContain("needs the name of a scenario");
    expect(refusal("all --rows many")).toContain("--rows many");
    expect(refusal("all --sed 3")).toContain("--sed");
  });
});

describe("faults at chosen times", () => {
  const everything = scenarios.find(({ name }) => name === "kill-executors");
  const plan = () => everything?.plan(new Draw(1, "kill-executors"), 0) ?? { faults: [] };
  const nowhere = {} as World;
  const view = { seen: [] } as unknown as JournalView;

  test("come then and not before, whatever the journal says; the others stay where they were", () => {
    const [first, second, third] = atTimes(plan(), [500, 2_000]).faults;
    expect([first?.when, second?.when]).toEqual([
      "0.5 s after the submission",
      "2 s after the submission",
    ]);
    expect(third?.when).toBe(plan().faults[2]?.when);
    expect(second?.due(view, nowhere, 1_999)).toBe(false);
    expect(second?.due(view, nowhere, 2_000)).toBe(true);
  });

  test("a leader that stops itself before an act does so when it comes to it", () => {
    const stopped = scenarios.find(({ name }) => name === "pause-link");
    const planned = stopped?.plan(new Draw(1, "pause-link"), 0) ?? { faults: [] };
    expect(atTimes(planned, [500])).toBe(planned);
  });

  test("random mode draws as many faults as there are times, as far as the budget goes", () => {
    const counts = new Set<number>();
    for (let seed = 0; seed < 100; seed++) {
      counts.add(drawKinds(new Draw(seed, "random"), 2).length);
    }
    // A kind of four points leaves two for a second one.
    expect(counts).toEqual(new Set([2]));
  });
});

/** Everything of a plan that a seed can change, as text. */
function planned(seed: number): readonly string[] {
  return scenarios.map((scenario) => JSON.stringify([scenario.name, drawsOf(scenario, seed)]));
}

describe("a seed", () => {
  test("gives the same plan each time, another one another plan", () => {
    expect(planned(5)).toEqual(planned(5));
    const same = planned(5).filter((text, index) => text === planned(6)[index]);
    expect(same.length).toBeLessThan(scenarios.length / 2);
  });

  test("draws evenly between its bounds, both included", () => {
    const draw = new Draw(1, "bounds");
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < 4_000; i++) {
      const index = draw.between(3, 6) - 3;
      counts[index] = (counts[index] ?? 0) + 1;
    }
    expect(counts).toHaveLength(4);
    for (const count of counts) expect(count).toBeGreaterThan(850);
  });

  test("never spends more than the budget of a random round", () => {
    for (let seed = 0; seed < 500; seed++) {
      const kinds = drawKinds(new Draw(seed, "random"));
      const points = kinds.reduce((sum, kind) => sum + kind.points, 0);
      expect(kinds.length).toBeGreaterThan(0);
      expect(kinds.length).toBeLessThanOrEqual(faultBudget.faults);
      expect(points).toBeLessThanOrEqual(faultBudget.points);
      for (const kind of kinds) {
        expect(kinds.filter((one) => one === kind).length).toBeLessThanOrEqual(kind.most);
      }
    }
  });
});

test("attempts are counted from the facts: started, again, adopted", () => {
  const seen = (epoch: number, fact: Partial<Fact>): Seen => {
    return { fact: fact as Fact, sequence: 1, epoch, life: 1, atMs: 0 };
  };
  const start = (attemptId: string, task: number) => {
    return { kind: "attemptStarted", run: "r", stage: 0, task, attemptId } as const;
  };
  const facts = [
    seen(1, start("a", 0)),
    seen(1, start("b", 1)),
    seen(1, { kind: "attemptDone", attemptId: "a" }),
    seen(2, { kind: "attemptDone", attemptId: "b" }),
    seen(2, start("c", 2)),
    seen(2, { kind: "attemptFailed", attemptId: "c" }),
    seen(2, start("d", 2)),
    seen(2, { kind: "taskReused", run: "r", stage: 0, task: 3 }),
  ];
  expect(countAttempts(facts)).toEqual({ started: 4, rerun: 1, adopted: 1, reused: 1 });
});
