/** A dataset's day belongs to one job: a second one is refused when it is submitted. */
import { describe, expect, test } from "vitest";
import type { Reply } from "../../coordinator/core/protocol.ts";
import { sampleJob } from "../sim/sample-job.ts";
import { Bench, day } from "./bench.ts";

function leader(): Bench {
  const bench = new Bench().lead();
  bench.attach(1);
  return bench;
}

function other(bench: Bench, on = day): Reply | undefined {
  return bench.replyTo(bench.submit(sampleJob({ name: "copy" }), { day: on }));
}

function conflict(naming: string) {
  return {
    kind: "failed",
    failure: { code: "conflict", message: expect.stringContaining(`job ${naming}`) },
  };
}

describe("another job that writes the same dataset", () => {
  test("is refused while the first one's day is live, before anything of it is saved", () => {
    const bench = leader();
    bench.submit();
    expect(other(bench)).toMatchObject(conflict("usage"));
    expect([...bench.memory.jobs.keys()]).toEqual(["usage"]);
    expect(bench.state.submissions.size).toBe(0);
  });

  test("is refused when the day is committed, also by a leader that only knows the storage", () => {
    const bench = leader();
    bench.submit();
    bench.work();
    expect(other(bench)).toMatchObject(conflict("usage"));
    bench.memory.loseJournal();
    const next = new Bench(bench.memory, "c2");
    next.at = bench.at;
    next.lead();
    expect(other(next)).toMatchObject(conflict("usage"));
  });

  test("may have another day", () => {
    const bench = leader();
    bench.submit();
    expect(other(bench, "2026-01-16")).toMatchObject({ kind: "submitted", created: true });
  });

  test("may have the day when the first one's run has failed", () => {
    const bench = leader();
    bench.submit();
    bench.cancel(`usage.${day}.r1`);
    expect(other(bench)).toMatchObject({ kind: "submitted", created: true });
  });

  test("loses the race when both are being checked at the same time", () => {
    const bench = leader();
    bench.hold = (ask) => ask.kind === "saveJob";
    const first = bench.submit();
    const second = bench.submit(sampleJob({ name: "copy" }));
    expect(bench.heldAsks).toHaveLength(2);
    bench.hold = () => false;
    bench.release();
    expect(bench.replyTo(first)).toMatchObject({ kind: "submitted", created: true });
    expect(bench.replyTo(second)).toMatchObject(conflict("usage"));
  });
});
