/**
 * The way to the leader: heard of in the registry, dialled, welcomed, followed when it changes. Hints only say where
 * to dial; what counts is the epoch on each command: a lower one than the highest obeyed is refused, a higher one is
 * obeyed and cancels nothing (the new leader decides what it keeps).
 */
import { classOf } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { type Command, exitCodes, type Hello, type Message } from "./protocol.ts";
import { sendReports } from "./reports.ts";
import type { ExecutorState, Leader, Link, Turn } from "./state.ts";

type Of<K extends Message["kind"]> = Extract<Message, { kind: K }>;

/** A sign of life of a leader: a newer one, or one that has moved, is dialled at once. */
export function leaderHeard(turn: Turn, hint: Of<"leaderHeard">): void {
  const known = turn.state.leader;
  if (hint.epoch < turn.state.highestEpoch) return;
  if (known !== undefined && hint.epoch < known.epoch && !isDoubted(turn.state.link)) return;
  if (known?.epoch === hint.epoch && known.address === hint.address) return;
  const { epoch, coordinator, address } = hint;
  turn.state = { ...turn.state, leader: { epoch, coordinator, address } };
  closeLink(turn);
  turn.state = { ...turn.state, link: { kind: "none", retryAt: turn.at, failures: 0 } };
  openLink(turn);
}

/**
 * Has the known leader turned us away for so long that it never led? A candidate gives signs of life too, and when it
 * gives up the former leader may go on without ever having heard of it.
 */
function isDoubted(link: Link): boolean {
  return link.kind !== "attached" && link.failures >= limits.attachFailuresDoubted;
}

/** Dials the leader if one is known, it is time, and a worker has told the engine's version. */
export function openLink(turn: Turn): void {
  const { link, leader, duckdbVersion, nextLink } = turn.state;
  if (link.kind !== "none" || leader === undefined || duckdbVersion === undefined) return;
  if (turn.at < link.retryAt) return;
  const giveUpAt = turn.at + limits.attachTimeoutMs;
  const { failures } = link;
  turn.state = {
    ...turn.state,
    nextLink: nextLink + 1,
    link: { kind: "opening", link: nextLink, leader, giveUpAt, failures },
  };
  const hello = helloOf(turn.state, duckdbVersion);
  turn.effects.push({ kind: "openLink", link: nextLink, address: leader.address, hello });
}

/**
 * Checks the epoch of a command. False: it must not be obeyed, and its link is closed.
 * True: the epoch is now the highest obeyed.
 */
export function admit(turn: Turn, link: Link, epoch: number): boolean {
  if (link.kind === "none") return false;
  if (epoch < turn.state.highestEpoch) {
    loseLink(
      turn,
      `a command of epoch ${epoch} is refused: epoch ${turn.state.highestEpoch} leads already`,
    );
    return false;
  }
  const leader: Leader = { ...link.leader, epoch };
  const known = turn.state.leader;
  turn.state = {
    ...turn.state,
    highestEpoch: epoch,
    link: { ...link, leader },
    leader: known === undefined || known.epoch <= epoch ? leader : known,
  };
  return true;
}

/** The leader takes us: reports that wait go out first, then heartbeats begin. */
export function welcomed(turn: Turn, coordinator: string): void {
  const { link, drain, announced } = turn.state;
  if (link.kind === "none") return;
  const leader = { ...link.leader, coordinator };
  const steadyAt = turn.at + limits.attachSteadyMs;
  const { failures } = link;
  turn.state = {
    ...turn.state,
    announced: true,
    link: {
      kind: "attached",
      link: link.link,
      leader,
      heartbeatAt: turn.at,
      steadyAt,
      failures,
    },
  };
  turn.effects.push({
    kind: "log",
    level: "info",
    text: "attached to the leader",
    fields: { coordinator, address: leader.address, epoch: leader.epoch },
  });
  if (drain !== undefined) {
    const message = { kind: "draining", reason: drain.reason } as const;
    turn.effects.push({ kind: "send", link: link.link, message });
  }
  sendReports(turn, () => true);
  if (!announced) turn.effects.push({ kind: "announceReady" });
}

/** Not taken. A leader's final word (other version) ends the process; anything else is tried again. */
export function refused(
  turn: Turn,
  epoch: number,
  { failure }: Extract<Command, { kind: "refused" }>,
): void {
  const passing = classOf(failure.code).retryable || failure.code === "epochStale";
  if (passing || epoch < turn.state.highestEpoch) {
    // Who gives signs of life and knows no leader is a candidate: it will lead in a moment.
    const isElection = failure.code === "noLeader";
    const mostMs = isElection ? limits.attachRetryElectionMs : limits.attachRetryMaxMs;
    loseLink(turn, `refused: ${failure.message}`, mostMs);
    return;
  }
  closeLink(turn);
  turn.state = { ...turn.state, ended: true };
  const reason = `the leader refuses this executor: ${failure.message}`;
  turn.effects.push({ kind: "exit", code: exitCodes.refused, reason });
}

/** Gives the present link up and plans the next try, after a pause of `mostMs` at most. */
export function loseLink(
  turn: Turn,
  reason: string,
  mostMs: number = limits.attachRetryMaxMs,
): void {
  const { link } = turn.state;
  if (link.kind === "none") return;
  closeLink(turn);
  const steady = link.kind === "attached" && turn.at >= link.steadyAt;
  const failures = steady ? 0 : link.failures + 1;
  const retryAt = turn.at + retryPauseMs(turn.state, failures, mostMs);
  turn.effects.push({
    kind: "log",
    level: "warn",
    text: `no link to the leader: ${reason}`,
    fields: { address: link.leader.address, epoch: link.leader.epoch, failures },
  });
  turn.state = { ...turn.state, link: { kind: "none", retryAt, failures } };
}

/** Dials, gives up, beats: all that is due on the link at this time. */
export function tickLink(turn: Turn): void {
  const { link, askLeaderAt } = turn.state;
  if (link.kind === "opening" && turn.at >= link.giveUpAt) {
    loseLink(turn, `no welcome within ${limits.attachTimeoutMs} ms`);
  }
  if (turn.state.link.kind === "none") openLink(turn);
  // Also while attached: a watch on the registry may be broken without a sign.
  if (turn.at >= askLeaderAt) {
    turn.state = { ...turn.state, askLeaderAt: turn.at + limits.leaderPollMs };
    turn.effects.push({ kind: "askLeader" });
  }
  if (link.kind === "attached" && turn.at >= link.heartbeatAt) beat(turn, link);
}

function beat(turn: Turn, link: Extract<Link, { kind: "attached" }>): void {
  const { slots, peakMemoryBytes } = turn.state;
  const sequence = turn.state.heartbeatSequence + 1;
  const heartbeatAt = turn.at + limits.heartbeatEveryMs;
  turn.state = { ...turn.state, heartbeatSequence: sequence, link: { ...link, heartbeatAt } };
  const running = slots.flatMap(({ attempt }) =>
    attempt ? [{ attemptId: attempt.attemptId, rows: attempt.rows, bytes: attempt.bytes }] : [],
  );
  const workerPids = slots.flatMap(({ worker }) => (worker.kind === "ready" ? [worker.pid] : []));
  const message = { kind: "heartbeat", sequence, running, workerPids, peakMemoryBytes } as const;
  turn.effects.push({ kind: "send", link: link.link, message });
}

function closeLink(turn: Turn): void {
  const { link } = turn.state;
  if (link.kind !== "none") turn.effects.push({ kind: "closeLink", link: link.link });
}

function helloOf(state: ExecutorState, duckdbVersion: string): Hello {
  const running = state.slots.flatMap(({ attempt }) => (attempt ? [attempt.attemptId] : []));
  return {
    ...state.identity,
    duckdbVersion,
    runningAttempts: [...running, ...state.reports.map((report) => report.attemptId)],
    highestEpoch: state.highestEpoch,
  };
}

/** Doubles with each failure; spread by the incarnation, so that executors of a dead leader don't dial as one. */
function retryPauseMs(state: ExecutorState, failures: number, mostMs: number): number {
  const doubled = limits.attachRetryMinMs * 2 ** Math.min(failures, 16);
  const spread = ((state.identity.incarnation + failures * 7_919) % 1_000) / 1_000;
  return Math.round(Math.min(doubled, mostMs) * (0.5 + spread / 2));
}
