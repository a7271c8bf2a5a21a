/** When a day's input is all there: what each rule says as files come in, in the words that people read. */
import { describe, expect, test } from "vitest";
import { judgeReadiness } from "../../../coordinator/core/days/readiness.ts";
import { failure } from "../../../shared/kernel/failure.ts";
import type { ReadyRule } from "../../../shared/kernel/job.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { announced, clock, look, Watch } from "./watch.ts";

const manifest: ReadyRule = { by: "manifest", value: "control.json" };
const patient: ReadyRule = { ...manifest, completeness: 0.75, grace: "2h" };

describe("a control file", () => {
  test("names what is missing until all of it is there with the announced size", () => {
    const watch = new Watch(manifest);
    const control = { announced: announced("a:10 b:20 c:30 d:40") };
    expect([
      watch.look("00:10", ""),
      watch.look("00:20", "a:10"),
      watch.look("00:30", "a:10 c:12", control),
      watch.look("00:40", "a:10 b:20 c:30 x:5", control),
      watch.look("00:50", "a:10 b:20 c:30 d:40 x:5", control),
    ]).toEqual([
      "00:10 waiting | ipdr: there is no control file control.json yet, so nobody knows how many files there should be; 0 files so far",
      "00:20 waiting | ipdr: there is no control file control.json yet, so nobody knows how many files there should be; 1 file so far",
      "00:30 waiting | ipdr: 1 of 4 announced files; 2 missing, first b; 1 still growing or damaged, first c; waits for the rest",
      "00:40 waiting | ipdr: 3 of 4 announced files; 1 missing, first d; 1 more that were not announced, also read; waits for the rest",
      "00:50 ready | ipdr: 4 of 4 announced files; 1 more that were not announced, also read",
    ]);
    expect(watch.source("00:50")).toMatchObject({ expected: 4, present: 4, extra: 1 });
  });

  test("that is damaged is a problem with its own words; the next look may be better", () => {
    const watch = new Watch(manifest);
    const problem = failure("inputMalformed", "control file c.json: it ends in the middle");
    const whole = { announced: announced("a:10") };
    expect([watch.look("00:10", "a:10", { problem }), watch.final("00:10")]).toEqual([
      "00:10 waiting | ipdr: control file c.json: it ends in the middle",
      "",
    ]);
    expect(watch.source("00:10").problem).toEqual(problem);
    expect(watch.look("00:11", "a:10", whole)).toBe("00:11 ready | ipdr: 1 of 1 announced files");
  });

  test("with a share and a grace time: enough is enough once the time is over, not before", () => {
    const watch = new Watch(patient);
    const control = { announced: announced("a:10 b:20 c:30 d:40") };
    expect([
      watch.look("01:00", "a:10 b:20", control),
      watch.look("02:00", "a:10 b:20 c:30", control),
      watch.judge("02:59"),
      watch.judge("03:00"),
      watch.look("04:00", "a:10 b:20 c:30 d:40", control),
    ]).toEqual([
      "01:00 waiting | ipdr: 2 of 4 announced files; 2 missing, first c; waits for the rest until 2026-01-16 03:00 UTC, then 3 (75 %) would be enough",
      "02:00 waiting | ipdr: 3 of 4 announced files; 1 missing, first d; waits for the rest until 2026-01-16 03:00 UTC, then 3 (75 %) would be enough",
      "02:59 waiting | ipdr: 3 of 4 announced files; 1 missing, first d; waits for the rest until 2026-01-16 03:00 UTC, then 3 (75 %) would be enough",
      "03:00 gaps | ipdr: 3 of 4 announced files; 1 missing, first d; goes on without the rest: 75 % is enough since 2026-01-16 03:00 UTC",
      "04:00 ready | ipdr: 4 of 4 announced files",
    ]);
  });

  test("below the share it waits on after the grace time", () => {
    const watch = new Watch(patient);
    const line = watch.look("05:00", "a:10 b:20", { announced: announced("a:10 b:20 c:30 d:40") });
    expect(line).toBe(
      "05:00 waiting | ipdr: 2 of 4 announced files; 2 missing, first c; waits for at least 3 (75 %)",
    );
    expect(watch.source("05:00")).not.toHaveProperty("judgeAtMs");
  });

  test("a share of nothing is not enough: a run has to have something to read", () => {
    const watch = new Watch({ ...manifest, completeness: 0, grace: "1h" });
    const control = { announced: announced("a:10 b:20") };
    expect(watch.look("05:00", "", control)).toMatch(/^05:00 waiting .* waits for at least 1 /);
    expect(watch.look("05:01", "b:20", control)).toMatch(/^05:01 gaps /);
  });

  test("a share without a grace time, or the other way round, waits for all", () => {
    for (const rule of [
      { ...manifest, completeness: 0.5 },
      { ...manifest, grace: "1h" },
    ]) {
      const line = new Watch(rule).look("23:00", "a:1", { announced: announced("a:1 b:1") });
      expect(line).toMatch(/^23:00 waiting .*waits for the rest$/);
    }
  });

  test("what is still being written is not read for the sake of the rest", () => {
    const watch = new Watch(patient);
    const control = { announced: announced("a:10 b:20 c:30 d:40") };
    expect([
      watch.look("03:00:00", "a:10 b:20 c:30 d:15@02:59:50", control),
      watch.look("03:00:10", "a:10 b:20 c:30 d:18@03:00:05", control),
      watch.look("03:00:20", "a:10 b:20 c:30 d:18@03:00:05", control),
      watch.look("03:00:35", "a:10 b:20 c:30 d:18@03:00:05", control),
    ]).toEqual([
      expect.stringMatching(/waiting .*; enough is there, but d may still be written to$/),
      expect.stringMatching(/waiting /),
      expect.stringMatching(/waiting /),
      expect.stringMatching(/gaps .*; 1 still growing or damaged, first d; goes on without/),
    ]);
    expect(watch.source("03:00:35")).toMatchObject({ lacking: 1, missing: { total: 0 } });
  });

  test("that announces no sizes waits until the files are left alone", () => {
    const watch = new Watch(manifest);
    const control = { announced: announced("a b") };
    expect([
      watch.look("00:50:00", "a:10@00:40 b:20@00:49:50", control),
      watch.look("00:50:10", "a:10@00:40 b:20@00:49:50", control),
      watch.judge("00:50:20"),
    ]).toEqual([
      "00:50:00 waiting | ipdr: 0 of 2 announced files; 2 still growing or damaged, first a; waits for the rest",
      "00:50:10 waiting | ipdr: 1 of 2 announced files; 1 still growing or damaged, first b; waits for the rest",
      "00:50:20 ready | ipdr: 2 of 2 announced files",
    ]);
  });

  test("missing files are named up to a limit, and counted", () => {
    const names = Array.from({ length: 250 }, (_, index) => `f${String(index).padStart(3, "0")}:1`);
    const watch = new Watch(manifest);
    watch.look("01:00", "f000:1", { announced: announced(names.join(" ")) });
    const { missing } = watch.source("01:00");
    expect(missing.total).toBe(249);
    expect(missing.paths).toHaveLength(limits.missingFilesNamedMax);
    expect(missing.paths[0]).toBe("f001");
  });
});

describe("a marker", () => {
  const marker: ReadyRule = { by: "marker", value: "_SUCCESS" };
  test("says that all is there; by itself it is not enough", () => {
    const watch = new Watch(marker);
    expect([
      watch.look("00:10", "a:1", { isMarked: false }),
      watch.look("00:20", "", { isMarked: true }),
      watch.look("00:30", "a:1 b:1", { isMarked: true }),
    ]).toEqual([
      "00:10 waiting | ipdr: there is no marker _SUCCESS yet; 1 file so far",
      "00:20 waiting | ipdr: the marker _SUCCESS is there, but no file; deliver it or correct the source's path",
      "00:30 ready | ipdr: the marker _SUCCESS is there, 2 files",
    ]);
  });
});

describe("a number of files", () => {
  const count: ReadyRule = { by: "count", value: "3" };
  test("is reached when as many are there and nobody writes to any of them", () => {
    const watch = new Watch(count);
    expect([
      watch.look("00:10:00", "a:1 b:1"),
      watch.look("00:11:00", "a:1 b:1"),
      watch.look("00:12:00", "a:1 b:1 c:1@00:11:55"),
      watch.look("00:12:10", "a:1 b:1 c:1@00:11:55"),
      watch.judge("00:12:25"),
    ]).toEqual([
      "00:10:00 waiting | ipdr: 2 of at least 3 files; 2 not seen unchanged for 30 s, first a",
      "00:11:00 waiting | ipdr: 2 of at least 3 files; waits for the rest",
      "00:12:00 waiting | ipdr: 3 of at least 3 files; 1 not seen unchanged for 30 s, first c",
      "00:12:10 waiting | ipdr: 3 of at least 3 files; 1 not seen unchanged for 30 s, first c",
      "00:12:25 ready | ipdr: 3 of at least 3 files",
    ]);
  });

  test("has gaps when a share of it is there after the grace time", () => {
    const watch = new Watch({ ...count, completeness: 0.6, grace: "30m" });
    watch.look("00:10", "a:1 b:1");
    expect([watch.look("01:00", "a:1 b:1"), watch.judge("01:30")]).toEqual([
      "01:00 waiting | ipdr: 2 of at least 3 files; waits for the rest until 2026-01-16 01:30 UTC, then 2 (60 %) would be enough",
      "01:30 gaps | ipdr: 2 of at least 3 files; goes on without the rest: 60 % is enough since 2026-01-16 01:30 UTC",
    ]);
    expect(watch.source("01:00").judgeAtMs).toBe(clock("01:30"));
    // Nobody knows its name, but a file is missing.
    expect(watch.source("01:30")).toMatchObject({ expected: 3, lacking: 1, missing: { total: 0 } });
  });
});

describe("a quiet time", () => {
  const quiet: ReadyRule = { by: "quiet", value: "30m" };
  test("runs from the last file that came, and never ends before the start", () => {
    const watch = new Watch(quiet);
    expect([
      watch.look("00:10", ""),
      watch.look("00:20", "a:1@00:15"),
      watch.look("00:50", "a:1@00:15 b:1@00:49"),
      watch.look("01:10", "a:1@00:15 b:1@00:49"),
      watch.judge("01:20"),
    ]).toEqual([
      "00:10 waiting | ipdr: no file yet",
      "00:20 waiting | ipdr: 1 file, unchanged since 2026-01-16 00:20 UTC; waits until 2026-01-16 01:00 UTC: the start of the day's run",
      "00:50 waiting | ipdr: 2 files, unchanged since 2026-01-16 00:50 UTC; waits until 2026-01-16 01:20 UTC: 30m without a change",
      "01:10 waiting | ipdr: 2 files, unchanged since 2026-01-16 00:50 UTC; waits until 2026-01-16 01:20 UTC: 30m without a change",
      "01:20 ready | ipdr: 2 files, unchanged since 2026-01-16 00:50 UTC",
    ]);
  });

  test("begins again when a file changes or goes, whatever times the files have", () => {
    const watch = new Watch(quiet);
    watch.look("02:00", "a:1@00:01 b:1@00:01");
    expect(watch.judge("02:00")).toMatch(/ready/);
    expect(watch.look("02:10", "a:1@00:01")).toMatch(/waits until 2026-01-16 02:40 UTC/);
    expect(watch.look("02:20", "a:2@00:01")).toMatch(/waits until 2026-01-16 02:50 UTC/);
  });

  test("goes by when a copy was made, not by the time that it kept from its original", () => {
    expect(new Watch(quiet).look("02:00", "a:1@00:01/01:50")).toMatch(/waits until .* 02:20 UTC/);
  });

  test("of an old day that nobody watched is over at the first look; a time to come is not believed", () => {
    expect(new Watch(quiet).look("09:00", "a:1@00:15")).toMatch(/^09:00 ready/);
    const watch = new Watch(quiet);
    expect(watch.look("09:00", "a:1@23:00")).toMatch(/waits until 2026-01-16 09:30 UTC/);
    expect(watch.look("09:30", "a:1@23:00")).toMatch(/^09:30 ready/);
  });
});

test("without a rule a day is ready at its start if there is any file", () => {
  const watch = new Watch();
  expect([
    watch.look("00:30", "a:1"),
    watch.judge("01:00"),
    watch.look("01:10", ""),
    watch.look("01:20", "a:1"),
  ]).toEqual([
    "00:30 waiting | ipdr: 1 file so far; no rule says when all are there, so what is there at 2026-01-16 01:00 UTC counts",
    "01:00 ready | ipdr: 1 file at the start of the day's run; no rule asks for more",
    "01:10 waiting | ipdr: no file yet",
    "01:20 ready | ipdr: 1 file at the start of the day's run; no rule asks for more",
  ]);
});

describe("a source that was declared delivered", () => {
  test.each([
    ["marker", "_SUCCESS"],
    ["count", "96"],
    ["quiet", "30m"],
  ] as const)("needs no %s, but a file", (by, value) => {
    const watch = new Watch({ by, value });
    watch.isDelivered = true;
    expect(watch.look("00:10", "")).toBe(
      "00:10 waiting | ipdr: declared delivered, but there is no file; deliver it or correct the source's path",
    );
    expect(watch.look("00:20", "a:1@00:20")).toBe("00:20 ready | ipdr: declared delivered, 1 file");
    expect(watch.final("00:20")).toBe("a");
  });

  test("is still compared with its control file", () => {
    const watch = new Watch(manifest);
    watch.isDelivered = true;
    const control = { announced: announced("a b") };
    expect([
      watch.look("00:10", "a:1"),
      watch.look("00:20", "a:1@00:20", control),
      watch.look("00:30", "a:1@00:20 b:1@00:30", control),
    ]).toEqual([
      "00:10 waiting | ipdr: declared delivered, but there is no control file control.json yet, so nobody knows how many files there should be; 1 file so far",
      "00:20 waiting | ipdr: 1 of 2 announced files; 1 missing, first b; waits for the rest",
      "00:30 ready | ipdr: 2 of 2 announced files",
    ]);
  });
});

describe("files that are final can be mapped before the day is ready", () => {
  test("with a control file: those of the announced size at once, others when they are left alone", () => {
    const watch = new Watch(manifest);
    const control = { announced: announced("a:10 b:20 c:30") };
    watch.look("00:10:00", "a:10@00:09:59 b:7@00:01 x:5@00:01", control);
    expect(watch.final("00:10:00")).toBe("a");
    watch.look("00:10:30", "a:10@00:09:59 b:7@00:01 x:5@00:01", control);
    // b is not what was announced, however long it has been so.
    expect(watch.final("00:10:30")).toBe("a x");
  });

  test("but not what is dropped because another file of this checksum is there", () => {
    const watch = new Watch(manifest);
    const sha256 = "ab".repeat(32);
    const control = announced("a:10 b:10 c:30 d:10").map((file) => ({ ...file, sha256 }));
    watch.look("00:10", "a:10 b:10 c:30", { announced: control });
    expect(watch.final("00:10")).toBe("a");
  });

  test("without one: those that two looks showed alike and nobody wrote to for some time", () => {
    const watch = new Watch({ by: "marker", value: "_SUCCESS" });
    watch.look("00:10:00", "a:1@00:01 b:1@00:09:55");
    expect(watch.final("00:10:00")).toBe("");
    watch.look("00:10:10", "a:1@00:01 b:1@00:09:55 c:1@00:01");
    expect(watch.final("00:10:10")).toBe("a");
    expect(watch.source("00:10:10").judgeAtMs).toBe(clock("00:10:25"));
    expect(watch.final("00:10:25")).toBe("a b");
  });

  test("a file whose clock runs ahead is final when it was looked at for long enough", () => {
    const watch = new Watch({ by: "marker", value: "_SUCCESS" });
    watch.look("00:10:00", "a:1@23:00");
    watch.look("00:10:10", "a:1@23:00");
    watch.look("00:10:20", "a:1@23:00");
    expect(watch.final("00:10:29")).toBe("");
    expect(watch.final("00:10:30")).toBe("a");
  });

  test("a look that failed neither loses files nor makes them new", () => {
    const watch = new Watch({ by: "quiet", value: "30m" });
    watch.look("02:00", "a:1@00:01");
    watch.look("02:01", "", { problem: failure("storageDenied", "folder raw: permission denied") });
    expect(watch.judge("02:01")).toBe("02:01 waiting | ipdr: folder raw: permission denied");
    expect(watch.look("02:02", "a:1@00:01")).toMatch(/^02:02 ready/);
    expect(watch.final("02:02")).toBe("a");
  });
});

test("a rule that can't be understood is a problem, not a crash", () => {
  const watch = new Watch({ by: "count", value: "many" });
  expect(watch.look("01:00", "a:1")).toBe(
    '01:00 waiting | ipdr: the rule count says "many": give a whole number of files, 1 or more',
  );
  expect(watch.source("01:00").problem?.code).toBe("jobInvalid");
});

describe("a day", () => {
  const seen = (there: string) => {
    const watch = new Watch();
    watch.look("00:10", there);
    return watch.seen;
  };
  const source = (name: string, rule: ReadyRule | undefined, there: string) => ({
    source: name,
    rule,
    seen: seen(there),
    isDelivered: false,
  });

  test("is as ready as its least ready source, and says why", () => {
    const sources = [
      source("ipdr", undefined, "a:1"),
      source("dns", { by: "marker", value: "_OK" }, "a:1"),
      source("radius", { by: "quiet", value: "2h" }, "r:1@00:05"),
    ];
    const verdict = judgeReadiness({ sources, startMs: clock("01:00"), nowMs: clock("01:30") });
    expect(verdict.state).toBe("waiting");
    expect(verdict.reason).toBe(
      "dns: there is no marker _OK yet; 1 file so far. " +
        "radius: 1 file, unchanged since 2026-01-16 00:05 UTC; waits until 2026-01-16 02:05 UTC: 2h without a change",
    );
    expect(verdict.judgeAtMs).toBe(clock("02:05"));
  });

  test("with one source that has gaps has gaps", () => {
    const sources = [
      source("ipdr", undefined, "a:1"),
      {
        ...source("dns", patient, ""),
        seen: {
          look: look("a:1", { announced: announced("a:1 b:1"), source: "dns" }),
          atMs: clock("03:00"),
          sinceMs: clock("03:00"),
          hasChanged: false,
        },
        rule: { ...patient, completeness: 0.5 },
      },
    ];
    const verdict = judgeReadiness({ sources, startMs: clock("01:00"), nowMs: clock("03:00") });
    expect(verdict.state).toBe("gaps");
    expect(verdict.reason).toMatch(/^dns: 1 of 2 announced files; 1 missing, first b; goes on/);
  });

  test("that nobody has looked at waits", () => {
    const sources = [{ source: "ipdr", rule: undefined, seen: undefined, isDelivered: true }];
    const verdict = judgeReadiness({ sources, startMs: 0, nowMs: clock("01:00") });
    expect(verdict).toMatchObject({ state: "waiting", reason: "ipdr: not looked at yet" });
  });
});
