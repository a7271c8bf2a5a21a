/**
 * What a map attempt gave, told in the exchange itself beside its rows: a leader that lost its journal finds the output
 * again by it. It is sent after every completion record of the attempt is stored, to one stream only, so an attempt
 * that has one is whole. It proves nothing about rows: readers check records and checksums as always.
 */
import { canonicalJson, type Json } from "./canonical.ts";
import type { AttemptSuccess, Split } from "./work.ts";

export interface MapAccount {
  readonly version: 1;
  readonly attemptId: string;
  readonly mapKey: string;
  /** What was read: a day that is planned anew has to be cut like this for the key to be the same. */
  readonly split: Split;
  /** As it was reported to the leader. Without dataset files: those go with their run. */
  readonly success: AttemptSuccess;
}

export function formatMapAccount(account: MapAccount): string {
  return canonicalJson(account as unknown as Json);
}

/** undefined for any text that is none, or one whose lines do not add up. */
export function parseMapAccount(text: string): MapAccount | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isMapAccount(value) ? value : undefined;
}

function isMapAccount(value: unknown): value is MapAccount {
  if (!isObject(value)) return false;
  const { version, attemptId, mapKey, split, success } = value as Partial<MapAccount>;
  if (version !== 1 || typeof attemptId !== "string" || typeof mapKey !== "string") return false;
  if (!isList(split?.files) || split.files.length === 0) return false;
  return success?.kind === "done" && isWhole(split, success);
}

/** Every file of the split is accounted for, and every line of it. */
function isWhole({ files }: Split, success: Partial<AttemptSuccess>): boolean {
  const { outputs, accounts, counters, rejectsFile = "", lateFile = "" } = success;
  if (!isList(outputs) || !isList(accounts) || !isObject(counters)) return false;
  if (typeof rejectsFile !== "string" || typeof lateFile !== "string") return false;
  if (!isList(success.files) || success.files.length > 0) return false;
  if (accounts.length !== files.length) return false;
  return accounts.every(({ file, contentSha256, lines, rows, rejects, blank }, index) => {
    if (typeof contentSha256 !== "string" || file?.path !== files[index]?.path) return false;
    return rows + rejects + blank === lines;
  });
}

/** An array of objects, as all of an account are. */
function isList<Entry>(value: readonly Entry[] | undefined): value is readonly Entry[] {
  return Array.isArray(value) && value.every(isObject);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
