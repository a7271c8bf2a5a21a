/**
 * Every message that was decided reaches its channel at least once, under one id and with one content, whoever led; no
 * leader sends one again that was taken; and in the end everybody knows what is critical.
 */
import type { AlertBook, AlertsFact } from "../../coordinator/core/alerts/book.ts";
import { silenceOf } from "../../coordinator/core/alerts/muting.ts";
import type { Durable } from "../../coordinator/core/durable.ts";
import type { Fact } from "../../coordinator/core/facts.ts";
import type { Ask, Effect } from "../../coordinator/core/protocol.ts";
import type { AlertConfig, Notice } from "../../shared/kernel/alert.ts";
import { channelsFor } from "../../shared/kernel/alert-routes.ts";
import { assert } from "../../shared/kernel/assert.ts";
import type { SimCoordinator } from "./sim-coordinator.ts";
import type { SimMemory } from "./sim-memory.ts";

export class AlertChecks {
  readonly #memory: SimMemory;
  /** Id → the message as it was sent first. */
  readonly #sent = new Map<string, string>();
  /** The ask → its leader's epoch. */
  readonly #epochs = new WeakMap<Ask, number>();
  /** `epoch|id` of messages that were taken, and the leader was told so. */
  readonly #taken = new Set<string>();
  /** Ids of messages that receivers have. */
  readonly #received = new Set<string>();
  /** Decided and not done, as the journal says. */
  readonly #open = new Map<string, Notice>();
  /** Messages that reached a receiver or were given up, for the figures. */
  decided = 0;

  constructor(memory: SimMemory) {
    this.#memory = memory;
  }

  /** After each step of a leader. `shadow`: the journal, folded; undefined while nobody knows what it lost. */
  stepped(
    { name, state }: SimCoordinator,
    effects: readonly Effect[],
    shadow: Durable | undefined,
  ): void {
    for (const effect of effects) {
      if (effect.kind === "reply" && effect.result.kind === "silenced") {
        this.#isKept(name, effect.result.silence.id, state.durable.alerts);
      }
      if (effect.kind !== "sendNotice" || state.role.kind !== "leader") continue;
      const { notice } = effect;
      const { epoch } = state.role;
      this.#epochs.set(effect, epoch);
      // A message that only tries a channel is remembered by nobody.
      if (notice.group.endsWith("-test")) continue;
      const isAgain = this.#taken.has(`${epoch}|${notice.id}`);
      assert(!isAgain, `${name} sends ${notice.id} again, which was taken`);
      const text = JSON.stringify(notice);
      const before = this.#sent.get(notice.id) ?? text;
      assert(before === text, `${name} sends another message as ${notice.id}`);
      this.#sent.set(notice.id, text);
      const isSaved = shadow === undefined || shadow.alerts?.waiting.has(notice.id) === true;
      assert(isSaved, `${name} sends ${notice.id}, which is not saved`);
    }
  }

  /** Whoever is told that a silence is in force finds it on storage, unless it was taken back since. */
  #isKept(name: string, id: string, book: AlertBook | undefined): void {
    const isInForce = book?.silences.some((one) => one.id === id) === true;
    const isKept = this.#memory.alerts?.silences.some((one) => one.id === id) === true;
    assert(isKept || !isInForce, `${name} confirms silence ${id}, which is not on storage`);
  }

  /** A receiver was asked. */
  accepted(ask: Extract<Ask, { kind: "sendNotice" }>, isTaken: boolean): void {
    const { id } = ask.notice;
    if (isTaken || this.#memory.unsure.has(id)) this.#received.add(id);
    if (isTaken) this.#taken.add(`${this.#epochs.get(ask) ?? 0}|${id}`);
  }

  /** Each fact that the journal takes. */
  saw(fact: Fact): void {
    const news = fact as AlertsFact;
    if (news.kind === "noticeQueued") {
      this.decided++;
      this.#open.set(news.notice.id, news.notice);
    } else if (news.kind === "noticeDone") {
      const isLost = news.outcome === "sent" && !this.#received.has(news.id);
      assert(!isLost, `${news.id} is said to be sent, and no receiver has it`);
      this.#open.delete(news.id);
    }
  }

  /** What the journal lost is decided again, or comes back from storage. */
  damaged(): void {
    this.#open.clear();
  }

  atTheEnd({ state }: SimCoordinator, nowMs: number): void {
    const config = state.config.alerts;
    const book = state.durable.alerts;
    if (config === undefined || book === undefined) return;
    for (const { id, decidedMs } of [...this.#open.values(), ...book.waiting.values()]) {
      assert(nowMs - decidedMs < 30_000, `${id} still waits after all this time`);
    }
    everybodyKnows(config, book, state.alerts.inhibited, nowMs);
  }
}

/** What has been critical for a while, and nobody keeps quiet, is known to each channel that it goes to. */
function everybodyKnows(
  config: AlertConfig,
  book: AlertBook,
  inhibited: ReadonlySet<string>,
  nowMs: number,
): void {
  for (const alert of book.open.values()) {
    const isOld = nowMs - alert.sinceMs > config.groupWaitMs + config.groupIntervalMs + 60_000;
    const isMuted = inhibited.has(alert.key) || silenceOf(book.silences, alert, nowMs);
    if (alert.severity !== "critical" || !isOld || isMuted) continue;
    for (const channel of channelsFor(config, alert)) {
      const told = book.told.get(`${channel}|${alert.group}`);
      const isKnown = told?.alerts[alert.key] !== undefined;
      assert(isKnown, `${channel} was never told of ${alert.key}`);
    }
  }
}
