/**
 * Secrets of channels: read when something is sent and kept nowhere, and taken out of every text that leaves. What a
 * receiver or a library says about a failed try may repeat a password, a URL with its token or a header.
 */
import { readFile, stat } from "node:fs/promises";
import { fail } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";
import type { SecretRef } from "./alert-channel.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Secrets read for one try; what was read is known to `scrub`. */
export interface SecretReader {
  /** Errors: `unavailable` naming the field, and the variable or file, when there is none. */
  read(field: string, ref: SecretRef): Promise<string>;
  /** Keeps a text that is a secret although it was written out. */
  keep(secret: string): void;
  /** The text without what was read. */
  scrub(text: string): string;
}

export function secretReader(environment: Environment): SecretReader {
  const known = new Set<string>();
  return {
    async read(field, ref) {
      const value = await secretAt(field, ref, environment);
      known.add(value);
      return value;
    },
    keep: (secret) => void known.add(secret),
    scrub: (text) => scrubbed(text, [...known]),
  };
}

async function secretAt(field: string, ref: SecretRef, environment: Environment): Promise<string> {
  const missing = (what: string) => fail("unavailable", `${field}: ${what}`, { field });
  if ("env" in ref) {
    const value = environment[ref.env];
    if (value !== undefined && value.trim() !== "") return value.trim();
    throw missing(`the environment variable ${ref.env} is not set; set it for each coordinator`);
  }
  const { file } = ref;
  let text: string;
  try {
    if ((await stat(file)).size > limits.secretBytesMax) {
      throw missing(`${file} is over ${limits.secretBytesMax} bytes; it holds the secret alone`);
    }
    text = (await readFile(file, "utf8")).trim();
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code;
    if (errno === undefined) throw error;
    throw missing(`${file} cannot be read (${errno}); it holds the secret alone`);
  }
  if (text === "") throw missing(`${file} is empty; it holds the secret alone`);
  return text;
}

/** Secrets shorter than this are taken out whole only: their parts would be everywhere. */
const partUnitsMin = 6;

/** Each secret, and the parts and forms in which it may come back, replaced by `***`. */
export function scrubbed(text: string, secrets: readonly string[]): string {
  const forms = new Set(secrets.flatMap(formsOf));
  let clean = text;
  for (const form of [...forms].sort((a, b) => b.length - a.length)) {
    if (form !== "") clean = clean.replaceAll(form, "***");
  }
  // What stands around a mark may make up a secret that holds stars itself.
  return secrets.some((secret) => secret !== "" && clean.includes(secret)) ? "***" : clean;
}

function formsOf(secret: string): readonly string[] {
  const parts = [secret, ...urlParts(secret), ...secret.split(/\s+/).filter(isPart)];
  return parts.flatMap((part) => [
    part,
    encodeURIComponent(part.replace(/\p{Surrogate}/gu, "")),
    JSON.stringify(part).slice(1, -1),
    Buffer.from(part).toString("base64"),
    Buffer.from(part).toString("base64url"),
  ]);
}

/** What of a URL gives it away: path, its last segments, query, login. */
function urlParts(secret: string): readonly string[] {
  if (!URL.canParse(secret)) return [];
  const { pathname, search, username, password, searchParams } = new URL(secret);
  const parts = [pathname.slice(1), search, username, password];
  return [...parts, ...pathname.split("/"), ...searchParams.values()].filter(isPart);
}

function isPart(text: string): boolean {
  return text.length >= partUnitsMin;
}
