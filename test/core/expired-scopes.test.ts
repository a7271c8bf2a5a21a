/** Which kept outputs are over their time when a run ends, by values. */
import { expect, test } from "vitest";
import { emptyDurable, type Run } from "../../coordinator/core/durable.ts";
import { dropSuperseded, expiredScopes } from "../../coordinator/core/expired-outputs.ts";
import { KeptOutputs } from "../../coordinator/core/kept-outputs.ts";
import { Bench } from "./bench.ts";

/** A live run: its day, the scopes that it stands on, and where a stage of it finds finished work. */
type Live = readonly [day: string, scopes: readonly string[], salvage?: string];

/** `scope: day` of kept outputs, and live runs. */
function durableWith(kept: Readonly<Record<string, string>>, live: readonly Live[] = []) {
  const durable = emptyDurable();
  for (const [scope, day] of Object.entries(kept)) {
    const outputs = new KeptOutputs();
    durable.kept.set(scope, { job: "usage", day, source: "ipdr", exchanges: [], outputs });
  }
  live.forEach(([day, scopes, salvage], number) => {
    const id = `usage.${day}.r${number}`;
    const exchanges = new Map(
      scopes.map((scope, x) => [`x${x}`, { exchange: `x${x}`, streams: [], scope }]),
    );
    const stages = salvage === undefined ? [] : [{ salvage }];
    durable.runs.set(id, { id, job: "usage", day, exchanges, stages } as unknown as Run);
  });
  return durable;
}

test("of the day that committed only what its run stands on stays", () => {
  const durable = durableWith({ old: "2026-01-15", now: "2026-01-15", other: "2026-01-14" });
  const expired = expiredScopes(durable, "usage", "2026-01-15", new Set(["now"]), 7);
  expect(expired).toEqual(["old"]);
});

test("days beyond the newest ones go, unless a run of them is live", () => {
  const kept = { a: "2026-01-13", b: "2026-01-14", c: "2026-01-15" };
  const expired = (durable: ReturnType<typeof durableWith>) =>
    expiredScopes(durable, "usage", "2026-01-15", new Set(["c"]), 1);
  expect(expired(durableWith(kept))).toEqual(["a", "b"]);
  expect(expired(durableWith(kept, [["2026-01-13", ["a"]]]))).toEqual(["b"]);
});

test("what another live run of the day stands on stays, whatever its older run stood on", () => {
  const kept = { older: "2026-01-15", newer: "2026-01-15", past: "2026-01-15" };
  const expired = (...live: Live[]) =>
    expiredScopes(durableWith(kept, live), "usage", "2026-01-15", new Set(["older"]), 7);
  expect(expired(["2026-01-15", ["newer"]])).toEqual(["past"]);
  expect(expired(["2026-01-15", [], "newer"])).toEqual(["past"]);
});

test("outputs that a run does not stand on stay while another run of the day is live", () => {
  const bench = new Bench().lead();
  bench.attach(1);
  bench.submit();
  for (const task of bench.takeTasks()) bench.finish(task);
  const { state } = bench;
  const [run] = state.durable.runs.values();
  const [kept] = state.durable.kept.values();
  const [output] = kept?.outputs.values() ?? [];
  if (run === undefined || output === undefined) throw new Error("two outputs are kept");
  const used = kept?.outputs.mapKeys() ?? [];
  kept?.outputs.set("of a former file", output);
  const turn = { state, at: bench.at, wall: 0, effects: [] };
  state.durable.runs.set("twin", { ...run, id: "twin" });
  dropSuperseded(turn, run);
  expect(kept?.outputs.mapKeys()).toEqual([...used, "of a former file"]);
  state.durable.runs.delete("twin");
  dropSuperseded(turn, run);
  expect(kept?.outputs.mapKeys()).toEqual(used);
});
