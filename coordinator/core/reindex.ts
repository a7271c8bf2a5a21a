/**
 * Map outputs that lie in the exchange and that durable state does not know, because the journal that said so is lost.
 * Found again by the accounts that their attempts left there. Values only: what was read in, what may be used out.
 * A wrong guess costs a task that runs again, never rows: readers prove what they take.
 */
import { latestGeneration } from "../../shared/kernel/exchange-names.ts";
import { type MapAccount, parseMapAccount } from "../../shared/kernel/map-account.ts";
import { type Split, sameFile } from "../../shared/kernel/work.ts";
import type { Kept, TaskResult } from "./durable.ts";
import type { PlannedExchange } from "./facts.ts";
import type { Answer, ListedSource } from "./protocol.ts";

type Completions = Extract<Answer, { kind: "completions" }>;

export interface FoundOutput {
  readonly scope: string;
  /** How the files of its task were cut. */
  readonly split: Split;
  readonly result: TaskResult & { readonly mapKey: string };
}

/**
 * Where outputs of these exchanges may lie: the streams of the latest generation that is whole. A scope all of whose
 * exchanges are not there is left out; one that is known already stays with the streams that it has.
 */
export function exchangesThere(
  planned: readonly PlannedExchange[],
  kept: ReadonlyMap<string, Kept>,
  there: ReadonlySet<string>,
): readonly PlannedExchange[] {
  return byScope(planned).flatMap(([scope, own]) => {
    const found = own.flatMap((exchange) => {
      const latest = kept.has(scope)
        ? exchange.streams
        : (latestGeneration(exchange.streams, there) ?? []);
      const isWhole = latest.length > 0 && latest.every((stream) => there.has(stream));
      return isWhole ? [{ ...exchange, streams: latest }] : [];
    });
    return found.length === own.length ? found : [];
  });
}

/** The outputs of `run`'s scans that can be used: one for each map key. */
export function findOutputs(
  run: string,
  exchanges: readonly PlannedExchange[],
  { streams, staged }: Completions,
): readonly FoundOutput[] {
  const records = new Map(streams.map((one) => [one.stream, one]));
  const files = new Set(staged);
  return byScope(exchanges).flatMap(([scope, own]) => {
    const read = own.flatMap((exchange) => exchange.streams).map((name) => records.get(name));
    const complete = read.map((one) => new Set(one?.complete));
    const found = new Map<string, FoundOutput>();
    for (const text of read.flatMap((one) => one?.accounts ?? [])) {
      const account = parseMapAccount(text);
      if (account === undefined || found.has(account.mapKey)) continue;
      const { attemptId, mapKey, split, success } = account;
      const isWhole = complete.every((attempts) => attempts.has(attemptId));
      if (!isWhole || !fills(own, account) || !hasSideFiles(run, account, files)) continue;
      const { kind: _, checkValue: __, ...rest } = success;
      found.set(mapKey, { scope, split, result: { ...rest, attemptId, executor: "", mapKey } });
    }
    return [...found.values()];
  });
}

/** It wrote each of the scope's exchanges, and no other. */
function fills(own: readonly PlannedExchange[], { success }: MapAccount): boolean {
  const written = success.outputs.map((output) => output.exchange).sort();
  const due = own.map((exchange) => exchange.exchange).sort();
  return written.join() === due.join();
}

/** Reject and late files are moved by the commit: only those that still lie in the run's own staging can be taken. */
function hasSideFiles(run: string, { success }: MapAccount, staged: ReadonlySet<string>): boolean {
  const paths = [success.rejectsFile, success.lateFile].filter((path) => path !== undefined);
  return paths.every((path) => path.startsWith(`staging/${run}/`) && staged.has(path));
}

/**
 * How a source was cut, as far as it is known or found, for `cutSource` to go on from: no file is in two splits, and a
 * file that was cut by rows has either all of its ranges or none.
 */
export function formerSplits(
  { files, rows }: ListedSource,
  known: readonly Split[],
  found: readonly Split[],
): readonly Split[] {
  const listed = new Map(files.map((file, index) => [file.path, { file, rows: rows?.[index] }]));
  const taken = new Set(known.flatMap((split) => split.files.map(({ path }) => path)));
  const splits = [...known];
  const isFree = (split: Split) =>
    split.files.every((file) => {
      const is = listed.get(file.path)?.file;
      return is !== undefined && !taken.has(file.path) && sameFile(is, file);
    });
  const take = (chosen: readonly Split[]) => {
    splits.push(...chosen);
    for (const split of chosen) for (const { path } of split.files) taken.add(path);
  };
  const ordered = [...found].sort(byPlace);
  for (const split of ordered) if (split.rows === undefined && isFree(split)) take([split]);
  for (const [path, { rows: all }] of listed) {
    const ranges = ordered.filter(
      (split) => split.rows !== undefined && split.files[0]?.path === path && isFree(split),
    );
    take(covering(ranges, all ?? 0));
  }
  return splits;
}

function byPlace(one: Split, other: Split): number {
  const [a = "", b = ""] = [one.files[0]?.path, other.files[0]?.path];
  if (a !== b) return a < b ? -1 : 1;
  return (one.rows?.from ?? 0) - (other.rows?.from ?? 0);
}

/** Ranges that follow each other from the first row to the last; none when there is a gap. */
function covering(ranges: readonly Split[], rows: number): readonly Split[] {
  const chain: Split[] = [];
  for (let at = 0; at < rows; ) {
    const next = ranges.find((split) => split.rows?.from === at && split.rows.to > at);
    if (next?.rows === undefined) return [];
    chain.push(next);
    at = next.rows.to;
    if (at > rows) return [];
  }
  return chain;
}

function byScope(
  exchanges: readonly PlannedExchange[],
): readonly (readonly [string, readonly PlannedExchange[]])[] {
  const scopes = new Map<string, PlannedExchange[]>();
  for (const exchange of exchanges) {
    if (exchange.scope === undefined) continue;
    const own = scopes.get(exchange.scope) ?? [];
    own.push(exchange);
    scopes.set(exchange.scope, own);
  }
  return [...scopes];
}
