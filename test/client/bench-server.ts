/** A coordinator's core on a bench behind a real gRPC server, and a client of it. */
import { DaymillClient } from "../../client/client.ts";
import { Calls } from "../../coordinator/shell/calls.ts";
import { coordinatorService, createServer } from "../../shared/adapters/grpc.ts";
import type { CoordinatorHandlers } from "../../shared/adapters/grpc-types.ts";
import { createLog } from "../../shared/adapters/logger.ts";
import type { Bench } from "../core/bench.ts";
import { refusing } from "./fake-coordinator.ts";

/** `handlers`: those that the test calls; every other refuses. */
export async function serveBench(
  bench: Bench,
  handlers: (calls: Calls) => Partial<CoordinatorHandlers>,
  cleanups: (() => unknown)[],
): Promise<DaymillClient> {
  const calls: Calls = new Calls((message) => {
    bench.post(message);
    for (const effect of bench.effects.splice(0)) {
      if (effect.kind === "reply") calls.settle(effect.reply, effect.stamp, effect.result);
    }
  });
  const services = [coordinatorService({ ...refusing, ...handlers(calls) })];
  const log = createLog("silent", {});
  const server = await createServer({ services, address: "127.0.0.1:0", log });
  cleanups.push(() => server.stop());
  const client = new DaymillClient({ coordinators: [server.address] });
  cleanups.push(() => client.close());
  return client;
}
