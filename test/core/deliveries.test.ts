/** Deliveries: consumers acknowledge a dataset's day; who has not is seen, and a restatement is no first delivery. */
import { describe, expect, test } from "vitest";
import { emptyDurable } from "../../coordinator/core/durable.ts";
import { fold } from "../../coordinator/core/fold.ts";
import { decodeSnapshot, encodeSnapshot } from "../../coordinator/core/snapshot.ts";
import type { AcknowledgeWish, DeliveryStatus } from "../../shared/kernel/delivery.ts";
import { failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { sampleJob } from "../sim/sample-job.ts";
import { Bench, day } from "./bench.ts";

const consumed = sampleJob({
  consumers: [
    { name: "bi", datasets: ["totals"] },
    { name: "operations", datasets: ["totals"] },
  ],
});

const wish: AcknowledgeWish = {
  job: "",
  consumer: "bi",
  dataset: "totals",
  day,
  revision: 1,
  by: "loader",
};

/** A leader whose job has one committed day. */
function delivered(memory?: Bench["memory"]): Bench {
  const bench = new Bench(memory).lead();
  bench.attach(1);
  bench.submit(consumed);
  bench.work();
  return bench;
}

function again(bench: Bench): void {
  bench.submit(consumed, { rerun: true });
  bench.work();
}

function ack(bench: Bench, changes: Partial<AcknowledgeWish> = {}) {
  return bench.say({ kind: "acknowledge", wish: { ...wish, ...changes } });
}

function all(bench: Bench, job = "usage", days = 0): readonly DeliveryStatus[] {
  const reply = bench.ask({ kind: "deliveries", job, days });
  if (reply?.kind !== "deliveries") throw new Error(JSON.stringify(reply));
  return reply.deliveries;
}

/** `consumer rN: kind, state`, and what it replaces. */
function lines(bench: Bench): string[] {
  return all(bench).map(({ consumer, revision, kind, state, replaces }) => {
    const old = replaces === 0 ? "" : `, replaces r${replaces}`;
    return `${consumer} r${revision}: ${kind}, ${state}${old}`;
  });
}

/** The next leader of the same cluster. */
function nextLeader(bench: Bench): Bench {
  const next = new Bench(bench.memory, "c2");
  next.wallFrom = bench.wallFrom + bench.at;
  next.lead();
  next.attach(1);
  return next;
}

function refusal(bench: Bench, changes: Partial<AcknowledgeWish>): string {
  const reply = ack(bench, changes);
  if (reply?.kind !== "failed") throw new Error(`not refused: ${JSON.stringify(reply)}`);
  return `${reply.failure.code}: ${reply.failure.message}`;
}

describe("a delivery", () => {
  test("is outstanding until its consumer acknowledges it, and an event tells that", () => {
    const bench = delivered();
    bench.pass(60_000, [1]);
    expect(lines(bench)).toEqual([
      "bi r1: first delivery, outstanding",
      "operations r1: first delivery, outstanding",
    ]);
    expect(all(bench)[0]?.openMs).toBe(60_000);
    bench.effects = [];
    expect(ack(bench)).toMatchObject({
      kind: "deliveries",
      deliveries: [{ consumer: "bi", state: "acknowledged", by: "loader", openMs: 60_000 }],
    });
    expect(lines(bench)).toEqual([
      "bi r1: first delivery, acknowledged",
      "operations r1: first delivery, outstanding",
    ]);
    expect(bench.effects).toContainEqual(
      expect.objectContaining({
        kind: "publishEvent",
        job: "usage",
        day,
        event: "delivery.acknowledged",
        data: { consumer: "bi", dataset: "totals", revision: 1 },
      }),
    );
  });

  test("of a day that was made again is a restatement of what was acknowledged", () => {
    const bench = delivered();
    ack(bench);
    const first = all(bench)[0]?.acknowledgedMs;
    bench.pass(5_000, [1]);
    again(bench);
    expect(all(bench)[0]).toMatchObject({
      revision: 2,
      kind: "restatement",
      state: "outstanding",
      replaces: 1,
      replacedMs: first,
      acknowledgedMs: 0,
    });
    expect(lines(bench)[1]).toBe("operations r2: first delivery, outstanding");
    ack(bench, { revision: 2 });
    expect(lines(bench)[0]).toBe("bi r2: restatement, acknowledged, replaces r1");
  });

  test("said twice is the same, and an earlier revision takes nothing back", () => {
    const bench = delivered();
    ack(bench);
    const { acknowledgedMs = 0 } = all(bench)[0] ?? {};
    bench.pass(5_000, [1]);
    bench.effects = [];
    expect(ack(bench, { by: "again" })).toMatchObject({
      deliveries: [{ acknowledgedMs, by: "loader" }],
    });
    expect(bench.events()).toEqual([]);
    again(bench);
    // Its reader was slow: it has what readers saw before.
    ack(bench, { consumer: "operations", revision: 1 });
    expect(lines(bench)[1]).toBe("operations r2: restatement, outstanding, replaces r1");
    ack(bench, { revision: 2 });
    ack(bench, { revision: 1 });
    expect(lines(bench)[0]).toBe("bi r2: restatement, acknowledged, replaces r1");
  });

  test("is on storage before that is confirmed, and whoever waits waits for it", () => {
    const bench = delivered();
    const full = failure("storageFull", "no space left");
    bench.override = (ask) =>
      ask.kind === "saveDesk" ? { kind: "failed", failure: full } : undefined;
    expect(ack(bench)).toBeUndefined();
    bench.override = () => undefined;
    bench.pass(60_000, [1]);
    expect(bench.memory.desks.get("usage")?.desk.days[day]?.acknowledged).toMatchObject({
      "bi/totals": { revision: 1, by: "loader" },
    });
    const replies = bench.effects.filter((effect) => effect.kind === "reply");
    expect(replies).toContainEqual(
      expect.objectContaining({ result: expect.objectContaining({ kind: "deliveries" }) }),
    );
  });

  test("is known to the next leader, to a snapshot, and when the journal is lost", () => {
    const bench = delivered();
    ack(bench);
    again(bench);
    const known = all(bench);
    const copy = decodeSnapshot(encodeSnapshot(bench.state.durable));
    expect(copy.days.get(`usage|${day}`)?.acknowledged).toMatchObject({
      "bi/totals": { revision: 1 },
    });
    expect(copy.days.get(`usage|${day}`)?.shown?.map(({ revision }) => revision)).toEqual([1, 2]);
    const next = nextLeader(bench);
    const withoutAge = (list: readonly DeliveryStatus[]) =>
      list.map((one) => ({ ...one, openMs: 0 }));
    expect(withoutAge(all(next))).toEqual(withoutAge(known));
    bench.memory.loseJournal();
    const third = nextLeader(next);
    expect(lines(third)).toEqual(lines(next));
    expect(all(third)[0]).toMatchObject({ replacedMs: known[0]?.replacedMs });
    // Storage tells when revisions were made, and that there was a first one.
    expect(all(third)[0]?.committedMs).toBeGreaterThan(0);
    ack(third, { consumer: "operations", revision: 1 });
    expect(lines(third)[1]).toBe("operations r2: restatement, outstanding, replaces r1");
  });

  test("of what older versions committed is known by its number", () => {
    const bench = delivered();
    const record = bench.state.durable.days.get(`usage|${day}`);
    delete record?.shown;
    expect(all(bench)[0]).toMatchObject({ revision: 1, committedMs: 0, openMs: 0 });
    ack(bench);
    expect(lines(bench)[0]).toBe("bi r1: first delivery, acknowledged");
  });
});

describe("an acknowledgement is refused", () => {
  test("of a consumer, a dataset, a day or a revision that is not there", () => {
    const bench = delivered();
    expect(refusal(bench, { consumer: "bo" })).toBe(
      'badRequest: no job has a consumer "bo"; did you mean bi?',
    );
    expect(refusal(bench, { dataset: "total" })).toBe(
      'unknownDataset: consumer bi takes no dataset "total"; did you mean totals?',
    );
    expect(refusal(bench, { job: "usages" })).toContain("unknownJob: ");
    expect(refusal(bench, { job: "usage", consumer: "nobody" })).toBe(
      'badRequest: job usage has no consumer "nobody"; there are bi, operations',
    );
    expect(refusal(bench, { day: "2026-02-30" })).toContain("is not a date");
    expect(refusal(bench, { day: "2026-01-14" })).toContain(
      "unknownDataset: job usage has no committed revision of 2026-01-14: nothing was delivered yet",
    );
    expect(refusal(bench, { revision: 2 })).toBe(
      `badRequest: readers never saw revision 2 of job usage for ${day}: the committed one is 1`,
    );
    again(bench);
    expect(refusal(bench, { revision: 3 })).toContain("is 2, and before it they saw 1");
    expect(refusal(bench, { by: "x".repeat(201) })).toContain("at most 200 characters");
    expect(bench.ask({ kind: "deliveries", job: "usages", days: 0 })).toMatchObject({
      failure: { code: "unknownJob" },
    });
  });

  test("where two jobs give a consumer the same dataset and none is named", () => {
    const bench = delivered();
    const other = sampleJob({ ...consumed, name: "other" });
    bench.submit(other, { day: "2026-01-16" });
    bench.work();
    expect(refusal(bench, {})).toBe(
      "badRequest: consumer bi takes totals of other and usage: name the job (--job of daymill ack)",
    );
    expect(ack(bench, { job: "usage" })).toMatchObject({ kind: "deliveries" });
    expect(all(bench, "").map(({ job }) => job)).toEqual(["other", "other", "usage", "usage"]);
  });

  test("of a revision in quarantine, which readers never saw", () => {
    const check = { name: "no", model: "totals", sql: "SELECT 1", expect: 7 } as const;
    const doubted = { ...consumed, checks: [{ ...check, severity: "quarantine" as const }] };
    const bench = delivered();
    bench.submit(doubted, { rerun: true });
    bench.work();
    expect(bench.run(2).state).toBe("quarantined");
    expect(refusal(bench, { revision: 2 })).toContain("the committed one is 1");
    bench.releaseRun(`usage.${day}.r2`);
    expect(ack(bench, { revision: 2 })).toMatchObject({ deliveries: [{ revision: 2 }] });
  });
});

test("only the days of the window are shown, and the account on storage does not grow for ever", () => {
  const durable = emptyDurable();
  const days = Array.from({ length: limits.deliveryDaysMax + 5 }, (_, index) =>
    new Date(Date.parse("2026-01-01") + index * 86_400_000).toISOString().slice(0, 10),
  );
  for (const one of days) {
    const name = { job: "usage", day: one } as const;
    fold(durable, {
      kind: "revisionFound",
      ...name,
      revision: 1,
      state: "committed",
      datasets: ["totals"],
    });
    const said = { consumer: "bi", dataset: "totals", revision: 1, by: "", wallMs: 1 };
    fold(durable, { kind: "deliveryAcknowledged", ...name, ...said });
  }
  const known = [...durable.days.values()].filter((one) => one.acknowledged !== undefined);
  expect(known.map((one) => one.day)).toEqual(days.slice(5));
  const bench = new Bench().lead();
  bench.attach(1);
  for (const one of ["2026-01-10", "2026-01-11", "2026-01-12", "2026-01-13"]) {
    bench.submit(consumed, { day: one });
    bench.work();
  }
  expect([...new Set(all(bench).map((one) => one.day))]).toEqual([
    "2026-01-13",
    "2026-01-12",
    "2026-01-11",
  ]);
  expect(all(bench, "usage", 1)).toHaveLength(2);
});
