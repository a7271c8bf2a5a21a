/**
 * The client library against real gRPC servers that play coordinators: finding, following, retrying, not going back.
 */
import { describe, expect, test } from "vitest";
import { DaymillClient } from "../../client/client.ts";
import { showRun } from "../../client/show-run.ts";
import { coordinatorService, createServer } from "../../shared/adapters/grpc.ts";
import type {
  CoordinatorHandlers,
  RunStatus,
  SubmitRequest,
} from "../../shared/adapters/grpc-types.ts";
import { createLog } from "../../shared/adapters/logger.ts";
import { fail, fromUnknown } from "../../shared/kernel/failure.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";
import { emptyRun, refusing, stamp } from "./fake-coordinator.ts";

const cleanups = cleanupsOfEachTest();

async function coordinator(handlers: Partial<CoordinatorHandlers>, address = "127.0.0.1:0") {
  const services = [coordinatorService({ ...refusing, ...handlers })];
  const log = createLog("silent", {});
  const server = await createServer({ services, address, log });
  cleanups.push(() => server.stop());
  return server;
}

function client(
  coordinators: readonly string[],
  options: {
    findLeader?: () => Promise<string | undefined>;
    deadlineMs?: number;
    unreachedMs?: number;
  } = {},
) {
  const made = new DaymillClient({ coordinators, ...options });
  cleanups.push(() => made.close());
  return made;
}

const standby = (leader: () => string): Partial<CoordinatorHandlers> => {
  const refuse = async (): Promise<never> => {
    throw fail("notLeader", "this coordinator stands by", { leader: leader() });
  };
  return { submit: refuse, getRun: refuse, listRuns: refuse, watchRun: refuse, drain: refuse };
};

const at = (journalSequence: number, epoch = stamp.epoch) => ({ ...stamp, epoch, journalSequence });

test("who is interrupted before anything was heard of a run is not told of a failure", async () => {
  const stop = new AbortController();
  const leader = await coordinator({
    watchRun: async () => stop.abort(),
  });
  const shown = await showRun(client([leader.address]), emptyRun.runId, undefined, stop.signal);
  expect(shown).toBeUndefined();
});

test("a standby points to the leader, which is then asked first", async () => {
  let asked = 0;
  const leader = await coordinator({
    listRuns: async () => ({ stamp, runs: [emptyRun] }),
  });
  const other = await coordinator({
    listRuns: async () => {
      asked++;
      throw fail("notLeader", "not me", { leader: leader.address });
    },
  });
  const daymill = client([other.address]);
  expect((await daymill.runs()).map((run) => run.runId)).toEqual([emptyRun.runId]);
  await daymill.runs();
  expect(asked).toBe(1);
});

test("a retried submit carries the same request id, and is believed when the answer was lost", async () => {
  const requests: SubmitRequest[] = [];
  const make = (fails: boolean): Partial<CoordinatorHandlers> => ({
    submit: async (request) => {
      requests.push(request);
      if (fails) throw fail("unavailable", "stopping");
      return { stamp, runId: emptyRun.runId, created: requests.length === 1, warnings: [] };
    },
  });
  const first = await coordinator(make(true));
  const second = await coordinator(make(false));
  const reply = await client([first.address, second.address]).submit(
    { job: "ipdr-daily" },
    "2026-01-15",
  );
  expect(reply.runId).toBe(emptyRun.runId);
  expect(requests).toHaveLength(2);
  expect(requests[0]?.requestId).toMatch(/^[0-9a-f-]{36}$/);
  expect(requests[1]).toEqual(requests[0]);
});

test("a refusal is told as it is, at once", async () => {
  let asked = 0;
  const leader = await coordinator({
    submit: async () => {
      asked++;
      throw fail("jobInvalid", "job.yaml:3: no", { file: "job.yaml", line: 3 });
    },
  });
  const submit = client([leader.address]).submit({ job: "x" }, "2026-01-15");
  const got = await submit.then(() => undefined, fromUnknown);
  expect(got).toMatchObject({ code: "jobInvalid", message: "job.yaml:3: no" });
  expect(asked).toBe(1);
});

test("nobody leads: one clear error after the deadline", async () => {
  const lonely = await coordinator(standby(() => ""));
  const got = await client([lonely.address, "127.0.0.1:1"], { deadlineMs: 600 })
    .runs()
    .then(() => undefined, fromUnknown);
  expect(got?.code).toBe("noLeader");
  expect(got?.message).toContain(lonely.address);
  expect(got?.message).toContain("--coordinators");
});

describe("where nothing listens", () => {
  const patience = { deadlineMs: 10_000, unreachedMs: 500 };
  const timed = async (call: Promise<unknown>) => {
    const begun = performance.now();
    const got = await call.then(() => undefined, fromUnknown);
    return { got, tookMs: performance.now() - begun };
  };

  test("at any address, nothing is waited for: what was tried, and what to do", async () => {
    const daymill = client(["127.0.0.1:1", "127.0.0.1:2"], patience);
    const { got, tookMs } = await timed(daymill.runs());
    expect(got?.code).toBe("noLeader");
    expect(got?.message).toMatch(
      /^no cluster found: no coordinator at 127\.0\.0\.1:1, 127\.0\.0\.1:2 \(connect ECONNREFUSED \S+\); start one with: daymill up; or say where it is with --coordinators HOST:PORT or --nats URL$/,
    );
    expect(tookMs).toBeLessThan(patience.deadlineMs / 2);
  });

  test("a standby that knows no leader is waited for, though all others refuse", async () => {
    let asked = 0;
    const other = await coordinator({
      listRuns: async () => {
        asked++;
        if (asked < 4) throw fail("noLeader", "nobody leads");
        return { stamp, runs: [emptyRun] };
      },
    });
    const { got, tookMs } = await timed(client(["127.0.0.1:1", other.address], patience).runs());
    expect([got, asked]).toEqual([undefined, 4]);
    expect(tookMs).toBeGreaterThan(patience.unreachedMs);
  });

  test("a leader that was there and has gone is waited for", async () => {
    const first = await coordinator({ listRuns: async () => ({ stamp, runs: [] }) });
    const daymill = client([first.address], patience);
    await daymill.runs();
    await first.stop();
    const again = timed(daymill.runs());
    await new Promise((resume) => setTimeout(resume, 3 * patience.unreachedMs));
    await coordinator({ listRuns: async () => ({ stamp, runs: [] }) }, first.address);
    expect((await again).got).toBeUndefined();
  });

  test("with a registry to ask, somebody may still come to lead", async () => {
    const leader = await coordinator({ listRuns: async () => ({ stamp, runs: [] }) });
    let asked = 0;
    const findLeader = async () => (++asked < 5 ? undefined : leader.address);
    const { got } = await timed(client(["127.0.0.1:1"], { ...patience, findLeader }).runs());
    expect([got, asked]).toEqual([undefined, 5]);
  });
});

test("without any address the registry is asked", async () => {
  const leader = await coordinator({ listRuns: async () => ({ stamp, runs: [] }) });
  let asked = 0;
  const findLeader = async () => (++asked < 2 ? undefined : leader.address);
  expect(await client([], { findLeader }).runs()).toEqual([]);
  expect(asked).toBe(2);
});

test("an answer from before what was seen is not accepted; a new epoch is", async () => {
  const stamps = [at(20), at(19), at(21), at(5, stamp.epoch + 1)];
  let calls = 0;
  const leader = await coordinator({
    listRuns: async () => ({ stamp: stamps[calls++] ?? at(30), runs: [] }),
  });
  const daymill = client([leader.address]);
  await daymill.runs();
  await daymill.runs();
  expect(calls).toBe(3);
  await daymill.runs();
  expect(calls).toBe(4);
});

test("a watch goes on with the next leader and ends with the run", async () => {
  const status = (state: string, rowsIn: number): RunStatus => ({ ...emptyRun, state, rowsIn });
  const second = await coordinator({
    watchRun: async (_request, replies) => {
      await replies.write({ stamp: at(30), run: status("running", 2) });
      await replies.write({ stamp: at(31), run: status("committed", 3) });
    },
  });
  const first = await coordinator({
    watchRun: async (_request, replies) => {
      await replies.write({ stamp: at(12), run: status("running", 1) });
      throw fail("notLeader", "stepped down", { leader: second.address });
    },
  });
  const seen: [string, number][] = [];
  for await (const run of client([first.address]).watch(emptyRun.runId)) {
    seen.push([run.state, run.rowsIn]);
  }
  expect(seen).toEqual([
    ["running", 1],
    ["running", 2],
    ["committed", 3],
  ]);
});

test("a watch of a run that stood still for longer than the deadline still looks for the next leader", async () => {
  const deadlineMs = 1_500;
  let isThere = false;
  let isLeading = true;
  const second = await coordinator({
    watchRun: async (_request, replies) => {
      if (!isThere) throw fail("noLeader", "no coordinator leads at the moment");
      await replies.write({ stamp: at(31), run: { ...emptyRun, state: "committed" } });
    },
  });
  const first = await coordinator({
    watchRun: async (_request, replies) => {
      if (!isLeading) throw fail("notLeader", "stands by", { leader: second.address });
      await replies.write({ stamp: at(12), run: { ...emptyRun, state: "running" } });
      await new Promise((resume) => setTimeout(resume, deadlineMs + 100));
      isLeading = false;
      // The other one leads a moment later.
      setTimeout(() => {
        isThere = true;
      }, deadlineMs / 5);
      throw fail("notLeader", "stepped down", { leader: second.address });
    },
  });
  const daymill = client([first.address, second.address], { deadlineMs });
  const seen: string[] = [];
  for await (const run of daymill.watch(emptyRun.runId)) seen.push(run.state);
  expect(seen).toEqual(["running", "committed"]);
});

test("a dataset is read chunk by chunk", async () => {
  const leader = await coordinator({
    readDataset: async (request, replies) => {
      for (const part of [1, 2, 3]) {
        await replies.write({ stamp, revision: request.limit, arrow: new Uint8Array([part]) });
      }
    },
  });
  const chunks: number[] = [];
  for await (const chunk of client([leader.address]).read("d", "2026-01-15", { limit: 4 })) {
    chunks.push(...chunk);
  }
  expect(chunks).toEqual([1, 2, 3]);
});
