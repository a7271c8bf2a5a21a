/**
 * Signatures as Standard Webhooks has them: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`, one for each
 * secret, so that a secret can be changed without a message that nobody can check.
 */
import { createHmac } from "node:crypto";
import { fail } from "../kernel/failure.ts";

export interface Signed {
  readonly "webhook-id": string;
  /** Epoch seconds of this try. */
  readonly "webhook-timestamp": string;
  readonly "webhook-signature": string;
}

/** Errors: `unavailable` naming the field of a secret that is none. */
export function signed(
  id: string,
  body: string,
  wallMs: number,
  secrets: readonly { readonly field: string; readonly value: string }[],
): Signed {
  const timestamp = String(Math.floor(wallMs / 1_000));
  const signatures = secrets.map(({ field, value }) => {
    const mac = createHmac("sha256", keyOf(field, value)).update(`${id}.${timestamp}.${body}`);
    return `v1,${mac.digest("base64")}`;
  });
  return {
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": signatures.join(" "),
  };
}

function keyOf(field: string, secret: string): Buffer {
  const [, text = ""] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? [];
  const key = Buffer.from(text, "base64");
  if (key.length >= 24 && key.length <= 64) return key;
  const message =
    `${field}: a signing secret is whsec_ and the base64 of 24 to 64 random bytes; make one with ` +
    'printf "whsec_%s" "$(openssl rand -base64 32)"';
  throw fail("unavailable", message, { field });
}
