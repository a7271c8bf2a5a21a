// The executors' streams over a real socket: what an executor says becomes messages, commands go down its stream.
import { describe, expect, test } from "vitest";
import type { Duplex, FromExecutor, Hello, ToExecutor } from "../../shared/adapters/grpc-types.ts";
import { type Failure, fail, failure } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";
import { eventually } from "../kit/eventually.ts";
import { type Script, serve } from "./serving.ts";

const cleanups = cleanupsOfEachTest();

const hello: Hello = {
  executorId: "e1",
  incarnation: 123_456_789_012,
  slots: 2,
  host: "box",
  pid: 42,
  duckdbVersion: "v1.5.6",
  wireVersion: 1,
  hashVersion: 1,
  runningAttempts: ["a1"],
  highestEpoch: 2,
  version: "0.1.0",
};

async function served(script: Script = {}) {
  const one = await serve(script, cleanups);
  const commands: ToExecutor[] = [];
  const ends: (Failure | undefined)[] = [];
  const attach = (): Duplex<ToExecutor, FromExecutor> => {
    const stream = one.executor.attach();
    stream.listen(
      (command) => void commands.push(command),
      (reason) => void ends.push(reason),
    );
    return stream;
  };
  return { ...one, commands, ends, attach };
}

const outcome = (value: unknown) => Buffer.from(JSON.stringify(value));
const done = {
  kind: "done",
  outputs: [],
  files: [],
  accounts: [],
  counters: { rowsIn: 0, bytesIn: 0, rowsOut: 0, bytesOut: 0, elapsedMs: 1, peakMemoryBytes: 1 },
};

describe("what an executor says", () => {
  test("hello, heartbeat, report, draining and going away, in order, on one connection", async () => {
    const { attach, heard } = await served();
    const stream = attach();
    stream.send({ hello });
    stream.send({
      heartbeat: {
        sequence: 1,
        running: [{ attemptId: "a1", rows: 5, bytes: 6 }],
        workerPids: [43],
        peakMemoryBytes: 7,
      },
    });
    stream.send({ report: { attemptId: "a1", epoch: 2, outcomeJson: outcome(done) } });
    stream.send({ draining: { reason: "SIGTERM" } });
    stream.end();
    await eventually(() => heard.length === 5);
    expect(heard).toEqual([
      {
        kind: "attached",
        connection: 1,
        hello: {
          executor: "e1",
          incarnation: 123_456_789_012,
          slots: 2,
          host: "box",
          pid: 42,
          duckdb: "v1.5.6",
          wire: 1,
          hash: 1,
          runningAttempts: ["a1"],
          highestEpoch: 2,
          version: "0.1.0",
        },
      },
      {
        kind: "heartbeat",
        connection: 1,
        running: [{ attemptId: "a1", rows: 5, bytes: 6 }],
        workerPids: [43],
        peakMemoryBytes: 7,
      },
      { kind: "report", connection: 1, attemptId: "a1", outcome: done },
      { kind: "draining", connection: 1, reason: "SIGTERM" },
      { kind: "detached", connection: 1 },
    ]);
  });

  test("each stream is another connection", async () => {
    const { attach, heard } = await served();
    attach().send({ hello });
    await eventually(() => heard.length === 1);
    attach().send({ hello });
    await eventually(() => heard.length === 2);
    expect(heard.map((message) => "connection" in message && message.connection)).toEqual([1, 2]);
  });

  test.each([
    [{ draining: { reason: "x" } }, "badRequest", "the first message of an executor is its hello"],
    [{ hello: { ...hello, executorId: "../e1" } }, "badRequest", 'executor id "../e1"'],
    [{}, "badRequest", "says nothing that this version knows"],
  ])(
    "a first message that is wrong ends the stream and the core hears nothing: %#",
    async (first, code, text) => {
      const { attach, heard, ends } = await served();
      attach().send(first);
      await eventually(() => ends.length === 1);
      expect(ends[0]).toMatchObject({ code, message: expect.stringContaining(text) });
      expect(heard).toEqual([]);
    },
  );

  test.each([
    Buffer.from("{"),
    outcome(null),
    outcome({ kind: "done" }),
    outcome({ kind: "failed", failure: { code: "noSuchCode", message: "" } }),
  ])("a report that cannot be read ends the stream: %#", async (outcomeJson) => {
    const { attach, heard, ends } = await served();
    const stream = attach();
    stream.send({ hello });
    stream.send({ report: { attemptId: "a1", epoch: 1, outcomeJson } });
    await eventually(() => ends.length === 1);
    expect(ends[0]).toMatchObject({ code: "badRequest", message: expect.stringContaining("a1") });
    await eventually(() => heard.length === 2);
    expect(heard.map((message) => message.kind)).toEqual(["attached", "detached"]);
  });

  test("a full mailbox ends the stream: the executor attaches again and reports again", async () => {
    const { attach, heard, ends } = await served({
      executorMessage: (message) => {
        if (message.kind === "report") throw fail("mailboxFull", "full");
      },
    });
    const stream = attach();
    stream.send({ hello });
    stream.send({ report: { attemptId: "a1", epoch: 1, outcomeJson: outcome(done) } });
    await eventually(() => ends.length === 1);
    expect(ends[0]?.code).toBe("mailboxFull");
    expect(heard.map((message) => message.kind)).toEqual(["attached", "detached"]);
  });
});

describe("what goes down", () => {
  test("every command, with its epoch", async () => {
    const { attach, heard, hub, commands, ends } = await served();
    attach().send({ hello });
    await eventually(() => heard.length === 1);
    hub.send(1, 5, { kind: "welcome", coordinator: "c1" });
    const work = { kind: "check", files: [], duckdb: "v1.5.6" };
    const delivery = { run: "r", epoch: 5, attemptId: "a9", lowMemory: true, lane: "ahead" };
    hub.send(1, 5, {
      kind: "runTask",
      attemptId: "a9",
      work: work as never,
      delivery: delivery as never,
    });
    hub.send(1, 5, { kind: "cancelTask", attemptId: "a9", reason: "slow" });
    hub.send(1, 5, { kind: "reportAck", attemptId: "a1" });
    hub.send(1, 6, { kind: "drainNow", reason: "asked" });
    const refusal = failure("versionMismatch", "other DuckDB");
    hub.send(1, 6, { kind: "refused", failure: refusal, leader: "127.0.0.1:1" });
    hub.close(1);
    await eventually(() => ends.length === 1);
    expect(commands.map((command) => [command.epoch, command.message])).toEqual([
      [5, "welcome"],
      [5, "runTask"],
      [5, "cancelTask"],
      [5, "reportAck"],
      [6, "drainNow"],
      [6, "refused"],
    ]);
    const task = commands[1]?.runTask;
    expect(Buffer.from(task?.workJson ?? []).toString()).toBe(
      '{"duckdb":"v1.5.6","files":[],"kind":"check"}',
    );
    expect(JSON.parse(Buffer.from(task?.deliveryJson ?? []).toString())).toEqual(delivery);
    expect(task?.freshWorker).toBe(true);
    expect(task?.background).toBe(true);
    expect(commands[5]?.refused?.failure?.code).toBe("versionMismatch");
    expect(ends).toEqual([undefined]);
  });

  test("a connection that is closed or was never there is ignored", async () => {
    const { attach, heard, hub } = await served();
    hub.send(99, 1, { kind: "reportAck", attemptId: "a" });
    hub.close(99);
    const stream = attach();
    stream.send({ hello });
    await eventually(() => heard.length === 1);
    stream.end();
    await eventually(() => heard.length === 2);
    hub.send(1, 1, { kind: "reportAck", attemptId: "a" });
  });

  test("an executor that does not read is dropped before its commands fill the memory", async () => {
    const { attach, heard, hub, ends } = await served();
    attach().send({ hello });
    await eventually(() => heard.length === 1);
    const reason = "x".repeat(64 * 1024);
    // One turn of the event loop: nothing can be read on the other side in between.
    for (let i = 0; i < limits.attachBacklogMessagesMax * 3; i++) {
      hub.send(1, 1, { kind: "cancelTask", attemptId: "a", reason });
    }
    expect(heard.at(-1)).toEqual({ kind: "detached", connection: 1 });
    await eventually(() => ends.length === 1);
    expect(ends[0]?.code).toBe("unavailable");
  });
});
