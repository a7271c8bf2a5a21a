/**
 * Fields of the file of alerts as zod schemas: secrets, URLs, addresses, durations. What is refused is never repeated:
 * it may be a secret in the wrong place.
 */
import { isIP } from "node:net";
import { z } from "zod";
import { durationMs } from "../kernel/time.ts";
import type { SecretRef, UrlPlace } from "./alert-channel.ts";

const howToName = "write { env: NAME } for an environment variable or { file: PATH } for a file";

/** Where a secret is read; a secret that is written out is refused. */
export const secret = z.unknown().transform((value, context): SecretRef => {
  const ref = refOf(value);
  if (typeof ref !== "string") return ref;
  context.addIssue({ code: "custom", message: ref });
  return z.NEVER;
});

/** The reference, or why there is none. */
function refOf(value: unknown): SecretRef | string {
  if (value === undefined) return `is missing: ${howToName}`;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return `a secret does not stand in this file: ${howToName}`;
  }
  const [[key, text] = ["", undefined], ...more] = Object.entries(value);
  if (more.length > 0 || typeof text !== "string") return `one of the two: ${howToName}`;
  if (key === "env") {
    return /^[A-Z_][A-Z0-9_]{0,127}$/.test(text)
      ? { env: text }
      : "env names an environment variable: capitals, digits and _";
  }
  if (key !== "file") return `one of the two: ${howToName}`;
  return text !== "" && text.length <= 1_000 && !text.includes("\0")
    ? { file: text }
    : "file is the path of a file that holds the secret and nothing else";
}

/** A URL that is a secret itself, because whoever has it may post. */
export const secretUrl = secret;

/** A URL in the open, as long as nothing in it looks like a secret; or where it is read. */
export const openUrl = z.unknown().transform((value, context): UrlPlace => {
  if (typeof value !== "string") {
    const ref = refOf(value);
    if (typeof ref !== "string") return ref;
    context.addIssue({
      code: "custom",
      message: ref.replace("a secret does", "a URL as a text, or"),
    });
    return z.NEVER;
  }
  const problem = openUrlProblem(value);
  if (problem === undefined) return value;
  context.addIssue({ code: "custom", message: problem });
  return z.NEVER;
});

/** Why a URL may not stand in the file; undefined when it may. */
export function openUrlProblem(text: string): string | undefined {
  const url = httpUrl(text);
  if (url === undefined) return "a URL such as https://host:port/path is expected (http or https)";
  if (url.username !== "" || url.password !== "") {
    return `the URL holds a login, which does not stand in this file: ${howToName} of the whole URL`;
  }
  if (url.hash !== "") return "a URL that is called has no # part";
  const words = [...url.pathname.split("/"), ...url.searchParams.values()];
  const named = [...url.searchParams.keys()].some((name) =>
    /key|token|secret|sig|pass|auth|code/i.test(name),
  );
  if (!named && !words.some(looksSecret)) return undefined;
  return `the URL seems to hold a token, which does not stand in this file: ${howToName} of the whole URL`;
}

/** Long, and not a word that people choose. */
function looksSecret(word: string): boolean {
  if (/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/i.test(word)) return true;
  const mixed = (run: string) => /\d/.test(run) && /[A-Za-z]/.test(run);
  if ((word.match(/[A-Za-z0-9]{16,}/g) ?? []).some(mixed)) return true;
  return (word.match(/[A-Za-z0-9_-]{24,}/g) ?? []).some(
    (run) => mixed(run) && /[A-Z]/.test(run) && /[a-z]/.test(run),
  );
}

/** The URL, when it is one that can be called. */
export function httpUrl(text: string): URL | undefined {
  if (text.length > 4_000 || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  return url.protocol === "http:" || url.protocol === "https:" ? url : undefined;
}

const address =
  /^[^\s@<>"(),:;\\[\]\p{Cc}]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?$/u;

export const mailAddress = z.string().regex(address, "an address such as ops@example.net");

/** An address, with a name before it or without. */
export const mailSender = z.string().refine((text) => {
  const named = /^[^<>"\p{Cc}]{1,80} <([^<>]+)>$/u.exec(text);
  return address.test(named?.[1] ?? text);
}, "an address such as daymill@example.net, or Daymill <daymill@example.net>");

export const hostName = z
  .string()
  .refine(
    (text) =>
      isIP(text) !== 0 || /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/.test(text),
    "the name or address of a host, without port and protocol",
  );

/** A duration between two bounds, as milliseconds. */
export function duration(least: string, most: string) {
  const [leastMs = 0, mostMs = 0] = [durationMs(least), durationMs(most)];
  return z.unknown().transform((value, context): number => {
    const ms = typeof value === "string" ? durationMs(value) : undefined;
    if (ms !== undefined && ms >= leastMs && ms <= mostMs) return ms;
    const message = `a duration from ${least} to ${most}, such as 90s, 30m, 2h or 1d`;
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  });
}

export const timeOfDay = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$/, "a time of day from 00:00 to 23:59, such as 06:00, quoted");

/** The path of a file with certificates. */
export function filePath() {
  return z.string().min(1).max(1_000, "the path of a PEM file");
}
