// What goes by retention and late files, from the client over a real gRPC server to a coordinator's core and back.
import { describe, expect, test } from "vitest";
import { gcLines, lateLines } from "../../client/gc-view.ts";
import type { Answer, Ask } from "../../coordinator/core/protocol.ts";
import type { Calls } from "../../coordinator/shell/calls.ts";
import { daysHandlers } from "../../coordinator/shell/grpc-days.ts";
import { upkeepHandlers } from "../../coordinator/shell/grpc-upkeep.ts";
import { fromUnknown } from "../../shared/kernel/failure.ts";
import { Bench } from "../core/bench.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";
import { sampleFiles, sampleJob } from "../sim/sample-job.ts";
import { serveBench } from "./bench-server.ts";

const cleanups = cleanupsOfEachTest();

const noon = Date.parse("2026-01-20T12:00:00Z");
const weekMs = 7 * 86_400_000;

/** A leader at noon of 20 January that knows a scheduled job, behind a server. */
async function serve() {
  const bench = new Bench();
  const dropped: string[] = [];
  const manifest = { state: "aborted", arrangedBy: 1, wallMs: noon - weekMs, late: [] } as const;
  bench.override = (ask: Ask): Answer | undefined => {
    if (ask.kind === "dropRevision") dropped.push(`${ask.run.job} r${ask.run.revision}`);
    if (ask.kind !== "listRevisions") return undefined;
    const jobs = ["other", "usage"].filter((job) => job >= (ask.from?.job ?? ""));
    const folder = { revision: 4, arrangedBy: 1, datasets: ["totals"], bytes: [2_048], manifest };
    const days = jobs.map((job) => ({ job, day: "2026-01-03", folders: [folder] }));
    return { kind: "revisions", days };
  };
  bench.wallFrom = noon;
  bench.lead();
  bench.attach(1, { slots: 8 });
  bench.register(sampleJob({ schedule: "0 1 * * *", backlogDays: 1 }));
  const work = () => {
    bench.pass(30_000, [1]);
    bench.work();
  };
  work();
  dropped.length = 0;
  bench.effects = [];
  const handlers = (calls: Calls) => ({ ...daysHandlers(calls), ...upkeepHandlers(calls) });
  const client = await serveBench(bench, handlers, cleanups);
  return { bench, client, dropped, work };
}

describe("gc", () => {
  test("comes in parts, one job each, with what belongs to no job in the first", async () => {
    const { client, dropped } = await serve();
    const first = await client.gc("", true);
    expect([first.dryRun, first.next]).toEqual([true, "usage"]);
    expect(first.items[0]).toEqual({
      kind: "unused",
      job: "other",
      day: "2026-01-03",
      name: "r4-e1 totals",
      ageMs: expect.any(Number),
      bytes: 2_048,
      goes: true,
      why: "no manifest names it",
    });
    const second = await client.gc(first.next, true);
    expect(second.next).toBe("");
    expect(second.items.map(({ job, kind }) => `${job} ${kind}`)).toEqual(["usage unused"]);
    expect(dropped).toEqual([]);
    await client.gc("usage", false);
    expect(dropped).toEqual(["usage r4"]);
    const parts = [first, second];
    const all = gcLines(parts, { isDryRun: true, all: true }).join("\n");
    expect(all).toMatch(
      /^goes {3}unused +other 2026-01-03 +r4-e1 totals +7 d +2\.00 KiB {2}no manifest names it$/m,
    );
    expect(all).toMatch(/^stays {2}exchange +usage 2026-01-20 .* a run of the day is under way$/m);
    expect(all).toMatch(/^stays {2}journal +- /m);
    expect(all.split("\n").slice(-2)).toEqual([
      expect.stringMatching(/^goes: 2, 4\.00 KiB; stays: 2, \d+\.\d KiB$/),
      "dry run: nothing is removed",
    ]);
  });

  test("shows some of what stays, and says how much more there is", () => {
    const item = { kind: "revision", job: "usage", day: "2026-01-03", name: "r1", ageMs: -1 };
    const stays = Array.from({ length: 42 }, () => ({ ...item, bytes: 1, goes: false, why: "so" }));
    const totals = { goes: 0, goesBytes: 0, stays: 50, staysBytes: 50 };
    const part = { stamp: null, dryRun: false, items: stays, totals, next: "" };
    const shown = gcLines([part], { isDryRun: false, all: false });
    expect(shown.filter((line) => line.startsWith("stays"))).toHaveLength(40);
    expect(shown.slice(-4)).toEqual([
      "2 more that stay are shown with --all",
      "8 more are counted only",
      "goes: 0, 0 B; stays: 50, 50 B",
      "what goes is being removed",
    ]);
    expect(gcLines([part], { isDryRun: false, all: true }).slice(-3)[0]).toContain("8 more");
  });
});

describe("late", () => {
  test("files are listed with what became of them, and counted in the backlog", async () => {
    const { bench, client, work } = await serve();
    const since = "2026-01-20 12:00";
    expect(lateLines(await client.late("usage"))[0]).toContain(
      `no file came for days before the window since ${since}`,
    );
    const path = "raw/day=2026-01-10/part-9.csv";
    const ns = `${bench.wallFrom + bench.at}000000`;
    const file = { path, size: 4_096, mtimeNs: ns, ctimeNs: ns, inode: "9" };
    bench.memory.lookedAt.set("ipdr|2026-01-10", [...sampleFiles(4), file]);
    await client.delivered("usage", "2026-01-10");
    work();
    const late = await client.late("usage");
    const seenMs = expect.any(Number);
    const about = { day: "2026-01-10", source: "ipdr", path, bytes: 4_096, revision: 0, readBy: 0 };
    expect(late).toMatchObject({ job: "usage", total: 1, files: [{ ...about, seenMs }] });
    const lines = lateLines(late);
    expect(lines[0]).toContain(`1 file came for days before the window since ${since}`);
    expect(lines.at(-1)).toBe(
      "to read them: daymill backfill usage --from 2026-01-10 --to 2026-01-10 --redo all",
    );
    expect(lines.join("\n")).toMatch(
      /2026-01-10 {2}ipdr +raw\/day=2026-01-10\/part-9\.csv +4\.00 KiB .* - +not read/,
    );
    expect((await client.backlog("usage")).late).toBe(1);
    const unknown = await client.late("usag").catch((error: unknown) => fromUnknown(error));
    expect(unknown).toMatchObject({ code: "unknownJob" });
  });
});
