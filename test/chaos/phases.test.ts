/**
 * Where a run stands, read from a folded journal: what the ten kills of one leader are judged by.
 */
import { describe, expect, test } from "vitest";
import {
  type Attempt,
  emptyDurable,
  type Run,
  type Stage,
} from "../../coordinator/core/durable.ts";
import type { Fact } from "../../coordinator/core/facts.ts";
import type { JournalView, Seen } from "../../scripts/chaos-kit/journal-watch.ts";
import { adoptedAttempts, phaseOf, startedAfterDone } from "../../scripts/chaos-kit/phases.ts";
import { isDone, midMap, planned } from "../../scripts/chaos-kit/positions.ts";

type Kind = Stage["kind"];

/** A run with four maps and two reduces, of which so many are done, and one running attempt of some kind. */
function view(
  state: Run["state"],
  done: { readonly scan: number; readonly reduce: number },
  running?: Kind,
  seen: readonly Seen[] = [],
): JournalView {
  const durable = emptyDurable();
  const stage = (kind: Kind, tasks: number, finished: number) =>
    ({ kind, tasks: Array(tasks).fill({}), done: finished }) as unknown as Stage;
  const stages = [stage("scan", 4, done.scan), stage("reduce", 2, done.reduce)];
  durable.runs.set("r", { id: "r", state, stages } as unknown as Run);
  if (running !== undefined) {
    const index = stages.findIndex(({ kind }) => kind === running);
    durable.attempts.set("a", { run: "r", stage: index, task: 0 } as unknown as Attempt);
    durable.running.add("a");
  }
  return { seen, durable, epoch: 1, sequence: 1 };
}

describe("the phase of a run", () => {
  test("is map while a file is left and one is read", () => {
    expect(phaseOf(view("running", { scan: 3, reduce: 0 }, "scan"))).toBe("map");
    expect(phaseOf(view("running", { scan: 3, reduce: 0 }))).toBeUndefined();
  });

  test("is reduce when all files are read, a group is left and one is reduced", () => {
    expect(phaseOf(view("running", { scan: 4, reduce: 1 }, "reduce"))).toBe("reduce");
    expect(phaseOf(view("running", { scan: 4, reduce: 1 }))).toBeUndefined();
    expect(phaseOf(view("checking", { scan: 4, reduce: 2 }))).toBeUndefined();
  });

  test("is commit from the decision to the end", () => {
    const committing = view("committing", { scan: 4, reduce: 2 });
    expect(phaseOf(committing)).toBe("commit");
    const run = committing.durable.runs.get("r");
    Object.assign(run ?? {}, { ended: {} });
    expect(phaseOf(committing)).toBeUndefined();
  });
});

function seen(epoch: number, task: number, fact: Partial<Fact>): Seen {
  const about = { run: "r", stage: 0, task, kind: "scan", executor: "e", attemptId: "" } as const;
  const id = "attemptId" in fact ? String(fact.attemptId) : "";
  const place = { ...about, attemptId: id };
  return { fact: fact as Fact, sequence: 1, epoch, life: 1, atMs: 0, about: place };
}

describe("what a change of leader must not do", () => {
  const story = [
    seen(1, 0, { kind: "attemptStarted", attemptId: "a" }),
    seen(1, 1, { kind: "attemptStarted", attemptId: "b" }),
    seen(1, 0, { kind: "attemptDone", attemptId: "a" }),
    seen(2, 1, { kind: "attemptFailed", attemptId: "b" }),
    seen(2, 1, { kind: "attemptStarted", attemptId: "c" }),
    seen(3, 1, { kind: "attemptDone", attemptId: "c" }),
  ];

  test("is to begin a task again that was done", () => {
    expect(startedAfterDone(story)).toEqual([]);
    const again = [...story, seen(3, 0, { kind: "attemptStarted", attemptId: "d" })];
    expect(startedAfterDone(again)).toEqual(["d"]);
  });

  test("an adopted attempt was started under one leader and won under a later one", () => {
    expect([...adoptedAttempts(story)]).toEqual(["c"]);
  });

  test("a position in the map stage goes by the number of tasks that there are", () => {
    const half = view("running", { scan: 1, reduce: 0 }, "scan", story.slice(0, 3));
    expect(planned(half, "scan")).toBe(4);
    expect([0.25, 0.5].map((share) => isDone(half, "scan", share))).toEqual([true, false]);
    const nowhere = {} as Parameters<ReturnType<typeof midMap>["due"]>[1];
    const due = (nth: number) => midMap(nth, 12).due(half, nowhere, 0);
    expect([1, 3, 4, 5].map(due)).toEqual([true, true, true, false]);
    expect(isDone({ ...half, durable: emptyDurable() }, "scan", 0)).toBe(false);
  });
});
