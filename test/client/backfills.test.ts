// Backfills from the client over a real gRPC server to a coordinator's core and back, and as people read them.
import { expect, test } from "vitest";
import { backfillLines, backfillTable } from "../../client/backfill-view.ts";
import type { BackfillRequested, DaymillClient } from "../../client/client.ts";
import { daysHandlers } from "../../coordinator/shell/grpc-days.ts";
import { fromUnknown } from "../../shared/kernel/failure.ts";
import { Bench } from "../core/bench.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";
import { sampleJob } from "../sim/sample-job.ts";
import { serveBench } from "./bench-server.ts";

const cleanups = cleanupsOfEachTest();

/** A leader at noon of 20 January that knows a job with a revision of the 11th, behind a server. */
async function serve(): Promise<{ readonly bench: Bench; readonly client: DaymillClient }> {
  const bench = new Bench();
  bench.wallFrom = Date.parse("2026-01-20T12:00:00Z");
  bench.lead();
  bench.attach(1, { slots: 8 });
  bench.submit(sampleJob(), { day: "2026-01-11" });
  bench.work();
  const client = await serveBench(bench, daysHandlers, cleanups);
  return { bench, client };
}

const wish: BackfillRequested = {
  job: "usage",
  from: "2026-01-10",
  to: "2026-01-12",
  redo: "missing",
  order: "newest",
  concurrency: 1,
  by: "ann",
  reason: "new cells",
  dryRun: false,
};

test("a dry run is printed day by day", async () => {
  const { client } = await serve();
  expect(backfillLines(await client.startBackfill({ ...wish, dryRun: true }))).toEqual([
    "what a backfill of usage would do: missing days, newest first, 1 at a time",
    "2 to do, 0 running, 0 done, 0 failed, 1 skipped",
    "",
    "2026-01-12 would be made: it has no revision",
    "2026-01-11 skipped: revision 1 is there",
    "2026-01-10 would be made: it has no revision",
    "",
    "the input of a day is looked at when its turn comes; nothing was changed",
  ]);
  expect(await client.backfills()).toEqual([]);
  expect(backfillTable([])).toEqual(["there is no backfill"]);
});

test("one that is started is listed, and can be paused, cancelled, and not resumed any more", async () => {
  const { bench, client } = await serve();
  const started = await client.startBackfill(wish);
  const { dryRun: _, ...asked } = wish;
  expect(started).toMatchObject({
    ...asked,
    id: "usage.b1",
    state: "running",
    toDo: 2,
    skipped: 1,
  });
  bench.pass(3_000, [1]);
  const paused = await client.markBackfill("usage.b1", "pause", "maintenance");
  expect(backfillLines(paused)).toEqual([
    "usage.b1 is paused (maintenance): missing days, newest first, 1 at a time",
    "2026-01-20 12:00 UTC by ann: new cells",
    "1 to do, 1 running, 0 done, 0 failed, 1 skipped",
    "",
    "2026-01-12 running: usage.2026-01-12.r1: running",
    "2026-01-11 skipped: revision 1 is there",
    "2026-01-10 to do",
  ]);
  expect(await client.backfills("usage")).toEqual([paused]);
  const cancelled = await client.markBackfill("usage.b1", "cancel");
  expect(backfillTable([cancelled]).at(-1)).toMatch(
    /^usage\.b1 +2026-01-10 to 2026-01-12 +missing +cancelled +1 +1 +0 +0 +1 +2026-01-20 12:00 UTC by ann: new cells$/,
  );
  const refused = await client.markBackfill("usage.b1", "resume").catch(fromUnknown);
  expect(refused).toMatchObject({ code: "conflict" });
});

test.each([
  [{ redo: "some" }, 'redo "some" is none of missing, failed, all'],
  [{ order: "random" }, 'order "random" is none of oldest, newest'],
  [{ to: "2026-01-09" }, "the last day 2026-01-09 is before the first one 2026-01-10"],
])("what makes no sense is refused over the wire: %j", async (changes, message) => {
  const { client } = await serve();
  const why = await client.startBackfill({ ...wish, ...changes }).catch(fromUnknown);
  expect(why).toMatchObject({ code: "badRequest", message });
});
