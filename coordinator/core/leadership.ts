/**
 * Standby → candidate → leader → standby. Silence is judged on our own monotonic clock; to lead takes, in this order:
 * an epoch created by nobody else, the claim on storage (which fences every older leader there), storage read, the
 * journal folded, and `led` appended after exactly the last folded record (which fences every older leader there).
 * A leader whose renewals are not acknowledged steps down by itself, before others may begin.
 */
import { limits } from "../../shared/kernel/limits.ts";
import type { Instant } from "../../shared/kernel/time.ts";
import { emptyAlerts } from "./alerts/alert-state.ts";
import { callersOf } from "./callers.ts";
import { emptyDesk } from "./days/desk-state.ts";
import { emptyDurable } from "./durable.ts";
import { fold } from "./fold.ts";
import { encodeFacts, readFacts, recordEpoch, unitsOf } from "./journal-text.ts";
import { emptyCounted } from "./metrics/counted.ts";
import { emptyPlaces } from "./places.ts";
import type { Answer } from "./protocol.ts";
import { decodeSnapshot } from "./snapshot.ts";
import { emptySpace } from "./space-state.ts";
import {
  type Candidate,
  type CoordinatorState,
  emptyJournal,
  noLeftovers,
  noOldFiles,
  type Renewal,
} from "./state.ts";
import { askNow, log, refuseNotLeader, type Turn, tellNow } from "./turn.ts";

const never = Number.POSITIVE_INFINITY;

/** Spread of the moment at which standbys begin, so that they seldom race: 0 … candidateJitterMsMax. */
export function candidateJitterMs(coordinator: string): number {
  let hash = 0;
  for (const letter of coordinator) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) >>> 0;
  return hash % (limits.candidateJitterMsMax + 1);
}

/** Somebody's sign of life. True when it ends our own leadership or candidacy. */
export function heardLeader(
  turn: Turn,
  hint: { readonly epoch: number; readonly address: string },
): boolean {
  const { state } = turn;
  const { role } = state;
  // An epoch may have been taken by a candidate that gave up: only hints say who is alive.
  if (hint.epoch < state.epochHeard) return false;
  const ours = role.kind === "standby" ? 0 : role.epoch;
  state.epochHeard = hint.epoch;
  state.epochSeen = Math.max(state.epochSeen, hint.epoch);
  state.leaderAddress = hint.address;
  if (role.kind === "standby") role.silentSince = turn.at;
  return role.kind !== "standby" && hint.epoch > ours;
}

/** Does the leader have to stop because nobody confirmed its renewals in time? */
export function isOverdue(state: CoordinatorState, at: Instant): boolean {
  const { role } = state;
  const renewal = role.kind === "standby" ? undefined : role.renewal;
  return renewal !== undefined && at - renewal.provenAt > limits.stepDownAfterMs;
}

/** One look at the clock, in every role. */
export function leadershipTick(turn: Turn): void {
  const { state, at } = turn;
  const { role } = state;
  if (role.kind !== "standby") {
    const { renewal } = role;
    if (renewal !== undefined && at - renewal.sentAt >= limits.renewEveryMs) renew(turn, renewal);
    if (role.kind === "candidate" && at >= (role.ledRetryAt ?? never)) {
      role.ledRetryAt = never;
      readMore(turn, role);
    }
    return;
  }
  if (state.stopping) return;
  if (role.silentSince === undefined) role.silentSince = at;
  if (!role.looked) {
    role.looked = true;
    askNow(turn, { kind: "readFences" }, { kind: "firstLook" });
  }
  const patienceMs = limits.leaseExpiresMs + candidateJitterMs(state.config.coordinator);
  if (at - role.silentSince >= patienceMs) beginCandidacy(turn);
}

/** A cluster that never had a leader needs no waiting for one. */
export function firstLookAnswered(turn: Turn, answer: Answer): void {
  const { role } = turn.state;
  if (role.kind !== "standby" || answer.kind !== "fences") return;
  if (turn.state.stopping || turn.state.epochHeard > 0) return;
  if (answer.registry === 0 && answer.storage === 0) beginCandidacy(turn);
}

function beginCandidacy(turn: Turn): void {
  turn.state.role = {
    kind: "candidate",
    phase: "fences",
    epoch: 0,
    renewal: undefined,
    sentAt: turn.at,
    jobs: [],
    requests: [],
    manifests: [],
    desks: [],
    alerts: undefined,
    snapshot: undefined,
    from: 1,
    reader: { pieces: [] },
    ledText: "",
    folded: 0,
    units: 0,
    lost: false,
  };
  tellNow(turn, { kind: "roleChanged", role: "candidate", epoch: turn.state.epochSeen });
  askNow(turn, { kind: "readFences" }, { kind: "candidacy" });
}

function renew(turn: Turn, renewal: Renewal): void {
  const { role } = turn.state;
  if (role.kind === "standby") return;
  renewal.beat++;
  renewal.sentAt = turn.at;
  const { epoch } = role;
  askNow(turn, { kind: "renew", epoch, beat: renewal.beat }, { kind: "renewal", sentAt: turn.at });
}

export function renewalAnswered(turn: Turn, sentAt: Instant, answer: Answer): void {
  const { role } = turn.state;
  if (role.kind === "standby" || answer.kind !== "ok") return;
  if (role.renewal !== undefined && sentAt > role.renewal.provenAt) role.renewal.provenAt = sentAt;
}

/**
 * The next answer on the way to lead. Gives the finished candidate when its `led` is saved: the caller takes over.
 */
export function candidacyAnswered(turn: Turn, answer: Answer): Candidate | undefined {
  const { state } = turn;
  const { role } = state;
  if (role.kind !== "candidate") return undefined;
  if (answer.kind === "failed") {
    if (role.phase !== "leading") giveUp(turn, role, answer.failure.message);
    else {
      // An append that may have been saved: the journal itself says. A server without room refuses at once, each time: it
      // must not be asked in a circle.
      const isFirst = role.ledRetryAt === undefined;
      role.ledRetryAt = isFirst ? never : turn.at + limits.retryBackoffMsMin;
      if (isFirst) readMore(turn, role);
    }
    return undefined;
  }
  switch (answer.kind) {
    case "fences":
      if (role.gap !== undefined) return gapExplained(turn, role, role.gap, answer);
      state.epochSeen = Math.max(state.epochSeen, answer.registry, answer.storage);
      role.epoch = state.epochSeen + 1;
      role.phase = "taking";
      role.sentAt = turn.at;
      askNow(turn, { kind: "takeEpoch", epoch: role.epoch }, { kind: "candidacy" });
      return undefined;
    case "taken":
      taken(turn, role, answer.taken);
      return undefined;
    case "stored":
      stored(turn, role, answer);
      return undefined;
    case "records":
      return recordsRead(turn, role, answer);
    case "appended":
      return lead(turn, role, answer.sequence);
    default:
      return undefined;
  }
}

function taken(turn: Turn, role: Candidate, isOurs: boolean): void {
  const { state } = turn;
  state.epochSeen = Math.max(state.epochSeen, role.epoch);
  if (!isOurs) {
    giveUp(turn, role, `epoch ${role.epoch} is somebody else's`);
  } else if (role.phase === "taking") {
    role.phase = "claiming";
    role.renewal = { beat: 0, sentAt: role.sentAt, provenAt: role.sentAt };
    renew(turn, role.renewal);
    askNow(turn, { kind: "claimStorage", epoch: role.epoch }, { kind: "candidacy" });
  } else {
    role.phase = "storage";
    askNow(turn, { kind: "readStorage", epoch: role.epoch }, { kind: "candidacy" });
  }
}

function stored(turn: Turn, role: Candidate, answer: Extract<Answer, { kind: "stored" }>): void {
  role.jobs = answer.jobs;
  role.requests = answer.requests;
  role.manifests = answer.manifests;
  role.desks = answer.desks ?? [];
  role.alerts = answer.alerts;
  role.snapshot = answer.snapshot;
  startFold(turn, role, (answer.snapshot?.sequence ?? 0) + 1);
}

function startFold(turn: Turn, role: Candidate, from: number): void {
  const { snapshot } = role;
  turn.state.durable = snapshot === undefined ? emptyDurable() : decodeSnapshot(snapshot.texts);
  role.reader = { pieces: [] };
  role.from = from;
  role.folded = 0;
  role.units = 0;
  readMore(turn, role);
}

function readMore(turn: Turn, role: Candidate): void {
  role.phase = "journal";
  const held = role.snapshot?.sequence ?? 0;
  // Also the last record that the snapshot holds, where it is still there: is it of the same journal?
  const isFirst = held > 0 && role.from === held + 1 && !role.lost;
  const from = isFirst ? held : role.from;
  const recordsMax = limits.journalReadRecordsMax;
  askNow(turn, { kind: "readJournal", from, recordsMax }, { kind: "candidacy" });
}

type Records = Extract<Answer, { kind: "records" }>;

/**
 * Records that should be there are not. A newer leader trims the journal behind its snapshot: it has claimed its epoch
 * before, so whoever sees the gap and no newer epoch after that knows that they are lost.
 */
function gapExplained(
  turn: Turn,
  role: Candidate,
  gap: Records,
  { registry, storage }: Extract<Answer, { kind: "fences" }>,
): Candidate | undefined {
  delete role.gap;
  const newest = Math.max(registry, storage);
  if (newest <= role.epoch) return foldRecords(turn, role, gap);
  turn.state.epochSeen = Math.max(turn.state.epochSeen, newest);
  giveUp(turn, role, `epoch ${newest} has trimmed the journal`);
  return undefined;
}

function recordsRead(turn: Turn, role: Candidate, answer: Records): Candidate | undefined {
  const next = answer.records.find(({ sequence }) => sequence >= role.from)?.sequence;
  if (role.from >= (next ?? answer.last + 1)) return foldRecords(turn, role, answer);
  role.gap = answer;
  askNow(turn, { kind: "readFences" }, { kind: "candidacy" });
  return undefined;
}

function foldRecords(turn: Turn, role: Candidate, answer: Records): Candidate | undefined {
  const { durable } = turn.state;
  const [held] = answer.records;
  const isAnother =
    held !== undefined && held.sequence < role.from && recordEpoch(held.text) > durable.epoch;
  if (answer.last < role.from - 1 || isAnother) {
    // The journal is not the one that the snapshot was taken of: NATS lost it. What there is comes on top.
    log(turn, "warn", "the journal was lost; going on from snapshot and manifests");
    startFold(turn, role, 1);
    role.folded = limits.snapshotEveryRecords;
    role.lost = true;
    return undefined;
  }
  const records = answer.records.filter(({ sequence }) => sequence >= role.from);
  for (const record of records) {
    if (record.sequence > role.from) missRecords(turn, role, record.sequence - 1);
    role.from = record.sequence + 1;
    role.folded++;
    role.units += record.text.length;
    // A journal that lost acknowledged records of its end may take one of a deposed leader: its sequence comes twice.
    if (recordEpoch(record.text) < durable.epoch) continue;
    for (const fact of readFacts(role.reader, record.text)) fold(durable, fact);
    if (record.text === role.ledText) return lead(turn, role, record.sequence);
    if (durable.epoch >= role.epoch) {
      turn.state.epochSeen = Math.max(turn.state.epochSeen, durable.epoch);
      giveUp(turn, role, `epoch ${durable.epoch} leads already`);
      return undefined;
    }
  }
  if (role.from <= answer.last && records.length === 0) {
    missRecords(turn, role, answer.last);
  } else if (role.from <= answer.last) {
    readMore(turn, role);
    return undefined;
  }
  appendLed(turn, role, answer.last);
  return undefined;
}

/** NATS lost a part of the journal: what comes after it is folded over what was before, as after a loss of all. */
function missRecords(turn: Turn, role: Candidate, last: number): void {
  const what = `records ${role.from} to ${last} of the journal were lost`;
  log(turn, "warn", `${what}; going on from snapshot, manifests and what comes after them`);
  role.from = last + 1;
  role.reader = { pieces: [] };
  role.lost = true;
  // A snapshot soon: nobody should have to go over the gap again.
  role.folded = Math.max(role.folded, limits.snapshotEveryRecords);
}

function appendLed(turn: Turn, role: Candidate, expected: number): void {
  const { coordinator } = turn.state.config;
  const { epoch } = role;
  role.phase = "leading";
  if (role.ledText === "") {
    const led = { kind: "led", epoch, coordinator, wallMs: turn.wall } as const;
    role.ledText = encodeFacts(epoch, 0, [led])[0] ?? "";
  }
  const text = role.ledText;
  askNow(turn, { kind: "append", epoch, expected, text }, { kind: "candidacy" });
}

function lead(turn: Turn, role: Candidate, sequence: number): Candidate | undefined {
  const { state } = turn;
  if (role.renewal === undefined) return undefined;
  if (state.durable.epoch !== role.epoch) {
    for (const fact of readFacts({ pieces: [] }, role.ledText)) fold(state.durable, fact);
    role.folded++;
  }
  state.role = { kind: "leader", epoch: role.epoch, renewal: role.renewal };
  state.leaderAddress = state.config.address;
  state.journal = {
    ...emptyJournal(),
    sequence,
    recordsSinceSnapshot: role.folded,
    unitsSinceSnapshot: role.units,
    // Of another journal: it says nothing of how large the next one will be.
    snapshotUnits: role.lost ? 0 : unitsOf(role.snapshot?.texts ?? []),
  };
  state.nextAttempt = 1;
  return role;
}

function giveUp(turn: Turn, role: Candidate, reason: string): void {
  log(turn, "info", "not leading", { epoch: role.epoch, reason });
  toStandby(turn);
  // Not a whole lease: whoever won will be heard, and if nobody did we try again soon.
  const { state, at } = turn;
  const silentSince = at - limits.leaseExpiresMs + limits.stepDownAfterMs / 2;
  state.role = { kind: "standby", silentSince, looked: true };
}

/** Back to standby from any role: nothing of this leadership is remembered, and nothing held ever leaves. */
export function stepDown(turn: Turn, reason: string): void {
  const { state } = turn;
  if (state.role.kind === "standby") return;
  log(turn, "warn", "stepping down", { epoch: state.role.epoch, reason });
  toStandby(turn);
}

function toStandby(turn: Turn): void {
  const { state } = turn;
  const waiting = callersOf(state);
  state.reports.clear();
  state.readers.clear();
  // Also those that were to be closed and wait for a save: an executor that is not listened to must look elsewhere.
  const closing = state.journal.held.flatMap(({ effect }) =>
    effect.kind === "closeConnection" ? [effect.connection] : [],
  );
  for (const connection of [...state.connections.keys(), ...closing]) {
    tellNow(turn, { kind: "closeConnection", connection });
  }
  if (state.leaderAddress === state.config.address) state.leaderAddress = "";
  state.role = { kind: "standby", silentSince: turn.at, looked: true };
  state.durable = emptyDurable();
  state.journal = emptyJournal();
  state.executors.clear();
  state.places = emptyPlaces();
  state.slowLookAt = 0;
  state.connections.clear();
  state.submissions.clear();
  state.unrestored = [];
  state.asked.clear();
  state.streamsChecking.clear();
  state.reindexing.clear();
  state.journalLost = false;
  state.outages.clear();
  state.carried.clear();
  state.waiting.clear();
  state.reusing.clear();
  state.delays.clear();
  state.retries = [];
  state.space = emptySpace();
  state.oldFiles = noOldFiles();
  state.leftovers = noLeftovers();
  state.desk = emptyDesk();
  state.alerts = emptyAlerts();
  state.counted = emptyCounted();
  for (const to of waiting) refuseNotLeader(turn, to);
  tellNow(turn, { kind: "roleChanged", role: "standby", epoch: state.epochSeen });
}
