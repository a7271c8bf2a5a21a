/** Whom a client asks next, as values. */
import { expect, test } from "vitest";
import { addressOf, answered, missed, type Search, startSearch } from "../../client/failover.ts";
import { failure } from "../../shared/kernel/failure.ts";

const two = startSearch(["a:1", "b:1"]);
const unavailable = failure("unavailable", "gone");

function next(search: Search, asked: string, what = unavailable) {
  const result = missed(search, asked, what);
  if (result.kind === "giveUp") return "gives up";
  return [addressOf(result.search), result.waitMs];
}

test("starts with the first address; without any there is nobody to ask", () => {
  expect(addressOf(two)).toBe("a:1");
  expect(addressOf(startSearch([]))).toBeUndefined();
});

test("who answered is asked again", () => {
  expect(addressOf(answered(two, "b:1"))).toBe("b:1");
  expect(answered(two, "c:1").addresses).toEqual(["a:1", "b:1", "c:1"]);
});

test("the next address at once, a pause only after a whole round", () => {
  expect(next(two, "a:1")).toEqual(["b:1", 0]);
  expect(next({ ...two, misses: 1 }, "b:1")).toEqual(["a:1", 100]);
  expect(next({ ...two, misses: 3 }, "b:1")).toEqual(["a:1", 200]);
  expect(next({ ...two, misses: 99 }, "b:1")).toEqual(["a:1", 1_000]);
});

test("a standby that knows the leader is believed", () => {
  const told = failure("notLeader", "not me", { leader: "c:1" });
  expect(next(two, "a:1", told)).toEqual(["c:1", 0]);
});

test("a leader that calls itself no leader is not asked in a circle", () => {
  const told = failure("notLeader", "not me", { leader: "a:1" });
  expect(next({ ...two, leader: "a:1" }, "a:1", told)).toEqual(["b:1", 0]);
});

test("a refusal of the request is final", () => {
  expect(next(two, "a:1", failure("jobInvalid", "no"))).toBe("gives up");
  expect(next(two, "a:1", failure("conflict", "no"))).toBe("gives up");
  expect(next(two, "a:1", failure("unknownRun", "no"))).toBe("gives up");
});

test("a hung coordinator is left for another", () => {
  expect(next(two, "a:1", failure("timeout", "slow"))).toEqual(["b:1", 0]);
});

test("whoever answered anything was there: a leader may come again; refused connections are nobody", () => {
  const refused = failure("unavailable", "no", { unreached: "connect ECONNREFUSED 127.0.0.1:1" });
  const heardAfter = (search: Search, what: typeof refused) => {
    const result = missed(search, "a:1", what);
    return result.kind === "ask" && result.search.heard;
  };
  expect(heardAfter(two, refused)).toBe(false);
  expect(heardAfter(two, failure("notLeader", "not me"))).toBe(true);
  expect(heardAfter(two, failure("timeout", "slow"))).toBe(true);
  // A connection that broke in the middle of a call: it was there, and just went.
  expect(heardAfter(two, unavailable)).toBe(true);
  expect(heardAfter(answered(two, "a:1"), refused)).toBe(true);
});
