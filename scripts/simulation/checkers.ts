/**
 * What must never be seen, whatever happens, and what must be true in the end. Checked against plain facts of the
 * shared memory (who wrote what, what was accepted), never against the coordinators' own opinion of themselves alone.
 * Each look costs what has changed, not what there is; whole states are compared every so often.
 */
import { jobNamed } from "../../coordinator/core/days/jobs.ts";
import { type Durable, dayKey, emptyDurable } from "../../coordinator/core/durable.ts";
import type { Fact } from "../../coordinator/core/facts.ts";
import { fold } from "../../coordinator/core/fold.ts";
import { type FactReader, readFacts } from "../../coordinator/core/journal-text.ts";
import type { Answer, Ask, Effect } from "../../coordinator/core/protocol.ts";
import { decodeSnapshot, encodeSnapshot } from "../../coordinator/core/snapshot.ts";
import { restoredRuns } from "../../coordinator/core/submissions.ts";
import type { Effect as ExecutorEffect, Message } from "../../executor/core/protocol.ts";
import type { ExecutorState } from "../../executor/core/state.ts";
import { assert } from "../../shared/kernel/assert.ts";
import { inputDigest } from "../../shared/kernel/input-files.ts";
import type { RunManifest } from "../../shared/kernel/manifest.ts";
import { AlertChecks } from "./alert-checks.ts";
import { BackfillChecks } from "./backfill-checks.ts";
import { FactChecks } from "./fact-checks.ts";
import { HeldChecks } from "./held-checks.ts";
import { HistoryChecks } from "./history-checks.ts";
import { wrongWith } from "./manifest-checks.ts";
import { nothingNeededIsDropped } from "./needed-checks.ts";
import type { SimCoordinator } from "./sim-coordinator.ts";
import type { SimExecutor } from "./sim-executor.ts";
import type { SimMemory } from "./sim-memory.ts";
import type { World } from "./world.ts";

/** Steps of a leader between two comparisons of its whole state with the replayed journal. */
const compareEvery = 1_500;

export class Checkers {
  readonly #world: World;
  readonly #memory: SimMemory;
  /** Epoch → the process that acts in it. */
  readonly #leaderOf = new Map<number, string>();
  readonly #checkedRuns = new Set<string>();
  /** Attempts that were given to a worker. */
  readonly #given = new Set<string>();
  readonly #facts = new FactChecks();
  readonly #held = new HeldChecks();
  readonly #backfills = new BackfillChecks();
  readonly #history: HistoryChecks;
  readonly alerts: AlertChecks;
  /**
   * The journal, folded as it grows. Undefined after NATS lost some of it, until a leader has begun from what was left:
   * one that led before remembers what is lost, and its successor will not.
   */
  #shadow: Durable | undefined = emptyDurable();
  #reader: FactReader = { pieces: [] };
  #shadowEpoch = 0;
  #damagedEpoch = 0;
  #hasLostRecords = false;
  #storageEpoch = 0;
  #untilCompared = compareEvery;

  constructor(world: World, memory: SimMemory) {
    this.#world = world;
    this.#memory = memory;
    this.alerts = new AlertChecks(memory);
    this.#history = new HistoryChecks(memory);
    memory.accepted = (ask, answer, from) => this.#accepted(ask, answer, from.coordinator);
    memory.damaged = () => {
      this.#shadow = undefined;
      this.#hasLostRecords = true;
      this.alerts.damaged();
      this.#history.damaged();
      // Also a candidate that has read it already remembers what is lost.
      this.#damagedEpoch = Math.max(
        memory.claimed,
        memory.highestEpoch(),
        ...this.#leaderOf.keys(),
      );
    };
  }

  coordinatorStepped(coordinator: SimCoordinator, effects: readonly Effect[]): void {
    const { state, name, life } = coordinator;
    this.#held.stepped(coordinator, effects);
    if (state.role.kind === "leader") {
      this.#acts(state.role.epoch, name, life);
      nothingNeededIsDropped(coordinator, effects);
      this.#history.stepped(coordinator, effects);
      this.#isSaved(coordinator, effects);
      const isCurrent = state.durable.epoch === this.#shadowEpoch;
      this.alerts.stepped(coordinator, effects, isCurrent ? this.#shadow : undefined);
      if (--this.#untilCompared <= 0) this.#compare(coordinator);
      if (this.#shadow === undefined) this.#takeUp(coordinator);
    }
    for (const effect of effects) {
      if (effect.kind !== "toExecutor" || effect.command.kind === "refused") continue;
      this.#acts(effect.epoch, name, life);
    }
  }

  /** What leaves stands in the journal: promises, commands, acknowledgements, commits. */
  #isSaved({ name, state }: SimCoordinator, effects: readonly Effect[]): void {
    const shadow = this.#shadow;
    // A leader that is deposed already stands on what the journal said before.
    if (shadow === undefined || state.durable.epoch !== this.#shadowEpoch) return;
    for (const effect of effects) {
      if (effect.kind === "reply" && effect.result.kind === "submitted") {
        const { run } = effect.result;
        // One that has ended may be known by its manifest only, one that a journal has lost by its request on storage.
        const isRestored = this.#memory.requests.has(run) && restoredRuns(state).has(run);
        const isKnown = shadow.runs.has(run) || this.#memory.manifests.has(run) || isRestored;
        assert(isKnown, `${name} promises ${run}, which is not saved`);
      } else if (effect.kind === "toExecutor" && effect.command.kind === "runTask") {
        const { attemptId, delivery } = effect.command;
        const run = shadow.runs.get(delivery.run);
        // Of a run that ended while the command waited nothing is known any more.
        const isOver = run !== undefined && (run.ending ?? run.ended) !== undefined;
        const isKnown = shadow.attempts.has(attemptId) || isOver;
        assert(isKnown, `${name} starts ${attemptId}, which is not saved`);
      } else if (effect.kind === "toExecutor" && effect.command.kind === "reportAck") {
        const { attemptId } = effect.command;
        const isOpen = shadow.attempts.get(attemptId)?.state === "running";
        assert(!isOpen, `${name} acknowledges the report of ${attemptId}, which is not saved`);
      } else if (effect.kind === "commit") {
        const run = shadow.runs.get(effect.manifest.run);
        const isMeant = run?.state === "committing" || run?.ending !== undefined;
        assert(isMeant, `${name} commits ${effect.manifest.run}, which is not saved`);
      }
    }
  }

  /** One process acts in an epoch, whatever its name has been before. */
  #acts(epoch: number, name: string, life: number): void {
    const who = `${name}/${life}`;
    const known = this.#leaderOf.get(epoch);
    if (known === undefined) this.#leaderOf.set(epoch, who);
    else assert(known === who, `epoch ${epoch} is led by ${known} and by ${who}`);
  }

  /** A command of a lower epoch changes nothing; an attempt is carried out once, wherever. */
  executorStepped(
    { name, state }: SimExecutor,
    before: ExecutorState,
    message: Message,
    effects: readonly ExecutorEffect[],
  ): void {
    this.#facts.executorStepped(name, state);
    assert(state.highestEpoch >= before.highestEpoch, `${name} forgot the epoch that it obeyed`);
    noReportIsForgotten(name, before, state, message);
    for (const effect of effects) {
      if (effect.kind !== "giveWork") continue;
      const { attemptId } = effect;
      assert(!this.#given.has(attemptId), `attempt ${attemptId} is carried out twice`);
      this.#given.add(attemptId);
      assert(before.drain === undefined, `${name} begins ${attemptId} although it leaves`);
      const meant = this.#shadow?.attempts.get(attemptId)?.incarnation;
      const isMeant = meant === undefined || meant === state.identity.incarnation;
      assert(isMeant, `${name} carries out ${attemptId}, which is an earlier process's`);
    }
    if (message.kind !== "commanded" || message.epoch >= before.highestEpoch) return;
    const isSame = state.slots === before.slots && state.reports === before.reports;
    const what = `${name} obeyed ${message.command.kind} of epoch ${message.epoch}`;
    const isRefused = message.command.kind === "refused";
    assert(isRefused || isSame, `${what} after ${before.highestEpoch}`);
  }

  #accepted(ask: Ask, answer: Answer, coordinator: string): void {
    if (ask.kind === "sendNotice") this.alerts.accepted(ask, answer.kind === "ok");
    if (answer.kind === "failed") {
      const { code, message } = answer.failure;
      const isGone = ask.kind === "arrange" && code === "storageFailed";
      assert(!isGone, `${coordinator} arranges a file that is not there: ${message}`);
      return;
    }
    if (ask.kind === "append") {
      this.#appended(ask, coordinator);
    } else if (ask.kind === "claimStorage") {
      if (answer.kind === "taken" && answer.taken) this.#storageEpoch = ask.epoch;
    } else if ("epoch" in ask && ask.kind !== "takeEpoch" && ask.kind !== "renew") {
      const what = `storage took ${ask.kind} of epoch ${ask.epoch} from ${coordinator}`;
      assert(ask.epoch === this.#storageEpoch, `${what} while ${this.#storageEpoch} leads`);
    }
    if (ask.kind === "publish") {
      const { run } = ask.manifest;
      const isCommitted = this.#memory.manifests.get(run)?.state === "committed";
      assert(isCommitted, `${coordinator} shows ${run} to readers, which is not committed`);
    }
    if (answer.kind === "manifest") this.#rowsAreRight(answer.manifest);
  }

  /**
   * Only a journal that has lost records of its end can take one of an older epoch: the sequence that it expects comes
   * twice. Then it must count for nothing.
   */
  #appended({ epoch, text }: Extract<Ask, { kind: "append" }>, coordinator: string): void {
    if (epoch >= this.#shadowEpoch) {
      this.#shadowEpoch = epoch;
      this.#foldIn(text);
      return;
    }
    const what = `the journal took a record of epoch ${epoch} from ${coordinator}`;
    assert(this.#hasLostRecords, `${what} after one of ${this.#shadowEpoch}`);
  }

  #foldIn(text: string): void {
    if (this.#shadow === undefined) return;
    const facts = readFacts(this.#reader, text);
    const isWhole = !this.#hasLostRecords;
    for (const fact of facts) {
      this.#tellFact(fact);
      this.#facts.before(this.#shadow, fact, isWhole);
      const former = this.#winnerBeside(this.#shadow, fact);
      this.#backfills.saw(this.#shadow, fact);
      this.alerts.saw(fact);
      this.#history.saw(fact);
      fold(this.#shadow, fact);
      const now = former === undefined ? undefined : this.#winnerBeside(this.#shadow, fact);
      assert(now === former, `${now} wins a task that ${former} has won`);
    }
    this.#facts.after(this.#shadow, facts, isWhole);
  }

  #tellFact(fact: Fact): void {
    const run = "run" in fact ? ` ${fact.run}` : "";
    const task = "task" in fact ? ` ${fact.stage}-${fact.task}` : "";
    const attempt = "attemptId" in fact ? ` ${fact.attemptId}` : "";
    this.#world.trace(`  fact ${fact.kind}${run}${task}${attempt}`);
  }

  /** Who has won the task of an attempt that reports: no other one will before the journal says that its output is lost. */
  #winnerBeside({ attempts, runs }: Durable, fact: Fact): string | undefined {
    if (fact.kind !== "attemptDone") return undefined;
    const { run = "", stage = -1, task = -1 } = attempts.get(fact.attemptId) ?? {};
    return runs.get(run)?.stages[stage]?.tasks[task]?.result?.attemptId;
  }

  /** A leader that has everything saved has what the journal gives. */
  #compare({ name, state }: SimCoordinator): void {
    if (this.#shadow === undefined || !this.#hasAllSaved(state)) return;
    // One that was deposed meanwhile has the last sequence only where the journal went back and grew again.
    if (state.durable.epoch !== this.#shadowEpoch) return;
    this.#untilCompared = compareEvery;
    const isSame = textOf(this.#shadow) === textOf(state.durable);
    assert(isSame, `the journal gives another state than leader ${name} has`);
  }

  #takeUp({ state }: SimCoordinator): void {
    if (!this.#hasAllSaved(state) || state.durable.epoch !== this.#shadowEpoch) return;
    if (state.durable.epoch <= this.#damagedEpoch) return;
    this.#shadow = decodeSnapshot(encodeSnapshot(state.durable));
    this.#reader = { pieces: [] };
  }

  #hasAllSaved({ journal }: SimCoordinator["state"]): boolean {
    return journal.decided === journal.saved && journal.sequence === this.#memory.journalLast;
  }

  /** Each input file's rows are in each dataset exactly once: what the plain oracle makes of a folder that was seen. */
  #rowsAreRight(manifest: RunManifest): void {
    if (manifest.state !== "committed" || this.#checkedRuns.has(manifest.run)) return;
    this.#checkedRuns.add(manifest.run);
    const wrong = wrongWith(this.#memory, manifest);
    assert(wrong === undefined, wrong ?? "");
    this.#history.committed(manifest);
  }

  /** After all faults have ended: everything that was promised has come true, and nothing is left over. */
  atTheEnd(
    coordinators: readonly SimCoordinator[],
    users: { readonly promised: ReadonlyMap<string, string>; readonly open: ReadonlySet<string> },
    days: readonly (readonly [job: string, day: string])[],
  ): void {
    const leaders = coordinators.filter(({ state }) => state.role.kind === "leader");
    const [leader] = leaders;
    assert(leader !== undefined && leaders.length === 1, `${leaders.length} lead in the end`);
    assert(users.open.size === 0, `not done in the end: ${[...users.open].join(" ")}`);
    const manifests = this.#memory.manifests;
    for (const [request, run] of users.promised) {
      assert(manifests.has(run), `${request} was promised ${run}, which never ended`);
    }
    const { durable } = leader.state;
    for (const run of durable.runs.values()) {
      assert(run.ended !== undefined, `${run.id} is still ${run.state} after all this time`);
    }
    for (const [job, day] of days) {
      this.#dayIsDone(leader, job, day);
      this.#dayIsCurrent(leader, job, day);
    }
    this.#backfills.atTheEnd(durable, manifests);
    this.#history.atTheEnd(leader);
    this.alerts.atTheEnd(leader, this.#world.wallFrom + this.#world.at);
    this.#nothingIsLeftBehind(leader);
    this.#compare(leader);
  }

  /** Committed, and what readers see and the leader names is the newest. */
  #dayIsDone(leader: SimCoordinator, job: string, day: string): void {
    const committed = [...this.#memory.manifests.values()].filter(
      (one) => one.job === job && one.day === day && one.state === "committed",
    );
    const newest = Math.max(0, ...committed.map(({ revision }) => revision));
    assert(newest > 0, `nobody committed ${day} of ${job}`);
    const manifest = committed.find(({ revision }) => revision === newest);
    const files = manifest?.datasets.flatMap((dataset) => dataset.files) ?? [];
    const aside = [...(manifest?.rejectFiles ?? []), ...(manifest?.lateFiles ?? [])];
    for (const path of [...files.map((file) => file.path), ...aside]) {
      assert(this.#memory.files.has(path), `${path} is committed and gone`);
    }
    const seen = this.#memory.views.get(`${job}|${day}`) ?? 0;
    assert(seen === newest, `readers of ${job} ${day} see r${seen}, not r${newest}`);
    const named = leader.state.durable.days.get(dayKey(job, day))?.committed;
    assert(named === newest, `the leader names r${named} of ${job} ${day}, not r${newest}`);
  }

  /** A day that runs by itself is made from the files that lie there in the end. */
  #dayIsCurrent(leader: SimCoordinator, job: string, day: string): void {
    const { durable } = leader.state;
    const named = jobNamed(durable, job);
    const record = durable.days.get(dayKey(job, day));
    if (named?.spec.schedule === undefined || record?.made === undefined) return;
    // Its newest revision waits for somebody who looks at it: what is shown is older.
    if (record.quarantined !== undefined) return;
    for (const { name } of named.spec.sources) {
      const there = inputDigest(this.#memory.folders.get(`${name}|${day}`) ?? []);
      const { made, failed } = record;
      // A run of them that is in quarantine, or that a check stopped, is told: it is not tried again by itself.
      const isTold = failed?.digests[name] === there;
      assert(
        made.digests[name] === there || isTold,
        `${day} of ${job} is not made from the files of ${name} that there are`,
      );
    }
  }

  /** Every run has ended: what is left is kept outputs and their rows, and nothing in staging. */
  #nothingIsLeftBehind(leader: SimCoordinator): void {
    const staged = this.#memory.stagedRuns();
    const requests = [...this.#memory.requests.keys()];
    assert(requests.length === 0, `requests are still there: ${requests.join(", ")}`);
    assert(staged.length === 0, `staging still holds ${staged.join(", ")}`);
    const wanted = new Map<string, ReadonlySet<string>>();
    for (const { exchanges, outputs } of leader.state.durable.kept.values()) {
      const winners = new Set(outputs.attemptIds());
      for (const { streams } of exchanges)
        for (const stream of streams) wanted.set(stream, winners);
    }
    for (const [stream, attempts] of this.#memory.streams) {
      // Nobody can clean what nobody can reach.
      if (!this.#memory.isReachable(stream)) continue;
      const winners = wanted.get(stream);
      assert(winners !== undefined, `stream ${stream} is nobody's`);
      const loser = [...attempts.keys()].find((attempt) => !winners.has(attempt));
      assert(loser === undefined, `stream ${stream} holds rows of ${loser}, which has lost`);
    }
  }
}

/** An outcome is kept until a leader has saved it. */
function noReportIsForgotten(
  name: string,
  before: ExecutorState,
  { reports }: ExecutorState,
  message: Message,
): void {
  if (before.reports === reports) return;
  const isAcknowledged = message.kind === "commanded" && message.command.kind === "reportAck";
  const acknowledged = isAcknowledged ? message.command.attemptId : undefined;
  for (const { attemptId } of before.reports) {
    const isKept = reports.some((one) => one.attemptId === attemptId);
    assert(isKept || attemptId === acknowledged, `${name} forgets its report of ${attemptId}`);
  }
}

/** All that durable state holds, as one text. */
function textOf(durable: Durable): string {
  return encodeSnapshot(durable).join("\n");
}
