/**
 * Saving what was decided: one append at a time, carrying every fact decided since the last one, after exactly the
 * record that we know as the last. What comes back decides: saved → held effects leave in order; somebody else's
 * record there → we no longer lead; not known → read and see. Effects never leave before their facts are saved.
 */
import { limits } from "../../shared/kernel/limits.ts";
import { encodeFacts, unitsOf } from "./journal-text.ts";
import type { Effect } from "./protocol.ts";
import { encodeSnapshot } from "./snapshot.ts";
import type { Answered, Flight, JournalState } from "./state.ts";
import { askLater, askNow, backoffMs, epochOf, log, retryLater, type Turn } from "./turn.ts";

/** Result of an answer about the journal: go on, or somebody else leads. */
export type JournalVerdict = "fine" | "deposed";

/** Starts the next append if one is due and none is under way. Called once at the end of each step. */
export function pump(turn: Turn): void {
  const { state } = turn;
  const { journal } = state;
  if (state.role.kind !== "leader" || journal.flight !== undefined) return;
  if (journal.unsaved.length === 0) return;
  const facts = journal.unsaved;
  journal.unsaved = [];
  journal.appends++;
  const texts = encodeFacts(state.role.epoch, journal.appends, facts);
  // All decided facts are in this append, so durable state is what it will be once the append is saved.
  journal.unitsSinceSnapshot += unitsOf(texts);
  const snapshot = isSnapshotDue(journal, texts.length) ? encodeSnapshot(state.durable) : undefined;
  journal.flight = { texts, next: 0, tries: 0, facts: facts.length, snapshot };
  sendAppend(turn, journal.flight);
}

/** Not before the journal has grown by as much as the last snapshot: else large states would do little but write them. */
function isSnapshotDue(journal: JournalState, records: number): boolean {
  if (journal.snapshotting) return false;
  const { unitsSinceSnapshot: units, snapshotUnits } = journal;
  const isLong = journal.recordsSinceSnapshot + records >= limits.snapshotEveryRecords;
  const isLarge =
    units >= limits.snapshotEveryUnits && snapshotUnits <= limits.snapshotUnitsEagerMax;
  return (isLong || isLarge) && units >= snapshotUnits;
}

function sendAppend(turn: Turn, flight: Flight): void {
  const text = flight.texts[flight.next] ?? "";
  const expected = turn.state.journal.sequence;
  const epoch = epochOf(turn);
  askNow(turn, { kind: "append", epoch, expected, text }, { kind: "append" });
}

/** Answer to an append. Any failure leaves open whether it was saved, a conflict too: ours may have come late. */
export function appendAnswered(turn: Turn, { answer }: Answered): void {
  const { flight, sequence } = turn.state.journal;
  if (flight === undefined) return;
  if (answer.kind === "appended") {
    partSaved(turn, flight, answer.sequence);
    return;
  }
  const body = { kind: "readJournal", from: sequence + 1, recordsMax: 1 } as const;
  const purpose = { kind: "verify" } as const;
  // A server without room refuses at once, each time: it must not be asked in a circle.
  const pauseMs =
    flight.tries === 0 ? 0 : Math.min(backoffMs(flight.tries - 1), limits.appendRetryMsMax);
  flight.tries++;
  if (pauseMs === 0) askNow(turn, body, purpose);
  else askLater(turn, body, purpose, pauseMs);
}

/** What the journal really has after the last record that we know of. */
export function verifyAnswered(turn: Turn, answered: Answered): JournalVerdict {
  const { journal } = turn.state;
  const { flight } = journal;
  const { answer } = answered;
  if (flight === undefined) return "fine";
  if (answer.kind !== "records") {
    retryLater(turn, answered);
    return "fine";
  }
  // A journal that went back was lost: whoever leads next starts from snapshot and manifests.
  if (answer.last < journal.sequence) {
    turn.state.journalWentBack = true;
    return "deposed";
  }
  const [record] = answer.records;
  if (record === undefined) sendAppend(turn, flight);
  else if (record.text === flight.texts[flight.next]) partSaved(turn, flight, record.sequence);
  else return "deposed";
  return "fine";
}

function partSaved(turn: Turn, flight: Flight, sequence: number): void {
  const { journal } = turn.state;
  journal.sequence = sequence;
  journal.recordsSinceSnapshot++;
  flight.next++;
  flight.tries = 0;
  if (flight.next < flight.texts.length) {
    sendAppend(turn, flight);
    return;
  }
  journal.saved += flight.facts;
  journal.flight = undefined;
  release(turn, journal);
  if (flight.snapshot === undefined) return;
  journal.snapshotting = true;
  const { snapshot: texts } = flight;
  journal.snapshotUnits = unitsOf(texts);
  journal.unitsSinceSnapshot = 0;
  askNow(
    turn,
    { kind: "saveSnapshot", epoch: epochOf(turn), sequence, texts },
    { kind: "snapshot", sequence },
  );
}

function release(turn: Turn, journal: JournalState): void {
  let released = 0;
  for (const { after, effect } of journal.held) {
    if (after > journal.saved) break;
    turn.effects.push(stamped(effect, journal.sequence));
    released++;
  }
  if (released > 0) journal.held = journal.held.slice(released);
}

function stamped(effect: Effect, journalSequence: number): Effect {
  if (effect.kind !== "reply") return effect;
  return { ...effect, stamp: { ...effect.stamp, journalSequence } };
}

/** A snapshot is safe (or not): what it holds may leave the journal. */
export function snapshotAnswered(turn: Turn, sequence: number, { answer }: Answered): void {
  const { journal } = turn.state;
  journal.snapshotting = false;
  if (answer.kind === "failed") {
    log(turn, "warn", "snapshot not saved; the journal stays as it is", {
      reason: answer.failure.message,
    });
    // Not at the next append again: a snapshot costs time.
    journal.recordsSinceSnapshot = Math.floor(limits.snapshotEveryRecords / 2);
    return;
  }
  journal.recordsSinceSnapshot = journal.sequence - sequence;
  turn.state.counted.snapshotMs = turn.wall;
  askNow(turn, { kind: "trimJournal", sequence }, { kind: "background" });
}
