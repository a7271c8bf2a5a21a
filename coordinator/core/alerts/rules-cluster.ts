/** Rules about the cluster: executors, leaders, the backlog, room, and the channels that tell of all this. */
import { limits } from "../../../shared/kernel/limits.ts";
import { durationText } from "../days/words.ts";
import type { ExecutorState } from "../state.ts";
import { waitingText } from "../views.ts";
import { finding, type Rule } from "./seen.ts";

const MiB = 1024 * 1024;

/** A new leader does not know who was lost before: until nobody would show it any more it can't judge. */
export const executorLost: Rule = ({ state, nowMs, ledForMs }) => ({
  findings: [...state.executors.values()]
    .filter(({ lost }) => lost && ledForMs >= limits.alertSettleMs)
    .map(({ id, host }) =>
      finding(
        "executorLost",
        "warning",
        { subject: id },
        {
          summary: `executor ${id} is lost: nothing was heard of it for ${durationText(limits.executorLostMs)}`,
          cause: `its process on ${host} has died or hangs, or can't be reached; what it ran runs elsewhere`,
          next: "daymill executors",
        },
      ),
    ),
  isBlindTo: ({ subject, sinceMs }) =>
    !state.executors.has(subject) && nowMs - sinceMs < limits.lostExecutorShownMs,
});

export const executorsFew: Rule = ({ state, config, ledForMs }) => {
  const isSettling = ledForMs < limits.alertSettleMs;
  const wanted = config.thresholds.executorsMin;
  const ready = [...state.executors.values()].filter(isReady);
  const isFine = ready.length >= wanted;
  if (isSettling || isFine) return { findings: [], isBlindTo: () => isSettling && !isFine };
  const gone = [...state.executors.values()].filter((one) => !isReady(one)).map(({ id }) => id);
  const names = gone.slice(0, 10).join(", ");
  return {
    findings: [
      finding(
        "executorsFew",
        "critical",
        {},
        {
          summary: `${ready.length} executors are ready, at least ${wanted} have to be`,
          cause: gone.length === 0 ? "no other one is known" : `not ready: ${names}`,
          next: "daymill executors",
        },
      ),
    ],
  };
};

function isReady({ connection, lost, draining, exclusion }: ExecutorState): boolean {
  return connection !== undefined && !lost && !draining && exclusion === undefined;
}

/** Told for a while: a cluster that changes its leader often is seen by one alert that stays. */
export const leaderChanged: Rule = ({ state, nowMs }) => {
  const { isSuccessor, ledMs } = state.alerts;
  if (!isSuccessor || nowMs - ledMs >= limits.leaderChangedShownMs) return { findings: [] };
  const { coordinator } = state.config;
  return {
    findings: [
      finding(
        "leaderChanged",
        "warning",
        {},
        {
          summary: `coordinator ${coordinator} leads now (epoch ${state.durable.epoch})`,
          cause: "the leader before it was stopped, has died, or could not reach NATS in time",
          next: "daymill doctor",
        },
      ),
    ],
  };
};

/** Days that are due, not the newest, and not made. */
export const backlogGrowing: Rule = ({ jobs, config }) => ({
  findings: jobs.flatMap(({ name, days }) => {
    const open = days.filter(
      ({ isDue, isLive, record, judgement: { state } }) =>
        isDue && !isLive && record.committed === 0 && state !== "skipped" && state !== "held",
    );
    if (open.length === 0 || open.length < config.thresholds.backlogDays) return [];
    const oldest = open.at(-1);
    const reason = `${oldest?.judgement.state}: ${oldest?.judgement.reason}`;
    return finding(
      "backlogGrowing",
      "warning",
      { job: name },
      {
        summary: `${name}: ${open.length} days of the backlog are to be made`,
        cause: `the oldest is ${oldest?.record.day}, ${reason}`,
        next: `daymill backlog ${name}`,
      },
    );
  }),
});

/** Kept outputs fill the exchange by and by and are evicted when others need the room: what live runs hold is judged. */
export const exchangeNearLimit: Rule = ({ state, config }) => {
  const { neededBytes, isOver, isFull } = state.space;
  if (neededBytes === undefined) return { findings: [], isBlindTo: () => true };
  const budget = limits.exchangeBytesBudget;
  const isShort = isOver || isFull;
  if (!isShort && neededBytes <= config.thresholds.fullShare * budget) return { findings: [] };
  const share = Math.round((100 * neededBytes) / budget);
  return {
    findings: [
      finding(
        "exchangeNearLimit",
        isShort ? "critical" : "warning",
        {},
        {
          summary: isShort
            ? "the exchange is short of room: scans of the backlog and of older days wait"
            : `live runs hold ${share} % of the exchange's room`,
          cause: `${Math.round(neededBytes / MiB)} MiB of ${Math.round(budget / MiB)} MiB can't be evicted`,
          next: "daymill runs",
        },
      ),
    ],
  };
};

export const storageNearLimit: Rule = ({ state, config }) => {
  const { room } = state.space;
  const refused = [...state.waiting].find(([, reasons]) =>
    [...reasons.values()].some(({ code }) => code === "storageFull"),
  );
  if (room === undefined && refused === undefined) return { findings: [], isBlindTo: () => true };
  const { usedBytes, totalBytes } = room ?? { usedBytes: 0, totalBytes: 0 };
  const share = totalBytes === 0 ? 0 : usedBytes / totalBytes;
  if (refused === undefined && share <= config.thresholds.fullShare) return { findings: [] };
  const free = Math.round((totalBytes - usedBytes) / MiB);
  const figures =
    totalBytes === 0 ? "" : `${Math.round(100 * share)} % of it is used, ${free} MiB are left`;
  const waiting = refused === undefined ? undefined : waitingText(state, refused[0]);
  return {
    findings: [
      finding(
        "storageNearLimit",
        refused === undefined ? "warning" : "critical",
        {},
        {
          summary:
            refused === undefined ? "the storage is nearly full" : "the storage is full: runs wait",
          cause: waiting === undefined ? figures : `run ${refused?.[0]} ${waiting}`,
          next: "daymill doctor",
        },
      ),
    ],
  };
};

/** Of a channel that was not sent anything under this leadership nothing is known. */
export const channelFailing: Rule = ({ state, config }) => {
  const { channels } = state.alerts;
  const findings = config.channels.flatMap(({ name, kind }) => {
    const { failures = 0, reason = "", breaker, lost } = channels.get(name) ?? {};
    const isFailing = failures >= limits.channelFailuresMin || breaker === "resting";
    if (!isFailing && lost === undefined) return [];
    const what = lost ?? `${failures} tries in a row failed`;
    return finding(
      "channelFailing",
      "critical",
      { subject: name },
      {
        summary: `channel ${name} (${kind}) takes no messages: ${what}`,
        cause: reason === "" ? "its receiver does not answer" : reason,
        next: `daymill alerts test ${name}`,
      },
    );
  });
  const isKnown = (name: string) => config.channels.some((one) => one.name === name);
  return { findings, isBlindTo: ({ subject }) => isKnown(subject) && !channels.has(subject) };
};
