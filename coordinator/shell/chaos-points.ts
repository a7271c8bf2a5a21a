/**
 * For trials only: a coordinator that stops itself (SIGSTOP) exactly before a named act, as a long pause would.
 * Wrappers around what leaves a leader count the acts; without a wish nothing is wrapped. Whoever wished wakes it.
 */
import { type StoreCalls, systemCalls } from "../../shared/adapters/store-calls.ts";
import { fail } from "../../shared/kernel/failure.ts";
import type { AlertSender, ExchangeAdmin, Journal, Log } from "../../shared/ports.ts";
import type { ExecutorHub } from "./grpc-hub.ts";

/**
 * `append` to the journal; `dispatch` of a task; `link`, `rename` and `delete` on storage, of whatever; `manifest`: the
 * link that commits; `view`: the rename that shows a revision; `drop` of exchange streams; `purge` of one attempt; a `notice`
 * to whoever is told of alerts.
 */
const stopPoints = [
  "append",
  "dispatch",
  "link",
  "manifest",
  "rename",
  "view",
  "delete",
  "drop",
  "purge",
  "notice",
] as const;
export type StopPoint = (typeof stopPoints)[number];

/** Stop before the `nth` act of this kind, counted from 1 since the process began. */
export interface StopWish {
  readonly point: StopPoint;
  readonly nth: number;
}

/** `before-append:3` → the wish; undefined or empty: none. `badRequest` for anything else. */
export function parseStopWish(text: string | undefined): StopWish | undefined {
  if (text === undefined || text === "") return undefined;
  const match = /^before-([a-z]+):([1-9]\d{0,5})$/.exec(text);
  const point = stopPoints.find((one) => one === match?.[1]);
  if (point !== undefined) return { point, nth: Number(match?.[2]) };
  const known = stopPoints.map((one) => `before-${one}:N`).join(", ");
  throw fail("badRequest", `DAYMILL_CHAOS_STOP=${text}: one of ${known} is expected`);
}

type Hub = Pick<ExecutorHub, "send" | "close">;

/** Each gives what it was given, watched where a wish asks for it. */
export interface ChaosPoints {
  storeCalls(): StoreCalls;
  journal(journal: Journal): Journal;
  exchange(admin: ExchangeAdmin): ExchangeAdmin;
  hub(hub: Hub): Hub;
  alerts(sender: AlertSender): AlertSender;
}

/** `stop` returns when the process goes on. */
export function chaosPoints(
  wish: StopWish | undefined,
  log: Log,
  stop: () => void = () => process.kill(process.pid, "SIGSTOP"),
): ChaosPoints {
  if (wish === undefined) {
    return {
      storeCalls: () => systemCalls,
      journal: (journal) => journal,
      exchange: (admin) => admin,
      hub: (hub) => hub,
      alerts: (sender) => sender,
    };
  }
  log.warn("a trial: this process stops itself", { before: wish.point, nth: wish.nth });
  let left = wish.nth;
  return watching((point) => {
    if (point !== wish.point) return;
    left--;
    if (left === 0) stop();
  });
}

function watching(reached: (point: StopPoint) => void): ChaosPoints {
  return {
    storeCalls: () => watchedCalls(reached),
    journal: (journal) => ({
      append: (expected, text) => {
        reached("append");
        return journal.append(expected, text);
      },
      lastSequence: () => journal.lastSequence(),
      read: (from) => journal.read(from),
      trim: (sequence) => journal.trim(sequence),
    }),
    exchange: (admin) => ({
      ...admin,
      drop: (streams) => {
        reached("drop");
        return admin.drop(streams);
      },
      purge: (streams, attemptId) => {
        reached("purge");
        return admin.purge(streams, attemptId);
      },
    }),
    hub: (hub) => ({
      send: (connection, epoch, command) => {
        if (command.kind === "runTask") reached("dispatch");
        hub.send(connection, epoch, command);
      },
      close: (connection) => hub.close(connection),
    }),
    alerts: (sender) => ({
      ...sender,
      send: (notice) => {
        reached("notice");
        return sender.send(notice);
      },
    }),
  };
}

function watchedCalls(reached: (point: StopPoint) => void): StoreCalls {
  return {
    ...systemCalls,
    link: (from, to) => {
      reached("link");
      if (to.includes("/manifests/")) reached("manifest");
      return systemCalls.link(from, to);
    },
    rename: (from, to) => {
      reached("rename");
      if (to.includes("/current/")) reached("view");
      return systemCalls.rename(from, to);
    },
    unlink: (path) => {
      reached("delete");
      return systemCalls.unlink(path);
    },
    removeAll: (path) => {
      reached("delete");
      return systemCalls.removeAll(path);
    },
  };
}
