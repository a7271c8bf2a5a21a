/** Accounts, found outputs, cuts and streams of a lost journal as values: what may be used, and what may not. */
import { describe, expect, test } from "vitest";
import type { PlannedExchange } from "../../coordinator/core/facts.ts";
import { exchangesThere, findOutputs, formerSplits } from "../../coordinator/core/reindex.ts";
import { exchangeStreams, latestGeneration } from "../../shared/kernel/exchange-names.ts";
import { formatMapAccount, parseMapAccount } from "../../shared/kernel/map-account.ts";
import type { AttemptSuccess, FileFingerprint, Split } from "../../shared/kernel/work.ts";

const run = "usage.2026-01-15.r1";
const file = (name: string, version = 1): FileFingerprint => ({
  path: `raw/${name}`,
  size: 100,
  mtimeNs: String(version),
  ctimeNs: "1",
  inode: "1",
});
const split = (...names: string[]): Split => ({ files: names.map((name) => file(name)) });
const range = (name: string, from: number, to: number): Split => ({
  files: [file(name)],
  rows: { from, to },
});

function success(exchanges: readonly string[], split_: Split): AttemptSuccess {
  return {
    kind: "done",
    outputs: exchanges.map((exchange) => ({
      exchange,
      digest: "d",
      checksum: "1",
      rows: 1,
      bytes: 1,
      messages: 1,
    })),
    files: [],
    accounts: split_.files.map((one) => ({
      file: one,
      contentSha256: "",
      plainBytes: 100,
      lines: 10,
      rows: 8,
      rejects: 1,
      blank: 1,
      outsideDay: 0,
      lastLineUnterminated: false,
    })),
    counters: {
      rowsIn: 10,
      bytesIn: 100,
      rowsOut: 1,
      bytesOut: 1,
      elapsedMs: 1,
      peakMemoryBytes: 1,
    },
  };
}

function accountOf(attemptId: string, key: string, exchanges: readonly string[]): string {
  const cut = split(`${key}.csv`);
  const gave = success(exchanges, cut);
  return formatMapAccount({ version: 1, attemptId, mapKey: key, split: cut, success: gave });
}

const scope = "usage/2026-01-15/ipdr/s0/0123";
const exchanges: readonly PlannedExchange[] = ["x0", "x1"].map((exchange) => ({
  exchange,
  scope,
  streams: [`${exchange}g0`, `${exchange}g1`],
}));

describe("outputs are found", () => {
  const found = (streams: Record<string, { complete: string[]; accounts?: string[] }>) =>
    findOutputs(run, exchanges, {
      kind: "completions",
      staged: [],
      streams: Object.entries(streams).map(([stream, { complete, accounts = [] }]) => {
        return { stream, complete, accounts };
      }),
    }).map(({ result }) => `${result.mapKey} by ${result.attemptId}`);

  const both = ["x0", "x1"];
  const accounts = [
    accountOf("a1", "k1", both),
    accountOf("a2", "k2", both),
    accountOf("a3", "k2", both),
    accountOf("a4", "k4", ["x0"]),
    "{}",
    "no JSON",
  ];
  const all = ["a1", "a2", "a3", "a4"];

  test("once for each map key, when every group of every exchange has the attempt's record", () => {
    const streams = { x0g0: { complete: all, accounts }, x0g1: { complete: all } };
    const others = { x1g0: { complete: all }, x1g1: { complete: all } };
    expect(found({ ...streams, ...others })).toEqual(["k1 by a1", "k2 by a2"]);
    const short = { ...others, x1g1: { complete: ["a1", "a3"] } };
    expect(found({ ...streams, ...short })).toEqual(["k1 by a1", "k2 by a3"]);
    expect(found({ ...streams, x1g0: { complete: all } })).toEqual([]);
  });
});

describe("an account", () => {
  test("is read as it was written", () => {
    const text = accountOf("a1", "k1", ["x0"]);
    const read = parseMapAccount(text);
    expect(read).toMatchObject({ attemptId: "a1", mapKey: "k1", split: split("k1.csv") });
    if (read === undefined) throw new Error("it can be read");
    expect(formatMapAccount(read)).toBe(text);
  });

  test("whose lines do not add up, that misses a file or has dataset files is none", () => {
    const cut = split("a.csv", "b.csv");
    const good = { version: 1, attemptId: "a", mapKey: "k", split: cut } as const;
    const gave = success(["x0"], cut);
    const [one, two] = gave.accounts;
    if (one === undefined || two === undefined) throw new Error("two files");
    const staged = { model: "m", path: "p", rows: 1, bytes: 1, sha256: "" };
    const parsed = (changed: AttemptSuccess) =>
      parseMapAccount(formatMapAccount({ ...good, success: changed }));
    expect(parsed(gave)).toBeDefined();
    expect(parsed({ ...gave, accounts: [one, { ...two, rows: 7 }] })).toBeUndefined();
    expect(parsed({ ...gave, accounts: [one] })).toBeUndefined();
    expect(parsed({ ...gave, accounts: [two, one] })).toBeUndefined();
    expect(parsed({ ...gave, files: [staged] })).toBeUndefined();
  });

  test("of which any part is no object or no text is none, and never an exception", () => {
    const whole = JSON.parse(accountOf("a1", "k1", ["x0"]));
    const parsed = (part: string, wrong: unknown, of: "account" | "success") => {
      const { success: gave } = whole;
      const changed =
        of === "account"
          ? { ...whole, [part]: wrong }
          : { ...whole, success: { ...gave, [part]: wrong } };
      return parseMapAccount(JSON.stringify(changed));
    };
    for (const wrong of [null, 7, [null]]) {
      for (const part of Object.keys(whole)) {
        expect(parsed(part, wrong, "account"), `${part} ${wrong}`).toBeUndefined();
      }
      for (const part of ["kind", "outputs", "accounts", "files", "rejectsFile", "lateFile"]) {
        expect(parsed(part, wrong, "success"), `${part} ${wrong}`).toBeUndefined();
      }
    }
    expect(parsed("split", { files: [null] }, "account")).toBeUndefined();
    expect(parsed("counters", null, "success")).toBeUndefined();
    for (const text of ["null", "7", "[]", "{}", "not JSON"]) {
      expect(parseMapAccount(text), text).toBeUndefined();
    }
  });
});

describe("the cut of a day that is planned anew", () => {
  const listed = (names: readonly string[], rows?: readonly number[]) => ({
    source: "ipdr",
    files: names.map((name) => file(name)),
    ...(rows === undefined ? {} : { rows }),
  });

  test("keeps what is known, then what was found of unchanged files, none of them twice", () => {
    const day_ = listed(["a", "b", "c", "d", "e"]);
    const found = [split("d"), split("b", "c"), split("c"), split("a", "d"), split("gone")];
    const changed: Split = { files: [file("e", 2)] };
    expect(formerSplits(day_, [split("a")], [...found, changed])).toEqual([
      split("a"),
      split("b", "c"),
      split("d"),
    ]);
  });

  test("takes all ranges of a file or none: a gap would leave rows out", () => {
    const day_ = listed(["p", "q"], [300, 200]);
    const whole_ = [range("p", 200, 300), range("p", 0, 200)];
    const gap = [range("q", 100, 200)];
    expect(formerSplits(day_, [], [...whole_, ...gap])).toEqual([
      range("p", 0, 200),
      range("p", 200, 300),
    ]);
    expect(formerSplits(day_, [], [range("p", 0, 200), range("p", 100, 300)])).toEqual([]);
    expect(formerSplits(day_, [], [range("p", 0, 400)])).toEqual([]);
  });
});

describe("the streams of a scope", () => {
  const name = { cluster: "c", scope, exchange: "x0", groups: 2 };
  const streams = (generation: number) => exchangeStreams({ ...name, generation });

  test("are those of the latest generation that is whole", () => {
    const there = new Set([...streams(1), ...streams(2), ...streams(10).slice(0, 1)]);
    expect(latestGeneration(streams(1), there)).toEqual(streams(2));
    expect(latestGeneration(streams(1), new Set(streams(10)))).toEqual(streams(10));
    expect(latestGeneration(streams(1), new Set(streams(1).slice(0, 1)))).toBeUndefined();
    expect(latestGeneration([], there)).toBeUndefined();
  });

  test("count only when each of its exchanges is there", () => {
    const other = exchangeStreams({ ...name, exchange: "x1", generation: 1 });
    const planned = [
      { exchange: "x0", scope, streams: streams(1) },
      { exchange: "x1", scope, streams: other },
      { exchange: "x2", streams: ["of the run alone"] },
    ];
    const there = [...streams(1), ...streams(2)];
    expect(exchangesThere(planned, new Map(), new Set(there))).toEqual([]);
    const found = exchangesThere(planned, new Map(), new Set([...there, ...other]));
    expect(found.map((one) => one.streams)).toEqual([streams(2), other]);
  });
});
