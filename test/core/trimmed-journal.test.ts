/** A candidate that reads a journal while a newer leader trims it: what is missing was not lost. */
import { expect, test } from "vitest";
import { Bench } from "./bench.ts";

test("what a newer leader has trimmed is not taken for lost: the older candidate gives up", () => {
  const bench = new Bench();
  // Looked at by a standby at its start, by a candidate, and by one that finds a gap.
  let fences = 0;
  const appends: number[] = [];
  bench.override = (ask) => {
    if (ask.kind === "append") appends.push(ask.epoch);
    // While this one reads, epoch 9 leads, and its snapshot has taken the place of records 1 to 40.
    if (ask.kind === "readJournal" && fences === 2) {
      return { kind: "records", last: 41, records: [{ sequence: 41, text: "later" }] };
    }
    if (ask.kind !== "readFences") return undefined;
    return ++fences === 3 ? { kind: "fences", registry: 9, storage: 9 } : undefined;
  };
  bench.lead();
  // It wrote nothing under epoch 1, and leads under a higher one when nobody is heard.
  expect(bench.state.role).toMatchObject({ kind: "leader", epoch: 10 });
  expect([fences, new Set(appends)]).toEqual([4, new Set([10])]);
});
