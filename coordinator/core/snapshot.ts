/**
 * Durable state as one JSON text and back: what a new leader starts from instead of the whole journal.
 * Maps and sets are marked; everything else in durable state is plain JSON already.
 */
import { assert } from "../../shared/kernel/assert.ts";
import type { Durable } from "./durable.ts";

const snapshotVersion = 1;

export function encodeSnapshot(durable: Durable): string {
  return JSON.stringify({ version: snapshotVersion, durable }, (_, value: unknown) => {
    if (value instanceof Map) return { $map: [...value] };
    if (value instanceof Set) return { $set: [...value] };
    return value;
  });
}

/** The exact inverse. A snapshot of another version is a programmer error: versions are upgraded here. */
export function decodeSnapshot(text: string): Durable {
  const parsed = JSON.parse(text, (_, value: unknown) => {
    if (typeof value !== "object" || value === null) return value;
    if ("$map" in value) return new Map(value.$map as Iterable<[unknown, unknown]>);
    if ("$set" in value) return new Set(value.$set as Iterable<unknown>);
    return value;
  }) as { version: number; durable: Omit<Durable, "running"> & Partial<Pick<Durable, "running">> };
  assert(parsed.version === snapshotVersion, `snapshot version ${parsed.version} is known`);
  return { ...parsed.durable, running: parsed.durable.running ?? runningOf(parsed.durable) };
}

/** Snapshots of earlier versions don't list them. */
function runningOf({ attempts }: Pick<Durable, "attempts">): Set<string> {
  const ids = new Set<string>();
  for (const [id, { state }] of attempts) if (state === "running") ids.add(id);
  return ids;
}
