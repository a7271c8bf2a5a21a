/**
 * A scenario is a value: what it proves, which cluster and day it wants, which faults come when, and what must hold
 * besides the checks that every scenario ends with. run-scenario.ts carries it out.
 */
import { type DaymillError, type Failure, fail } from "../../shared/kernel/failure.ts";
import type { Draw } from "./draw.ts";
import type { JournalView, Seen } from "./journal-watch.ts";
import type { Shape, World } from "./world.ts";

/** Where the journal was when a fault came. */
export interface Mark {
  /** Facts seen before it. */
  readonly index: number;
  readonly epoch: number;
  readonly sequence: number;
  readonly atMs: number;
}

export interface Fault {
  /** The position, for people: `after finished map task 5`. */
  readonly when: string;
  /** Has the position been reached? Asked again with every look at the journal. */
  readonly due: (view: JournalView, world: World, msSinceSubmit: number) => boolean;
  /** It may also come when the run has ended; otherwise it did not fire then. */
  readonly mayComeAfterTheEnd?: boolean;
  /** A run that ends before it came is no failure. */
  readonly isOptional?: boolean;
  readonly what: string;
  /** What has to be in place at the position, done just before the fault; its time is not the fault's. */
  readonly prepare?: (world: World) => Promise<void>;
  /** Does it. May give details for the report, e.g. who was hit. What lasts calls `struck` as soon as it is in place. */
  readonly inject: (
    world: World,
    mark: Mark,
    struck: () => Promise<void>,
  ) => Promise<string | undefined>;
  /** Asked when it has struck, or right after `inject`: true when it came too late to be this fault. */
  readonly missed?: (view: JournalView) => boolean;
  /** Is this the first fact of the recovery? Default: any progress of the run. */
  readonly recovered?: (seen: Seen, mark: Mark, world: World) => boolean;
}

/** What a seed made of a scenario. */
export interface Plan {
  readonly shape?: Partial<Shape>;
  /** After the cluster is up, before the day is submitted. */
  readonly before?: (world: World) => Promise<void>;
  /** In this order, all within the first run unless they say otherwise. */
  readonly faults: readonly Fault[];
  /** How the first run must end; default committed. */
  readonly ends?: "committed" | "failed";
  /** How long the first run may take after the last fault; default patienceMs. */
  readonly withinMs?: number;
  /** After the first run has ended: more to do and to check. Throws when something is not as it must be. */
  readonly after?: (world: World, run: string) => Promise<void>;
}

export interface Scenario {
  /** As on the command line. */
  readonly name: string;
  readonly proves: string;
  /** `wanted`: so many faults, where the scenario itself does not say how many; 0: as the seed says. */
  readonly plan: (draw: Draw, wanted: number) => Plan;
}

/** Facts that mean that a run moves. */
export function isProgress({ fact }: Seen): boolean {
  switch (fact.kind) {
    case "runPlanned":
    case "attemptStarted":
    case "attemptDone":
    case "taskReused":
    case "checksStarted":
    case "commitStarted":
    case "runCommitted":
    case "runEnded":
      return true;
    default:
      return false;
  }
}

/** Progress under another leader than the one at the mark. */
export function movesUnderNewLeader(seen: Seen, mark: Mark): boolean {
  return seen.epoch > mark.epoch && isProgress(seen);
}

/** This machine, or this data, does not allow the scenario: it is skipped aloud. */
export function skip(why: string, cause?: unknown): DaymillError {
  return fail("unavailable", why, { skipped: "yes" }, cause);
}

export function isSkip({ detail }: Failure): boolean {
  return detail?.["skipped"] === "yes";
}

/** What must hold, or the trial fails with this text. */
export function insist(holds: boolean, otherwise: string): void {
  if (!holds) throw fail("conflict", otherwise);
}

/** The first few of many, for a line that people read. */
export function few(texts: readonly string[]): string {
  const [shown, more] = [texts.slice(0, 4).join(", "), texts.length - 4];
  return more > 0 ? `${shown} and ${more} more` : shown;
}
