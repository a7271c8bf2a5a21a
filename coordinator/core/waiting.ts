/**
 * Runs that do not go on because storage or the exchange take nothing at the moment: a full disk, a read-only mount, a
 * missing right. Nothing has failed for good, it is tried again and again; but whoever looks at the run must see why it
 * stands still. Kept by this process only: the next leader meets the same trouble and says so itself.
 */
import { type Failure, isStorageRefusal } from "../../shared/kernel/failure.ts";
import type { Run } from "./durable.ts";
import { makeRoomOnStorage } from "./space.ts";
import type { CoordinatorState } from "./state.ts";
import { log, publish, type Turn, tell } from "./turn.ts";

/** `what`: the part of the run that can't go on, a task or an ask. */
export function waits(turn: Turn, run: Run, what: string, why: Failure): void {
  if (!isStorageRefusal(why.code) && why.code !== "storageFailed" && why.code !== "exchangeFull")
    return;
  if (why.code === "storageFull") makeRoomOnStorage(turn);
  const { waiting } = turn.state;
  const reasons = waiting.get(run.id);
  if (reasons !== undefined) {
    reasons.set(what, why);
    return;
  }
  waiting.set(run.id, new Map([[what, why]]));
  log(turn, "warn", `run waits: ${why.message}`, { run: run.id, code: why.code });
  publish(turn, run, "run.waiting", { run: run.id, failure: why });
  tell(turn, { kind: "runChanged", run: run.id });
}

export function goesOn(turn: Turn, run: Run, what: string): void {
  const { waiting } = turn.state;
  const reasons = waiting.get(run.id);
  if (reasons === undefined || !reasons.delete(what) || reasons.size > 0) return;
  waiting.delete(run.id);
  log(turn, "info", "run goes on", { run: run.id });
  publish(turn, run, "run.resumed", { run: run.id });
  tell(turn, { kind: "runChanged", run: run.id });
}

/** The run has ended, or will: what it waited for does not matter any more. */
export function waitsNoMore({ waiting }: CoordinatorState, run: string): void {
  waiting.delete(run);
}
