/**
 * From the command line's options to a client: coordinators by address, or by asking NATS who leads.
 * Both may be given; without any, the addresses of `daymill up`.
 */
import { createLog } from "../shared/adapters/logger.ts";
import { connectNats, type NatsLink } from "../shared/adapters/nats.ts";
import { openRegistry } from "../shared/adapters/nats-registry.ts";
import { fail } from "../shared/kernel/failure.ts";
import { limits } from "../shared/kernel/limits.ts";
import type { Registry } from "../shared/ports.ts";
import { DaymillClient } from "./client.ts";

/** Ports that `daymill up` uses, one per coordinator, from this one on. */
export const firstCoordinatorPort = 7_400;
const defaultCoordinators = ["127.0.0.1:7400", "127.0.0.1:7401"];

export interface ConnectOptions {
  readonly nats?: string;
  readonly coordinators?: string;
  readonly cluster?: string;
}

export interface Connection {
  readonly client: DaymillClient;
  /** Addresses to ask for their status; empty when only NATS is known. */
  readonly addresses: readonly string[];
  close(): Promise<void>;
}

const deadlineMs = limits.commandPatienceMs;

/** NATS that is named and not reachable is an error at once, not after the client's deadline. */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const addresses = splitList(options.coordinators).map(checkAddress);
  if (options.nats === undefined || options.nats === "") {
    const coordinators = addresses.length > 0 ? addresses : defaultCoordinators;
    const unreachedMs = limits.commandUnreachedMs;
    const client = new DaymillClient({ coordinators, deadlineMs, unreachedMs });
    return { client, addresses: coordinators, close: async () => client.close() };
  }
  const link = await connectCommand(options.nats);
  const findLeader = leaderFinder(link, options.cluster ?? "daymill");
  const client = new DaymillClient({ coordinators: addresses, findLeader, deadlineMs });
  return {
    client,
    addresses,
    close: async () => {
      client.close();
      await link.close();
    },
  };
}

function checkAddress(address: string): string {
  const [, port = ""] = /^(?:[^\s:/[\]]+|\[[\da-fA-F:.]+\]):(\d{1,5})$/.exec(address) ?? [];
  if (port !== "" && Number(port) > 0 && Number(port) < 65_536) return address;
  const text = `--coordinators ${address}: HOST:PORT is expected, as 127.0.0.1:${firstCoordinatorPort}`;
  throw fail("badRequest", `${text} (or in DAYMILL_COORDINATORS)`);
}

/** A NATS connection for one command: silent, and given up after a few seconds. */
export function connectCommand(nats: string): Promise<NatsLink> {
  const log = createLog("silent", {});
  return connectNats({
    servers: splitList(nats),
    name: "daymill-command",
    log,
    waitMs: limits.commandNatsMs,
  });
}

/** The registry may not be there yet: then nobody leads, and it is looked for again at the next call. */
function leaderFinder(link: NatsLink, cluster: string): () => Promise<string | undefined> {
  let registry: Registry | undefined;
  return async () => {
    try {
      registry ??= await openRegistry(link, { cluster });
      return (await registry.leader())?.address;
    } catch {
      registry = undefined;
      return undefined;
    }
  };
}

function splitList(text: string | undefined): readonly string[] {
  return (text ?? "")
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}
