/**
 * Which coordinator to ask next: a pure table over what the last answer was. No I/O and no clock.
 * Only the leader acts; whoever else is asked may know where it is.
 */
import { classOf, type DaymillError, type Failure, fail } from "../shared/kernel/failure.ts";

/** Where a search for the leader stands. */
export interface Search {
  /** Known coordinators, in the order in which they are tried. */
  readonly addresses: readonly string[];
  /** Who was last said to lead; asked first. */
  readonly leader: string | undefined;
  /** Answers since the last useful one. */
  readonly misses: number;
  /** Has anybody ever been there, leader or not? Then one may be there again soon. */
  readonly heard: boolean;
}

export type Next =
  | { readonly kind: "ask"; readonly search: Search; readonly waitMs: number }
  | { readonly kind: "giveUp" };

/** A search over the given addresses, each once, in order. */
export function startSearch(addresses: readonly string[]): Search {
  return { addresses: [...new Set(addresses)], leader: undefined, misses: 0, heard: false };
}

/** The address to ask now; undefined when none is known at all. */
export function addressOf(search: Search): string | undefined {
  if (search.leader !== undefined) return search.leader;
  return search.addresses[search.misses % Math.max(1, search.addresses.length)];
}

/** After a useful answer of `address`: it is the leader, as far as we know. */
export function answered(search: Search, address: string): Search {
  const addresses = withAddress(search.addresses, address);
  return { addresses, leader: address, misses: 0, heard: true };
}

/** After a failure of `asked`. Refusals of the request itself are not retried anywhere. */
export function missed(search: Search, asked: string, failure: Failure): Next {
  if (!isElsewhere(failure)) return { kind: "giveUp" };
  const hint = failure.detail?.["leader"];
  const misses = search.misses + 1;
  const heard = search.heard || failure.detail?.["unreached"] === undefined;
  if (typeof hint === "string" && hint !== "" && hint !== asked) {
    const addresses = withAddress(search.addresses, hint);
    const next = { addresses, leader: hint, misses, heard };
    return { kind: "ask", search: next, waitMs: waitAfter(misses) };
  }
  const next = { addresses: search.addresses, leader: undefined, misses, heard };
  return { kind: "ask", search: next, waitMs: waitAfter(misses, search.addresses.length) };
}

/** May another coordinator, or the same one a little later, give what was asked for? */
export function isElsewhere(failure: Failure): boolean {
  if (failure.code === "timeout") return true;
  const { retryable, grpc } = classOf(failure.code);
  return failure.code === "notLeader" || (retryable && grpc === "UNAVAILABLE");
}

/** The first round goes without a pause; then 100 ms, doubling to a second. */
function waitAfter(misses: number, roundLength = 2): number {
  const rounds = Math.floor(misses / Math.max(1, roundLength));
  return rounds === 0 ? 0 : Math.min(1_000, 100 * 2 ** (rounds - 1));
}

function withAddress(addresses: readonly string[], address: string): readonly string[] {
  return addresses.includes(address) ? addresses : [...addresses, address];
}

const wayOut =
  "start one with: daymill up; or say where it is with --coordinators HOST:PORT or --nats URL";

/** The end of a search that has found nobody. `canAsk`: somebody else could be asked who leads. */
export function nobodyLeads(
  { addresses, heard }: Search,
  canAsk: boolean,
  deadlineMs: number,
  failure: Failure | undefined,
  cause: unknown,
): DaymillError {
  const asked = addresses.join(", ");
  const found = { asked };
  const unreached = failure?.detail?.["unreached"];
  if (!heard && unreached !== undefined && !canAsk) {
    const tried = `no coordinator at ${asked} (${unreached})`;
    return fail("noLeader", `no cluster found: ${tried}; ${wayOut}`, found, cause);
  }
  const whom = asked === "" ? "nobody: no address is known" : asked;
  const last = failure === undefined ? "" : ` (last answer: ${failure.message})`;
  const text = `no leader found within ${deadlineMs / 1_000} s; asked ${whom}${last}; ${wayOut}`;
  const code = failure !== undefined && !isElsewhere(failure) ? failure.code : "noLeader";
  return fail(code, text, found, cause);
}
