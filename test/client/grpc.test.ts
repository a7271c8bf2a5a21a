/**
 * The gRPC adapter on a real socket: failures keep their code, streams keep order and end once, stop cannot hang.
 */
import { getEventListeners } from "node:events";
import { describe, expect, test } from "vitest";
import {
  coordinatorService,
  createServer,
  executorHubService,
  type GrpcServer,
} from "../../shared/adapters/grpc.ts";
import { connectCoordinator, connectHub } from "../../shared/adapters/grpc-clients.ts";
import type {
  CoordinatorHandlers,
  FromExecutor,
  ToExecutor,
} from "../../shared/adapters/grpc-types.ts";
import { createLog } from "../../shared/adapters/logger.ts";
import { type Failure, fail } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";
import { failureOf } from "../kit/failures.ts";
import { deferred, emptyRun, refusing, stamp, statusReply } from "./fake-coordinator.ts";

const log = createLog("silent", {});
const cleanups = cleanupsOfEachTest();

async function serve(handlers: Partial<CoordinatorHandlers>): Promise<GrpcServer> {
  const services = [coordinatorService({ ...refusing, ...handlers })];
  const server = await createServer({ services, address: "127.0.0.1:0", log });
  cleanups.push(() => server.stop());
  return server;
}

function client(address: string) {
  const made = connectCoordinator(address);
  cleanups.push(() => made.close());
  return made;
}

describe("single replies", () => {
  test("arrive as they were sent, 64-bit numbers and unset messages included", async () => {
    const run = { ...emptyRun, rowsIn: 2 ** 52 + 1, committedBy: { "exec-1": 3 } };
    const server = await serve({ getRun: async () => ({ stamp, run }) });
    const reply = await client(server.address).getRun({ runId: "a", minSequence: 0 });
    expect(reply).toEqual({ stamp, run });
  });

  test("a failure keeps code, message and details", async () => {
    const server = await serve({
      getRun: async () => {
        throw fail("unknownRun", "no run x", { run: "x", tried: 3 });
      },
    });
    const got = await failureOf(client(server.address).getRun({ runId: "x", minSequence: 0 }));
    expect(got).toEqual({
      code: "unknownRun",
      message: "no run x",
      detail: { run: "x", tried: "3" },
    });
  });

  test("notLeader names the leader", async () => {
    const server = await serve({
      drain: async () => {
        throw fail("notLeader", "ask the leader", { leader: "127.0.0.1:9" });
      },
    });
    const got = await failureOf(client(server.address).drain({ executorId: "e" }));
    expect([got.code, got.detail?.["leader"]]).toEqual(["notLeader", "127.0.0.1:9"]);
  });

  test("an unexpected exception is `internal`, without a stack trace", async () => {
    const server = await serve({
      getStatus: async () => {
        throw new TypeError("boom");
      },
    });
    const got = await failureOf(client(server.address).getStatus({}));
    expect(got).toEqual({ code: "internal", message: "TypeError: boom" });
  });

  test("nobody listens: unavailable, naming the address", async () => {
    const server = await serve({});
    await server.stop();
    const got = await failureOf(client(server.address).getStatus({}));
    expect(got.code).toBe("unavailable");
    expect(got.message).toContain(server.address);
  });

  test("a message over the limit is refused on both ways", async () => {
    const big = "x".repeat(limits.grpcMessageBytesMax + 1);
    const server = await serve({
      getStatus: async () => ({ ...statusReply, version: big }),
      drain: async () => ({ stamp }),
    });
    const to = await failureOf(client(server.address).drain({ executorId: big }));
    const from = await failureOf(client(server.address).getStatus({}));
    expect([to.code, from.code]).toEqual(["messageTooLarge", "messageTooLarge"]);
  });

  test("a silent server is a timeout", async () => {
    const server = await serve({ getStatus: () => new Promise(() => {}) });
    const got = await failureOf(client(server.address).getStatus({}, { deadlineMs: 200 }));
    expect(got.code).toBe("timeout");
  });
});

describe("server streams", () => {
  test("all chunks come in order, then the end", async () => {
    const server = await serve({
      readDataset: async (_request, replies) => {
        for (let i = 0; i < 40; i++) {
          await replies.write({ stamp, revision: i, arrow: new Uint8Array(200_000).fill(i) });
        }
      },
    });
    const seen: number[] = [];
    const request = { dataset: "d", day: "2026-01-15", revision: 0, limit: 0, orderBy: "" };
    for await (const reply of client(server.address).readDataset(request)) {
      expect(reply.arrow.every((byte) => byte === reply.revision)).toBe(true);
      seen.push(reply.revision);
    }
    expect(seen).toEqual(Array.from({ length: 40 }, (_, i) => i));
  });

  test("a failure in the middle comes after what was sent", async () => {
    const server = await serve({
      watchRun: async (_request, replies) => {
        await replies.write({ stamp, run: emptyRun });
        throw fail("unknownRun", "gone");
      },
    });
    const replies = client(server.address).watchRun({ runId: "a", minSequence: 0 });
    expect((await replies.next()).value?.run?.runId).toBe(emptyRun.runId);
    expect((await failureOf(replies.next())).code).toBe("unknownRun");
  });

  test("a caller that leaves aborts the handler", async () => {
    let left: Promise<void> = Promise.resolve();
    const server = await serve({
      watchRun: (_request, replies, context) => {
        left = new Promise((resolve) => context.signal.addEventListener("abort", () => resolve()));
        return replies.write({ stamp, run: emptyRun }).then(() => left);
      },
    });
    for await (const _ of client(server.address).watchRun({ runId: "a", minSequence: 0 })) break;
    await expect(left).resolves.toBeUndefined();
  });

  test("one signal serves many calls: each takes its listener off when it is over", async () => {
    const server = await serve({
      getStatus: async () => statusReply,
      watchRun: async (_request, replies) => {
        await replies.write({ stamp, run: emptyRun });
        throw fail("notLeader", "another one leads now");
      },
    });
    const at = client(server.address);
    const { signal } = new AbortController();
    for (let i = 0; i < 3; i++) {
      await at.getStatus({}, { signal });
      const replies = at.watchRun({ runId: "a", minSequence: 0 }, { signal });
      await replies.next();
      expect(getEventListeners(signal, "abort")).toHaveLength(1);
      expect((await failureOf(replies.next())).code).toBe("notLeader");
    }
    for await (const _ of at.watchRun({ runId: "a", minSequence: 0 }, { signal })) break;
    expect(getEventListeners(signal, "abort")).toHaveLength(0);
  });

  test("an aborted signal ends a call that is open and one that begins later", async () => {
    const server = await serve({
      getStatus: () => new Promise(() => {}),
      watchRun: async (_request, replies) => {
        await replies.write({ stamp, run: emptyRun });
        await new Promise(() => {});
      },
    });
    const at = client(server.address);
    const controller = new AbortController();
    const { signal } = controller;
    const replies = at.watchRun({ runId: "a", minSequence: 0 }, { signal });
    await replies.next();
    const next = failureOf(replies.next());
    controller.abort();
    expect((await next).code).toBe("cancelled");
    expect((await failureOf(at.getStatus({}, { signal }))).code).toBe("cancelled");
  });

  test("many open streams on one server warn nobody", async () => {
    const warnings: string[] = [];
    const warned = (warning: Error) => warnings.push(warning.message);
    process.on("warning", warned);
    cleanups.push(() => process.off("warning", warned));
    const server = await serve({
      watchRun: async (_request, replies) => {
        await replies.write({ stamp, run: emptyRun });
        await new Promise(() => {});
      },
    });
    const at = client(server.address);
    const open = Array.from({ length: 12 }, () => at.watchRun({ runId: "a", minSequence: 0 }));
    for (const replies of open) await replies.next();
    for (const replies of open) await replies.return();
    // Warnings are told in a later turn.
    await new Promise((resolve) => setImmediate(resolve));
    expect(warnings).toEqual([]);
  });

  test("stop ends open streams with `unavailable` instead of waiting for them", async () => {
    const server = await serve({
      watchRun: async (_request, replies) => {
        await replies.write({ stamp, run: emptyRun });
        await new Promise(() => {});
      },
    });
    const replies = client(server.address).watchRun({ runId: "a", minSequence: 0 });
    await replies.next();
    const next = failureOf(replies.next());
    await server.stop();
    expect((await next).code).toBe("unavailable");
  });
});

describe("the executor's stream", () => {
  async function hub(attach: Parameters<typeof executorHubService>[0]["attach"]) {
    const services = [executorHubService({ attach })];
    const server = await createServer({ services, address: "127.0.0.1:0", log });
    cleanups.push(() => server.stop());
    const dialled = connectHub(server.address);
    cleanups.push(() => dialled.close());
    return { server, call: dialled.attach() };
  }

  test("both sides hear each other in order; the client's end is the server's peaceful end", async () => {
    const heard: (string | undefined)[] = [];
    const serverEnd = deferred<Failure | undefined>();
    const { call } = await hub((incoming) => {
      incoming.listen((message) => {
        heard.push(message.message);
        incoming.send({ epoch: 5, reportAck: { attemptId: `a${heard.length}` } });
      }, serverEnd.resolve);
    });
    const answers: ToExecutor[] = [];
    const clientEnd = deferred<Failure | undefined>();
    const both = deferred<void>();
    call.listen((message) => {
      answers.push(message);
      if (answers.length === 2) both.resolve();
    }, clientEnd.resolve);
    const report: FromExecutor = {
      report: { attemptId: "a1", epoch: 5, outcomeJson: Buffer.from("{}") },
    };
    call.send({ draining: { reason: "told to" } });
    call.send(report);
    await both.promise;
    call.end();
    expect(await serverEnd.promise).toBeUndefined();
    expect(await clientEnd.promise).toBeUndefined();
    expect(heard).toEqual(["draining", "report"]);
    expect(answers.map((a) => [a.epoch, a.message, a.reportAck?.attemptId])).toEqual([
      [5, "reportAck", "a1"],
      [5, "reportAck", "a2"],
    ]);
  });

  test("the hub's refusal reaches the executor as its failure, after what was sent before", async () => {
    const { call } = await hub((incoming) => {
      incoming.listen(
        () => undefined,
        () => undefined,
      );
      incoming.send({ epoch: 1, welcome: { coordinator: "c1" } });
      incoming.end({ code: "versionMismatch", message: "other DuckDB" });
    });
    const heard: (string | undefined)[] = [];
    const end = await new Promise<Failure | undefined>((resolve) => {
      call.listen((message) => heard.push(message.message), resolve);
    });
    expect(heard).toEqual(["welcome"]);
    expect(end).toEqual({ code: "versionMismatch", message: "other DuckDB" });
  });

  test("a vanished executor and a stopping hub are told once", async () => {
    const ends: string[] = [];
    const attached = deferred<void>();
    const gone = deferred<void>();
    const { server, call } = await hub((incoming) => {
      incoming.listen(
        () => attached.resolve(),
        (reason) => {
          ends.push(reason?.code ?? "peace");
          gone.resolve();
        },
      );
    });
    call.send({ draining: { reason: "x" } });
    await attached.promise;
    call.end({ code: "cancelled", message: "killed" });
    await gone.promise;
    await server.stop();
    expect(ends).toEqual(["peace"]);
  });
});
