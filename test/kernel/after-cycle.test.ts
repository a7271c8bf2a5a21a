/** Jobs that wait for each other's days: the ring is named, from its first job to the same one again. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { afterCycle } from "../../shared/kernel/after-cycle.ts";

function jobs(waits: Readonly<Record<string, readonly string[]>>) {
  return Object.entries(waits).map(([name, upstream]) => ({
    name,
    after: upstream.map((job) => ({ job, dataset: "d" })),
  }));
}

test.each<[string, Readonly<Record<string, readonly string[]>>, readonly string[] | undefined]>([
  ["nobody waits", { a: [], b: [] }, undefined],
  ["a chain", { a: ["b"], b: ["c"], c: [] }, undefined],
  ["two ways to one job", { a: ["b", "c"], b: ["d"], c: ["d"], d: [] }, undefined],
  ["two datasets of one job", { a: ["b", "b"], b: [] }, undefined],
  ["a job that nobody knows yet", { a: ["later"] }, undefined],
  ["itself", { a: ["a"] }, ["a", "a"]],
  ["two", { a: ["b"], b: ["a"] }, ["a", "b", "a"]],
  ["a ring behind a chain", { a: ["b"], b: ["c"], c: ["d"], d: ["b"] }, ["b", "c", "d", "b"]],
  ["a ring after a way that ends", { a: ["x", "b"], x: [], b: ["a"] }, ["a", "b", "a"]],
])("%s", (_what, waits, ring) => {
  expect(afterCycle(jobs(waits))).toEqual(ring);
});

test("a chain of 20,000 jobs is walked, and closed to a ring is found", () => {
  const waits = Array.from({ length: 20_000 }, (_, index) => [`j${index}`, [`j${index + 1}`]]);
  const chain = Object.fromEntries(waits) as Record<string, string[]>;
  expect(afterCycle(jobs(chain))).toBeUndefined();
  expect(afterCycle(jobs({ ...chain, j2: ["j1"] }))).toEqual(["j1", "j2", "j1"]);
});

test("what is named is a ring, and without one every job can be put after those it waits for", () => {
  const names = ["a", "b", "c", "d", "e"];
  const waits = fc.dictionary(fc.constantFrom(...names), fc.subarray(names), { maxKeys: 5 });
  fc.assert(
    fc.property(waits, (given) => {
      const ring = afterCycle(jobs(given));
      if (ring !== undefined) {
        expect(ring.at(0)).toBe(ring.at(-1));
        for (const [index, name] of ring.slice(0, -1).entries()) {
          expect(given[name]).toContain(ring[index + 1]);
        }
        return;
      }
      // The plain way: take whoever waits for nobody that is left, until nobody is left.
      let left = Object.keys(given);
      while (left.length > 0) {
        const stays = left.filter((name) => given[name]?.some((one) => left.includes(one)));
        expect(stays.length).toBeLessThan(left.length);
        left = stays;
      }
    }),
  );
});
