/**
 * What every gRPC server here offers besides its calls: health, reflection, clear errors; and types as in the protos.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import * as loader from "@grpc/proto-loader";
import { describe, expect, test } from "vitest";
import {
  coordinatorService,
  createServer,
  executorHubService,
  type GrpcServer,
  isServing,
  messageType,
  openChannel,
} from "../../shared/adapters/grpc.ts";
import type { AlertStatus, ChannelStatus } from "../../shared/adapters/grpc-types-alerts.ts";
import { createLog } from "../../shared/adapters/logger.ts";
import { cleanupsOfEachTest } from "../kit/cleanups.ts";
import { emptyRun, refusing, stage, stamp, statusReply } from "./fake-coordinator.ts";

const log = createLog("silent", {});
const reflectionProtos = join(
  dirname(createRequire(import.meta.url).resolve("@grpc/reflection/package.json")),
  "build/proto",
);
const cleanups = cleanupsOfEachTest();

async function serve(): Promise<GrpcServer> {
  const services = [coordinatorService(refusing), executorHubService({ attach: () => undefined })];
  const server = await createServer({ services, address: "127.0.0.1:0", log });
  cleanups.push(() => server.stop());
  return server;
}

const match = { rule: "", job: "", day: "", subject: "", by: "", reason: "" };

const alert: AlertStatus = {
  ...{ key: "k", rule: "runSlow", severity: "warning", job: "", day: "", subject: "" },
  ...{ summary: "", cause: "", next: "", sinceMs: 1, endedMs: 0 },
  ...{ group: "", state: "open", told: [] },
};

const channel: ChannelStatus = {
  ...{ channel: "chat", kind: "slack", state: "working" },
  ...{ failures: 0, reason: "", waiting: 0 },
};

interface Reflected {
  readonly listServicesResponse?: { readonly service?: readonly { readonly name: string }[] };
  readonly fileDescriptorResponse?: { readonly fileDescriptorProto?: readonly Uint8Array[] };
}

/** One question to the server's reflection service, asked as a foreign tool would. */
async function reflected(address: string, question: object): Promise<Reflected> {
  const name = "grpc.reflection.v1.ServerReflection";
  const proto = join(reflectionProtos, "grpc/reflection/v1/reflection.proto");
  const service = loader.loadSync(proto)[name] as loader.ServiceDefinition;
  const method = service["ServerReflectionInfo"];
  if (method === undefined) throw new Error(`${name} has no such method`);
  const foreign = new grpc.Client(address, grpc.credentials.createInsecure());
  try {
    return await new Promise<Reflected>((resolve, reject) => {
      const call = foreign.makeBidiStreamRequest(
        method.path,
        method.requestSerialize,
        method.responseDeserialize,
      );
      call.once("data", (reply: Reflected) => resolve(reply));
      call.once("error", reject);
      call.write(question);
      call.end();
    });
  } finally {
    foreign.close();
  }
}

describe("around the services", () => {
  test("health follows setServing; nobody there is not serving", async () => {
    const server = await serve();
    const before = await isServing(server.address);
    server.setServing(true);
    const during = await isServing(server.address);
    server.setServing(false);
    const after = await isServing(server.address);
    await server.stop();
    expect([before, during, after, await isServing(server.address)]).toEqual([
      false,
      true,
      false,
      false,
    ]);
  });

  test("reflection names the services and gives their files, so that grpcurl needs no proto", async () => {
    const server = await serve();
    const list = await reflected(server.address, { listServices: "" });
    const names = list.listServicesResponse?.service?.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining(["daymill.v1.Coordinator", "daymill.v1.ExecutorHub"]),
    );
    const symbol = "daymill.v1.Coordinator";
    const files = await reflected(server.address, { fileContainingSymbol: symbol });
    const bytes = files.fileDescriptorResponse?.fileDescriptorProto ?? [];
    expect(bytes.some((file) => Buffer.from(file).includes("WatchRun"))).toBe(true);
  });

  test("a taken port is a clear error", async () => {
    const server = await serve();
    const second = createServer({ services: [], address: server.address, log });
    await expect(second).rejects.toThrow(/cannot listen on 127.*--listen/);
  });

  test("the hand-written types name every field of the protos", () => {
    const fields = (name: string, value: object) => {
      const type = messageType(name);
      const known = type.deserialize(type.serialize({}));
      expect(Object.keys(value).sort(), name).toEqual(Object.keys(known).sort());
    };
    fields("RunStatus", emptyRun);
    fields("Stamp", stamp);
    fields("StageStatus", stage);
    fields("GetStatusReply", statusReply);
    fields("AlertStatus", alert);
    fields("Silence", { ...match, id: "s1", untilMs: 1 });
    fields("ChannelStatus", channel);
    fields("ListAlertsReply", {
      stamp,
      isConfigured: true,
      alerts: [],
      silences: [],
      channels: [],
    });
    fields("SilenceAlertsRequest", { ...match, forMs: 1 });
  });

  test("a channel can be closed twice", () => {
    const channel = openChannel("127.0.0.1:1");
    channel.close();
    expect(() => channel.close()).not.toThrow();
  });
});
