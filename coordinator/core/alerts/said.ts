/**
 * What people say about alerts: silence, unsilence, try a channel. A silence is a fact at once, and the caller is told
 * when the book is on storage, too: the journal alone may be lost.
 */
import {
  type AlertRule,
  alertRules,
  type Notice,
  type Silence,
  type SilenceWish,
} from "../../../shared/kernel/alert.ts";
import { type Failure, failure } from "../../../shared/kernel/failure.ts";
import { limits } from "../../../shared/kernel/limits.ts";
import { isDay } from "../../../shared/kernel/time.ts";
import { wrongReason } from "../days/said.ts";
import { durationText } from "../days/words.ts";
import type { ReplyId } from "../protocol.ts";
import type { AlertMessage } from "../protocol-alerts.ts";
import type { Answered } from "../state.ts";
import { unknownJob } from "../submissions.ts";
import { ask, decide, epochOf, refuse, reply, retryLater, type Turn } from "../turn.ts";
import { type AlertPurpose, purposeOf, type Waiter } from "./alert-state.ts";
import { alertDocument, emptyBook, sameMatch } from "./book.ts";
import { clusterGroup } from "./life.ts";
import { channelTook } from "./outbox.ts";

export function alertAsked(turn: Turn, { reply: to, action }: AlertMessage): void {
  if (turn.state.config.alerts === undefined) {
    const text = "no alerts are configured: start coordinators with --alerts FILE (docs/alerts.md)";
    refuse(turn, to, failure("badRequest", text));
    return;
  }
  switch (action.kind) {
    case "silence":
      silence(turn, to, action.silence);
      return;
    case "unsilence":
      unsilence(turn, to, action.id);
      return;
    case "test":
      testChannel(turn, to, action.channel);
      return;
    default:
      action satisfies never;
      return;
  }
}

function silence(turn: Turn, to: ReplyId, { forMs, ...wish }: SilenceWish): void {
  const { changes, silences } = turn.state.durable.alerts ?? emptyBook();
  const inForce = silences.filter(({ untilMs }) => untilMs > turn.wall);
  const wrong = wrongSilence(turn, wish, forMs) ?? tooMany(inForce, wish);
  if (wrong !== undefined) {
    refuse(turn, to, wrong);
    return;
  }
  // The same words again, as a client sends them that heard no answer, are the same silence.
  const former = inForce.find((one) => sameMatch(one, wish));
  const id = former?.id ?? `s${changes + 1}`;
  const made: Silence = { ...wish, id, untilMs: turn.wall + forMs };
  decide(turn, { kind: "silenced", silence: made, wallMs: turn.wall });
  keepBook(turn, { to, silence: made });
}

function wrongSilence(
  { state: { durable } }: Turn,
  wish: Omit<SilenceWish, "forMs">,
  forMs: number,
): Failure | undefined {
  const { rule, job, day, reason, by } = wish;
  if (rule !== "" && !isRule(rule)) {
    const text = `rule ${JSON.stringify(rule)} is none of: ${alertRules.join(", ")}`;
    return failure("badRequest", text);
  }
  // It would silence nothing, and whoever has mistyped it would be called all the same.
  if (job !== "" && !durable.names.has(job)) return unknownJob(durable, job);
  if (day !== "" && !isDay(day)) {
    return failure("badRequest", `day ${JSON.stringify(day)} is not a date; write YYYY-MM-DD`);
  }
  const most = limits.silenceMsMax;
  if (!(forMs >= 1_000 && forMs <= most)) {
    const bounds = `a silence ends: after 1 s at the least, ${durationText(most)} at the most`;
    return failure("badRequest", bounds);
  }
  return wrongReason(reason) ?? wrongReason(by);
}

function isRule(text: string): text is AlertRule {
  return (alertRules as readonly string[]).includes(text);
}

function tooMany(inForce: readonly Silence[], wish: Omit<SilenceWish, "forMs">) {
  if (inForce.length < limits.silencesMax || inForce.some((one) => sameMatch(one, wish))) {
    return undefined;
  }
  const text = `${inForce.length} silences are in force, which is the most; take one back with: daymill alerts unsilence`;
  return failure("limitExceeded", text);
}

function unsilence(turn: Turn, to: ReplyId, id: string): void {
  const silences = turn.state.durable.alerts?.silences ?? [];
  if (!silences.some((one) => one.id === id)) {
    const names = silences.map((one) => one.id).join(", ");
    const hint = names === "" ? "there is none" : `there are: ${names}`;
    refuse(turn, to, failure("badRequest", `silence ${JSON.stringify(id)} is not known; ${hint}`));
    return;
  }
  decide(turn, { kind: "unsilenced", id, wallMs: turn.wall });
  keepBook(turn, { to });
}

// --- on storage ---------------------------------------------------------------------------------

/** Writes the book to storage; then who waits is told. One write at a time: two might land in either order. */
export function keepBook(turn: Turn, waiter?: Waiter): void {
  const { alerts } = turn.state;
  const added = waiter === undefined ? [] : [waiter];
  if (alerts.saving === undefined) {
    alerts.saving = { waiters: added, next: [] };
    save(turn);
  } else {
    alerts.saving = { ...alerts.saving, next: [...alerts.saving.next, ...added] };
  }
}

function save(turn: Turn): void {
  const document = alertDocument(turn.state.durable.alerts ?? emptyBook());
  const { changes } = document;
  ask(
    turn,
    { kind: "saveAlerts", epoch: epochOf(turn), document },
    purposeOf({ kind: "book", changes }),
  );
}

export function bookSaved(turn: Turn, changes: number, answered: Answered): void {
  const { alerts } = turn.state;
  const { saving } = alerts;
  if (saving === undefined) return;
  if (answered.answer.kind === "failed") {
    // In force, but not safe yet: callers wait until it is, or until they give up.
    retryLater(turn, answered);
    return;
  }
  alerts.savedChanges = changes;
  alerts.saving = undefined;
  for (const { to, silence: made } of saving.waiters) {
    reply(turn, to, made === undefined ? { kind: "said" } : { kind: "silenced", silence: made });
  }
  if (saving.next.length === 0) return;
  alerts.saving = { waiters: saving.next, next: [] };
  save(turn);
}

// --- trying a channel ---------------------------------------------------------------------------

function testChannel(turn: Turn, to: ReplyId, channel: string): void {
  const { alerts: config, cluster } = turn.state.config;
  const names = config?.channels.map(({ name }) => name) ?? [];
  if (!names.includes(channel)) {
    const text = `channel ${JSON.stringify(channel)} is not configured; there are: ${names.join(", ")}`;
    refuse(turn, to, failure("badRequest", text));
    return;
  }
  const purpose = purposeOf({ kind: "test", channel, reply: to });
  ask(turn, { kind: "sendNotice", notice: testNotice(turn, cluster, channel) }, purpose);
}

function testNotice(turn: Turn, cluster: string, channel: string): Notice {
  const { wall } = turn;
  return {
    id: `${cluster}-e${epochOf(turn)}-t${++turn.state.alerts.notices}`,
    channel,
    group: `${clusterGroup}-test`,
    kind: "opened",
    alerts: [
      {
        rule: "channelFailing",
        severity: "info",
        job: "",
        day: "",
        subject: channel,
        key: `test/${channel}`,
        sinceMs: wall,
        summary: `this only tries channel ${channel} of cluster ${cluster}: nothing is wrong`,
        cause: "somebody has asked for it",
        next: "daymill alerts",
      },
    ],
    omitted: 0,
    decidedMs: wall,
    isTest: true,
  };
}

/** No leader could do better: what the channel says is no reason for the caller to look for another one. */
export function testAnswered(
  turn: Turn,
  { channel, reply: to }: Extract<AlertPurpose, { kind: "test" }>,
  { answer }: Answered,
): void {
  if (answer.kind === "failed") {
    const { message, detail } = answer.failure;
    refuse(turn, to, failure("conflict", `the test message was not taken: ${message}`, detail));
    return;
  }
  channelTook(turn, channel);
  reply(turn, to, { kind: "said" });
}
