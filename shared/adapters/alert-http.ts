/**
 * One HTTP call to a receiver: with an end in time, without redirects, its answer read up to a bound. Addresses of the
 * own network are what an on-premises tool talks to; link-local ones are where clouds hand out a machine's credentials.
 */
import { type LookupAddress, lookup as lookUp } from "node:dns";
import { type IncomingMessage, type RequestOptions, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { limits } from "../kernel/limits.ts";

export interface HttpCall {
  readonly url: URL;
  readonly method: "GET" | "POST" | "HEAD";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** PEM texts: trusted instead of the well-known authorities. */
  readonly ca?: string;
  readonly allowLinkLocal: boolean;
  /** Ends the call, whatever it is at. */
  readonly signal: AbortSignal;
}

export interface HttpAnswer {
  readonly status: number;
  /** As it came; empty when there is none. */
  readonly retryAfter: string;
  /** The beginning of the answer; what came before it broke off counts. */
  readonly text: string;
}

/** The code of the error that refuses an address. */
export const linkLocalCode = "ELINKLOCAL";

/** Throws what Node throws; the code says what happened. */
export function callHttp(call: HttpCall): Promise<HttpAnswer> {
  const { url, method, headers, body, ca, signal } = call;
  const host = hostOf(url);
  if (!call.allowLinkLocal && isLinkLocal(host)) return Promise.reject(linkLocal());
  const options: RequestOptions = {
    method,
    headers:
      body === undefined ? headers : { ...headers, "content-length": Buffer.byteLength(body) },
    // A connection of its own each: one that was kept may have been closed by the other side.
    agent: false,
    signal,
    ...(call.allowLinkLocal ? {} : { lookup: guardedLookup }),
  };
  return new Promise((resolve, reject) => {
    const answered = (response: IncomingMessage) => resolve(answerOf(response));
    const request =
      url.protocol === "https:"
        ? requestHttps(
            url,
            { ...options, minVersion: "TLSv1.2", ...(ca === undefined ? {} : { ca }) },
            answered,
          )
        : requestHttp(url, options, answered);
    request.on("error", reject);
    request.end(body);
  });
}

/** Never throws: a status is an answer, whatever becomes of its text. */
async function answerOf(response: IncomingMessage): Promise<HttpAnswer> {
  const parts: Buffer[] = [];
  let size = 0;
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      parts.push(part.subarray(0, limits.sendAnswerBytesMax - size));
      size += part.length;
      if (size >= limits.sendAnswerBytesMax) break;
    }
  } catch {
    // What was read is what there is.
  }
  response.destroy();
  return {
    status: response.statusCode ?? 0,
    retryAfter: response.headers["retry-after"] ?? "",
    text: Buffer.concat(parts).toString("utf8"),
  };
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[|\]$/g, "");
}

const refused = new BlockList();
refused.addSubnet("169.254.0.0", 16);
refused.addSubnet("fe80::", 10, "ipv6");
refused.addAddress("fd00:ec2::254", "ipv6");
refused.addAddress("100.100.100.200");

/** Also those of the metadata services that lie elsewhere. */
export function isLinkLocal(address: string): boolean {
  const version = isIP(address);
  return version !== 0 && refused.check(address, version === 6 ? "ipv6" : "ipv4");
}

function linkLocal(): NodeJS.ErrnoException {
  return Object.assign(new Error("a link-local address"), { code: linkLocalCode });
}

/** Looks at the addresses that are connected to: a name may be given another one at any time. */
export const guardedLookup: LookupFunction = (host, options, done) => {
  lookUp(host, { ...options, all: true }, (error, found: LookupAddress[]) => {
    const [first] = found ?? [];
    if (error !== null) done(error, "", 0);
    else if (first === undefined || found.some(({ address }) => isLinkLocal(address))) {
      done(linkLocal(), "", 0);
    } else if (options.all === true) done(null, found);
    else done(null, first.address, first.family);
  });
};
