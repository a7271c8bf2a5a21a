/** What holds of every verdict, whatever the rule, the files and the times. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  type DayVerdict,
  judgeReadiness,
  type SourceInQuestion,
} from "../../../coordinator/core/days/readiness.ts";
import { type SeenSource, seeSource } from "../../../coordinator/core/days/seen.ts";
import type { AnnouncedFile, SourceLook } from "../../../shared/kernel/days.ts";
import type { ReadyRule } from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { durationMs } from "../../../shared/kernel/time.ts";
import type { FileFingerprint } from "../../../shared/kernel/work.ts";

/** All times are multiples of it, so that ends are met exactly. */
const stepMs = 30_000;
const rank = { waiting: 0, gaps: 1, ready: 2 } as const;

const more = {
  completeness: fc.constantFrom(0, 0.07, 0.5, 0.9, 1),
  grace: fc.constantFrom("0s", "30m", "2h"),
};
const rule = fc.oneof(
  fc.constant(undefined),
  fc.record(
    {
      by: fc.constantFrom("manifest" as const, "marker" as const),
      value: fc.constant("c.json"),
      ...more,
    },
    { requiredKeys: ["by", "value"] },
  ),
  fc.record(
    { by: fc.constant("count" as const), value: fc.constantFrom("1", "3", "5"), ...more },
    { requiredKeys: ["by", "value"] },
  ),
  fc.record({ by: fc.constant("quiet" as const), value: fc.constantFrom("0s", "10m", "2h") }),
);

/** One of few files, so that several looks show the same; steps are of the same clock as everything here. */
const file = fc
  .record({ name: fc.nat(5), size: fc.nat(1), step: fc.constantFrom(0, 3, 500) })
  .map(({ name, size, step }): FileFingerprint => {
    const ns = `${step * stepMs}000000`;
    return { path: `f${name}`, size, mtimeNs: ns, ctimeNs: ns, inode: "1" };
  });
const inOrder = (files: readonly FileFingerprint[]) =>
  [...new Map(files.map((one) => [one.path, one])).values()].sort((a, b) =>
    a.path < b.path ? -1 : 1,
  );
const files = fc.array(file, { maxLength: 8 }).map(inOrder);
const announced = fc
  .array(fc.record({ name: fc.nat(5), bytes: fc.option(fc.nat(1), { nil: undefined }) }), {
    minLength: 1,
    maxLength: 5,
  })
  .map((entries): readonly AnnouncedFile[] =>
    [...new Map(entries.map((entry) => [entry.name, entry])).values()]
      .sort((a, b) => a.name - b.name)
      .map(({ name, bytes }) => ({ path: `f${name}`, ...(bytes === undefined ? {} : { bytes }) })),
  );

const look = (there: readonly FileFingerprint[], said: Partial<SourceLook> = {}): SourceLook => ({
  source: "ipdr",
  files: there,
  newestMs: 0,
  ...said,
});

/** A few looks in a row, the last one at `atMs`. */
const scene = fc.record({
  rule,
  said: fc.record({ announced, isMarked: fc.boolean() }, { requiredKeys: ["isMarked"] }),
  steps: fc.array(fc.record({ files, waits: fc.constantFrom(0, 1, 2, 60) }), {
    minLength: 1,
    maxLength: 4,
  }),
  startStep: fc.nat(200),
  laterSteps: fc.nat(300),
  isDelivered: fc.boolean(),
});
type Scene = typeof scene extends fc.Arbitrary<infer Value> ? Value : never;

function seenIn({ steps, said, rule: by }: Scene): SeenSource {
  let seen: SeenSource | undefined;
  let atMs = 0;
  const { announced: names, isMarked } = said;
  const more =
    by?.by === "manifest" ? (names === undefined ? {} : { announced: names }) : { isMarked };
  for (const step of steps) {
    atMs += step.waits * stepMs;
    seen = seeSource(seen, look(step.files, more), atMs);
  }
  if (seen === undefined) throw new Error("there is at least one step");
  return seen;
}

function judge(one: Scene, seen: SeenSource, nowMs: number): DayVerdict {
  const question: SourceInQuestion = {
    source: "ipdr",
    rule: one.rule as ReadyRule | undefined,
    seen,
    isDelivered: one.isDelivered,
  };
  const startMs = one.startStep * stepMs;
  return judgeReadiness({ sources: [question], startMs, nowMs });
}

const holds = (predicate: (one: Scene, seen: SeenSource, nowMs: number) => void) =>
  fc.assert(
    fc.property(scene, (one) => {
      const seen = seenIn(one);
      predicate(one, seen, seen.atMs + one.laterSteps * stepMs);
    }),
    { numRuns: 1_000 },
  );

test("the same looks at the same time give the same verdict", () => {
  holds((one, seen, nowMs) => {
    const verdict = judge(one, seen, nowMs);
    expect(judge(structuredClone(one), structuredClone(seen), nowMs)).toEqual(verdict);
  });
});

test("time alone never makes a day less ready", () => {
  holds((one, seen, nowMs) => {
    const before = judge(one, seen, seen.atMs);
    expect(rank[judge(one, seen, nowMs).state]).toBeGreaterThanOrEqual(rank[before.state]);
  });
});

test("nothing changes before the time that a verdict names", () => {
  holds((one, seen, nowMs) => {
    const before = judge(one, seen, seen.atMs);
    const untilMs = before.judgeAtMs ?? Infinity;
    expect(untilMs).toBeGreaterThan(seen.atMs);
    const between = judge(one, seen, Math.min(nowMs, untilMs - 1));
    expect(between.state).toBe(before.state);
    // Of a ready day nothing is mapped ahead any more.
    if (before.state === "ready") return;
    expect(between.sources[0]?.final).toEqual(before.sources[0]?.final);
  });
});

test("one more file that is left alone never makes a day less ready, except where quiet is the rule", () => {
  fc.assert(
    fc.property(scene, file, (one, added) => {
      fc.pre(one.rule?.by !== "quiet");
      const seen = seenIn(one);
      const nowMs = seen.atMs + one.laterSteps * stepMs;
      fc.pre(!seen.look.files.some(({ path }) => path === added.path));
      const settledNs = BigInt(nowMs - limits.fileSettledMs) * 1_000_000n;
      const oldNs = BigInt(added.mtimeNs) < settledNs ? added.mtimeNs : String(settledNs);
      const old = { ...added, mtimeNs: oldNs, ctimeNs: oldNs };
      const before = seen.before ?? { files: [], sinceMs: seen.atMs };
      const withIt: SeenSource = {
        ...seen,
        look: { ...seen.look, files: inOrder([...seen.look.files, old]) },
        before: {
          ...before,
          files: inOrder([...before.files.filter(({ path }) => path !== old.path), old]),
        },
      };
      const [was, is] = [judge(one, seen, nowMs), judge(one, withIt, nowMs)];
      expect(rank[is.state]).toBeGreaterThanOrEqual(rank[was.state]);
    }),
    { numRuns: 1_000 },
  );
});

test("with a control file: ready only when all is there, gaps only by share and grace", () => {
  holds((one, seen, nowMs) => {
    if (one.rule?.by !== "manifest") return;
    const { announced: names } = seen.look;
    const verdict = judge(one, seen, nowMs);
    if (names === undefined) return void expect(verdict.state).toBe("waiting");
    const sizes = new Map(seen.look.files.map(({ path, size }) => [path, size]));
    const isWhole = ({ path, bytes }: AnnouncedFile) =>
      sizes.has(path) && (bytes === undefined || sizes.get(path) === bytes);
    const whole = names.filter(isWhole).length;
    if (whole < names.length) expect(verdict.state).not.toBe("ready");
    if (verdict.state === "gaps") {
      const { completeness = 1, grace = "" } = one.rule;
      const graceMs = durationMs(grace) ?? Infinity;
      expect(whole).toBeGreaterThan(0);
      expect(whole / names.length).toBeGreaterThanOrEqual(completeness - 1e-6);
      expect(nowMs).toBeGreaterThanOrEqual(one.startStep * stepMs + graceMs);
    }
    const [source] = verdict.sources;
    expect(source?.missing.total).toBe(names.filter(({ path }) => !sizes.has(path)).length);
  });
});

test("no day is more than waiting without a file, and none has gaps by a marker, quiet or no rule", () => {
  holds((one, seen, nowMs) => {
    const { state } = judge(one, seen, nowMs);
    if (seen.look.files.length === 0) expect(state).toBe("waiting");
    if (one.rule?.by !== "manifest" && one.rule?.by !== "count") expect(state).not.toBe("gaps");
  });
});

test("final files are there, as announced or left alone", () => {
  holds((one, seen, nowMs) => {
    const sizes = new Map((seen.look.announced ?? []).map(({ path, bytes }) => [path, bytes]));
    const was = new Map(seen.before?.files.map((former) => [former.path, former]));
    for (const final of judge(one, seen, nowMs).sources[0]?.final ?? []) {
      expect(seen.look.files).toContain(final);
      const bytes = sizes.get(final.path);
      if (bytes !== undefined) expect(final.size).toBe(bytes);
      else if (!one.isDelivered) expect(was.get(final.path)).toEqual(final);
    }
  });
});
