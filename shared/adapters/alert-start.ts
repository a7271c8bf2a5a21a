/**
 * What of the channels is not in order before anything has to be sent: secrets that are not there, hosts that do not
 * answer. Reasons name fields, never what stands in them.
 */
import { connect } from "node:net";
import { fail, fromUnknown } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";
import { networkFailure } from "./alert-answer.ts";
import { type ChannelSpec, type HeartbeatSpec, secretsOf } from "./alert-channel.ts";
import { httpUrl } from "./alert-file-fields.ts";
import { isLinkLocal } from "./alert-http.ts";
import { type Environment, secretReader } from "./alert-secrets.ts";

export interface StartWarning {
  readonly channel: string;
  readonly reason: string;
}

/** Secrets that could not be read now. */
export async function secretWarnings(
  { channels, heartbeat }: { channels: readonly ChannelSpec[]; heartbeat?: HeartbeatSpec },
  environment: Environment,
): Promise<readonly StartWarning[]> {
  const needed = channels.flatMap((spec) =>
    secretsOf(spec).map((secret) => ({ channel: spec.name, ...secret })),
  );
  if (typeof heartbeat?.url === "object") {
    needed.push({ channel: "heartbeat", field: "heartbeat.url", ref: heartbeat.url });
  }
  const warnings: StartWarning[] = [];
  for (const { channel, field, ref } of needed) {
    try {
      await secretReader(environment).read(field, ref);
    } catch (error) {
      warnings.push({ channel, reason: fromUnknown(error).message });
    }
  }
  return warnings;
}

/** Channels whose host takes no connection now. */
export async function reachWarnings(
  channels: readonly ChannelSpec[],
  environment: Environment,
  signal: AbortSignal,
): Promise<readonly StartWarning[]> {
  const found = await Promise.all(
    channels.map(async (spec): Promise<StartWarning | undefined> => {
      try {
        const to = await hostOf(spec, environment);
        // It is refused when something is sent; not even knocked at now.
        if (!isLinkLocal(to.host)) await reach(to, signal);
        return undefined;
      } catch (error) {
        if (signal.aborted) return undefined;
        const known = fromUnknown(error);
        const { message } = known.code === "internal" ? networkFailure(error) : known;
        return { channel: spec.name, reason: message };
      }
    }),
  );
  return found.filter((warning) => warning !== undefined);
}

interface Host {
  readonly host: string;
  readonly port: number;
}

async function hostOf(spec: ChannelSpec, environment: Environment): Promise<Host> {
  if (spec.kind === "email") return { host: spec.host, port: spec.port };
  const field = `channels.${spec.name}.url`;
  const text =
    typeof spec.url === "string" ? spec.url : await secretReader(environment).read(field, spec.url);
  const url = httpUrl(text);
  if (url === undefined)
    throw fail("unavailable", `${field}: what is there is no http or https URL`);
  const port = url.port === "" ? (url.protocol === "https:" ? 443 : 80) : Number(url.port);
  return { host: url.hostname.replace(/^\[|\]$/g, ""), port };
}

function reach(to: Host, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...to, timeout: limits.reachMs });
    const end = (act: () => void) => {
      signal.removeEventListener("abort", stop);
      socket.destroy();
      act();
    };
    const stop = () => end(() => reject(signal.reason));
    signal.addEventListener("abort", stop, { once: true });
    socket.once("connect", () => end(resolve));
    socket.once("error", (error) => end(() => reject(error)));
    socket.once("timeout", () =>
      end(() => reject(Object.assign(new Error("timeout"), { code: "ETIMEDOUT" }))),
    );
  });
}
