/**
 * The connection to NATS: made once, kept for ever, every error of the client library in our words.
 * It knows nothing of streams or buckets; nats-*.ts beside it do. Only those files import @nats-io.
 */
import { JetStreamApiError } from "@nats-io/jetstream";
import { connect, errors, type NatsConnection } from "@nats-io/transport-node";
import { DaymillError, type FailureCode, fail } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";
import type { Log } from "../ports.ts";

export interface NatsOptions {
  /** `nats://host:port` or `host:port`; `user:password@` before the host is understood and never logged. */
  readonly servers: readonly string[];
  /** Shown in the server's monitoring. */
  readonly name: string;
  readonly log: Log;
  /** How long to try at start before giving up with `unavailable`. */
  readonly waitMs?: number;
}

export interface NatsLink {
  /** For the nats-*.ts adapters only. */
  readonly connection: NatsConnection;
  /** Version text of the server that we talk to now, e.g. `2.9.10`. */
  serverVersion(): string;
  /** Without credentials, for messages. */
  readonly address: string;
  /** Sends what is buffered, then closes; never takes longer than a second. */
  close(): Promise<void>;
}

/**
 * Connects and stays connected. Nobody answers within the wait: `unavailable`, naming the address. `badRequest`: the
 * credentials are not written as a URL has them.
 */
export async function connectNats(options: NatsOptions): Promise<NatsLink> {
  const address = options.servers.map(withoutCredentials).join(",");
  const credentials = credentialsOf(options.servers[0] ?? "", address);
  const until = performance.now() + (options.waitMs ?? limits.natsConnectMs);
  for (;;) {
    try {
      return wrap(await dial(options, credentials), address, options.log);
    } catch (error) {
      const refused = error instanceof errors.AuthorizationError;
      if (refused || performance.now() >= until) throw notUsable(address, refused, error);
      await new Promise((resume) => setTimeout(resume, 250));
    }
  }
}

function notUsable(address: string, refused: boolean, cause: unknown): DaymillError {
  const why = refused
    ? "it refused the credentials; check user and password in --nats"
    : "nothing answers there; start nats-server -js, or correct --nats (DAYMILL_NATS)";
  return fail("unavailable", `NATS at ${address} cannot be used: ${why}`, { address }, cause);
}

/** Up to the last @: a password may hold one, or a slash, as it is. */
const credentialed = /^(\w+:\/\/)?([^:]*)(?::(.*))?@/;

interface Credentials {
  readonly user?: string;
  readonly pass?: string;
}

function credentialsOf(server: string, address: string): Credentials {
  const [, , user = "", pass = ""] = credentialed.exec(server) ?? [];
  if (user === "") return {};
  try {
    return { user: decodeURIComponent(user), pass: decodeURIComponent(pass) };
  } catch {
    const text = `NATS at ${address}: user or password in --nats has a % that begins no code; write it as %25`;
    throw fail("badRequest", text, { address });
  }
}

function dial(options: NatsOptions, credentials: Credentials): Promise<NatsConnection> {
  return connect({
    servers: options.servers.map(withoutCredentials),
    name: options.name,
    // -1: for ever. A cluster that waits is better than one that must be started by hand.
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 100,
    timeout: 2_000,
    pingInterval: 10_000,
    maxPingOut: 2,
    ignoreAuthErrorAbort: true,
    ...credentials,
  });
}

function withoutCredentials(server: string): string {
  return server.replace(credentialed, "$1");
}

function wrap(connection: NatsConnection, address: string, log: Log): NatsLink {
  void follow(connection, address, log);
  return {
    connection,
    address,
    serverVersion: () => connection.info?.version ?? "unknown",
    async close() {
      const timer = new Promise<void>((resume) => setTimeout(resume, 1_000).unref());
      await Promise.race([connection.drain().catch(() => undefined), timer]);
      await Promise.race([connection.close().catch(() => undefined), timer]);
    },
  };
}

async function follow(connection: NatsConnection, address: string, log: Log): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === "disconnect") log.warn("NATS connection lost; reconnecting", { address });
    if (status.type === "reconnect") log.info("NATS connection is back", { address });
    if (status.type === "error") log.warn("NATS reports an error", { error: String(status.error) });
  }
}

/** JetStream's `err_code` → our code. What is not here is `unavailable` for 5xx and `internal` otherwise. */
const apiCodes: Readonly<Record<number, FailureCode>> = {
  10071: "journalConflict",
  10164: "journalConflict",
  10023: "exchangeFull",
  10047: "exchangeFull",
  10077: "exchangeFull",
  10122: "exchangeFull",
  10054: "messageTooLarge",
  10097: "messageTooLarge",
  10058: "conflict",
  10074: "badRequest",
  10039: "unavailable",
  10076: "unavailable",
  10059: "unavailable",
};

/** The stream is not there (any more). */
export function isStreamGone(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.code === 10059;
}

/**
 * Any error of the NATS libraries as ours; `doing` says what was tried and where ("append to the journal X").
 * `unavailable` means that it is not known whether the server did it.
 */
export function natsFailure(
  error: unknown,
  doing: string,
  about: Readonly<Record<string, string | number>> = {},
): DaymillError {
  if (error instanceof DaymillError) return error;
  const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  if (error instanceof JetStreamApiError) {
    const code = apiCodes[error.code] ?? (error.status >= 500 ? "unavailable" : "internal");
    const detail = { ...about, natsCode: error.code };
    return fail(code, `could not ${doing}: ${error.message} (NATS ${error.code})`, detail, error);
  }
  if (/max_payload|maximum payload/i.test(reason)) {
    return fail("messageTooLarge", `could not ${doing}: ${reason}`, undefined, error);
  }
  if (isConnectionTrouble(error)) {
    const hint = "is nats-server up, with JetStream (-js)?";
    return fail("unavailable", `could not ${doing}: ${reason}; ${hint}`, about, error);
  }
  return fail("internal", `could not ${doing}: ${reason}`, undefined, error);
}

function isConnectionTrouble(error: unknown): boolean {
  const kinds = [
    errors.TimeoutError,
    errors.RequestError,
    errors.NoRespondersError,
    errors.ConnectionError,
    errors.ClosedConnectionError,
    errors.DrainingConnectionError,
    errors.AuthorizationError,
    errors.PermissionViolationError,
    errors.UserAuthenticationExpiredError,
  ];
  if (kinds.some((kind) => error instanceof kind)) return true;
  // The library wraps some of them, and JetStream's own "not enabled" is a plain class.
  return error instanceof Error && /^(Timeout|JetStreamNotEnabled|JetStreamError)/.test(error.name);
}

/** true when `version` (`2.9.10`) is `least` or newer. */
export function versionAtLeast(version: string, least: string): boolean {
  const parts = (text: string) => text.split(/[.-]/).slice(0, 3).map(Number);
  const [have, want] = [parts(version), parts(least)];
  for (let i = 0; i < 3; i++) {
    const difference = (have[i] ?? 0) - (want[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/** Oldest server whose replicated streams can be trusted (2.9 drops "orphaned" streams, 2.10.20-22 may lose one). */
const oldestReplicated = "2.10.23";

/** Refuses replicated streams on servers that would lose them. */
export function checkReplicas(link: NatsLink, replicas: number): void {
  if (replicas === 1) return;
  const version = link.serverVersion();
  if (versionAtLeast(version, oldestReplicated)) return;
  throw fail(
    "versionMismatch",
    `--replicas ${replicas} needs nats-server ${oldestReplicated} or newer, ${link.address} runs ` +
      `${version}: upgrade the servers, or use --replicas 1`,
    { version, replicas },
  );
}
