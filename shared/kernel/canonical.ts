/**
 * One text for one value: keys sorted, no spaces. What is hashed (map keys, digests) is always this text,
 * so two processes that mean the same thing name it the same way.
 */
import { assert } from "./assert.ts";

export type Json =
  | null
  | boolean
  | number
  | string
  | readonly Json[]
  | { readonly [key: string]: Json | undefined };

/** Canonical JSON. `undefined` members are left out; non-finite numbers are a programmer error. */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value === "boolean" || typeof value === "string") {
    return JSON.stringify(value);
  }
  if (typeof value === "number") {
    assert(Number.isFinite(value), "canonical JSON holds finite numbers only");
    return JSON.stringify(value);
  }
  const known = texts.get(value);
  if (known !== undefined && known !== "") return known;
  const text = isArray(value) ? `[${value.map(canonicalJson).join(",")}]` : objectText(value);
  if (known === "") texts.set(value, text);
  return text;
}

/** Texts of values that were said to be written often; empty until the first time. */
const texts = new WeakMap<object, string>();

/**
 * The same value, whose text is now made only once and kept as long as the value itself. For large parts that many
 * values share; it must never change.
 */
export function writtenOften<Value extends object>(value: Value): Value {
  if (!texts.has(value)) texts.set(value, "");
  return value;
}

function objectText(value: { readonly [key: string]: Json | undefined }): string {
  const members: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const member = value[key];
    if (member !== undefined) members.push(`${JSON.stringify(key)}:${canonicalJson(member)}`);
  }
  return `{${members.join(",")}}`;
}

function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}
