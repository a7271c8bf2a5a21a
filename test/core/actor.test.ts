/** The loop around a step: order, bounds, and what a broken step does. */
import { expect, test } from "vitest";
import { Actor } from "../../shared/actor/actor.ts";
import type { Step } from "../../shared/kernel/step.ts";

const clock = { now: () => 5, wall: () => 7 };

/** Collects numbers; tells each as an effect; breaks on a negative one. */
const collect: Step<readonly number[], number, string> = (state, { at, wall, message }) => {
  if (message < 0) throw new Error("broken");
  return [[...state, message], [`${at}/${wall}: ${message}`]];
};

function actor(interpret: (effect: string) => void, mailboxMax = 10) {
  const crashes: unknown[] = [];
  const made = new Actor({
    step: collect,
    initial: [],
    clock,
    mailboxMax,
    interpret,
    crashed: (error) => crashes.push(error),
  });
  return { made, crashes };
}

test("each message is stamped and stepped once, its effects in order", () => {
  const effects: string[] = [];
  const { made } = actor((effect) => effects.push(effect));
  made.post(1);
  made.post(2);
  expect(made.state).toEqual([1, 2]);
  expect(effects).toEqual(["5/7: 1", "5/7: 2"]);
});

test("what an effect posts comes after what waits already, never inside a step", () => {
  const { made } = actor((effect) => {
    if (effect.endsWith(" 1")) for (const next of [2, 3]) made.post(next);
    if (effect.endsWith(" 2")) made.post(4);
  });
  made.post(1);
  expect(made.state).toEqual([1, 2, 3, 4]);
});

test("a full mailbox refuses instead of growing", () => {
  const refused: unknown[] = [];
  const { made } = actor((effect) => {
    if (!effect.endsWith(" 1")) return;
    for (const next of [2, 3, 4]) {
      try {
        made.post(next);
      } catch (error) {
        refused.push(error);
      }
    }
  }, 2);
  made.post(1);
  expect(made.state).toEqual([1, 2, 3]);
  expect(refused).toMatchObject([{ failure: { code: "mailboxFull" } }]);
});

test("an exception in the step stops the actor and is told once", () => {
  const { made, crashes } = actor(() => {});
  made.post(1);
  made.post(-1);
  made.post(2);
  expect(made.state).toEqual([1]);
  expect(crashes).toHaveLength(1);
});

test("a stopped actor takes nothing more", () => {
  const { made } = actor(() => {});
  made.post(1);
  made.stop();
  made.post(2);
  expect(made.state).toEqual([1]);
});

test("thousands of messages posted by effects are taken without deep recursion", () => {
  const { made } = actor((effect) => {
    const last = Number(effect.split(" ")[1]);
    if (last < 5_000) made.post(last + 1);
  });
  made.post(0);
  expect(made.state).toHaveLength(5_001);
});
