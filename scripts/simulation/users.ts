/**
 * Those who want something of the cluster: they submit days until a run is promised and submit again when it was
 * cancelled or failed, sometimes twice and at several coordinators; they cancel, ask and drain.
 */
import type { ClientMessage, Question, Reply } from "../../coordinator/core/protocol.ts";
import { assert, must } from "../../shared/kernel/assert.ts";
import type { FailureCode } from "../../shared/kernel/failure.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";
import type { Lane } from "../../shared/kernel/lane.ts";
import type { Faults } from "./faults.ts";
import { type SimJob, simDays } from "./jobs.ts";
import type { SimCoordinator } from "./sim-coordinator.ts";
import type { SimExecutor } from "./sim-executor.ts";
import type { SimMemory } from "./sim-memory.ts";
import { backfillWord, upkeepWord } from "./words.ts";
import { wordsOfDays } from "./words-of-days.ts";
import type { World } from "./world.ts";

/** A day that somebody wants; the id stays the same until a run is promised. */
interface Wish {
  readonly id: string;
  readonly job: string;
  readonly day: string;
  readonly rerun: boolean;
  readonly lane: Lane;
  /** Some models only. */
  readonly select?: readonly string[];
}

/** A submit may be refused for these: it is sent again. */
const passing: ReadonlySet<FailureCode> = new Set([
  "notLeader",
  "noLeader",
  "unavailable",
  "unknownJob",
  "storageFull",
  "storageReadOnly",
  "storageDenied",
  "storageFailed",
]);

type Unnumbered<T> = T extends unknown ? Omit<T, "reply"> : never;

export class Users {
  /** Request → the run that was promised for it. */
  readonly promised = new Map<string, string>();
  /** Runs that somebody tried to cancel. */
  readonly cancelled = new Set<string>();
  /** Wishes that are not fulfilled yet. */
  readonly open = new Set<string>();
  readonly #world: World;
  readonly #faults: Faults;
  readonly #memory: SimMemory;
  readonly #jobs: readonly SimJob[];
  readonly #coordinators: readonly SimCoordinator[];
  readonly #waiting = new Map<number, (result: Reply) => void>();
  readonly #isByItself: boolean;
  /** Lanes that wishes are for; in some histories all are live. */
  readonly #lanes: readonly Lane[];
  /** Runs in quarantine that somebody has decided on. */
  readonly #looked = new Set<string>();
  #replies = 1;
  #wishes = 0;

  constructor(about: {
    readonly world: World;
    readonly faults: Faults;
    readonly memory: SimMemory;
    readonly jobs: readonly SimJob[];
    readonly coordinators: readonly SimCoordinator[];
    /** The jobs have a schedule. */
    readonly isByItself: boolean;
  }) {
    this.#world = about.world;
    this.#faults = about.faults;
    this.#memory = about.memory;
    this.#jobs = about.jobs;
    this.#coordinators = about.coordinators;
    this.#isByItself = about.isByItself;
    this.#lanes = this.#world.chance() < 0.4 ? ["live"] : ["live", "live", "backlog", "ahead"];
  }

  /** Every day of every job once, then some of them again and again until so late. */
  begin(untilMs: number): void {
    for (const { spec } of this.#jobs) {
      // Half of the days that are not due yet are left to themselves, until somebody wants one again.
      const isLeft = this.#isByItself && this.#world.chance() < 0.5;
      for (const day of isLeft ? simDays.slice(0, 1) : simDays) {
        this.#world.after(this.#world.between(0, 20_000), () => this.#wish(spec.name, day, false));
      }
    }
    const again = () => {
      if (this.#world.at > untilMs) return;
      const job = must(this.#world.pick(this.#jobs), "there are jobs").spec.name;
      const isEarly = this.#isByItself && this.#world.at < 190_000 && this.#world.chance() < 0.7;
      const day = must(this.#world.pick(isEarly ? simDays.slice(0, 1) : simDays), "there are days");
      this.#wish(job, day, true, this.#someModels(job));
      if (this.#isByItself) {
        const message = {
          kind: "backfill",
          action: backfillWord(this.#world, job, `backfill-${++this.#wishes}`),
        } as const;
        for (const coordinator of this.#coordinators) this.#send(coordinator, message);
      }
      this.#world.after(this.#world.between(10_000, 60_000), again);
    };
    this.#world.after(30_000, again);
    this.#askNowAndThen();
    this.#lookAfterQuarantine();
  }

  replied(reply: number, result: Reply): void {
    const heard = this.#waiting.get(reply);
    this.#waiting.delete(reply);
    if (heard === undefined || this.#faults.strikes(0.03, "submitUnheard")) return;
    this.#world.after(this.#world.between(1, 20), () => heard(result));
  }

  /** Cancels some run that was promised and has not ended. */
  cancelSome(): void {
    const runs = [...this.promised.values()].filter((run) => !this.#memory.manifests.has(run));
    const run = this.#world.pick(runs);
    if (run === undefined) return;
    this.#faults.count("runCancelled");
    this.cancelled.add(run);
    for (const coordinator of this.#coordinators) {
      this.#send(coordinator, { kind: "cancelRun", run, reason: "changed our mind" });
    }
  }

  /** Whatever callers may ask for, at a moment that is not theirs to choose. */
  poke(coordinator: SimCoordinator): void {
    const run = this.#world.pick([...this.promised.values()]) ?? "none.2026-01-15.r1";
    const known = this.#world.pick([...this.promised.keys()]);
    const messages: Unnumbered<ClientMessage>[] = [
      { kind: "question", question: this.#question() },
      { kind: "drainExecutor", executor: "nobody" },
      { kind: "releaseRun", run },
      { kind: "upkeep", action: upkeepWord(this.#world, this.#jobs) },
    ];
    if (this.#memory.manifests.has(run)) {
      messages.push({ kind: "cancelRun", run, reason: "too late" });
    }
    if (known !== undefined) {
      const [job = "", day = ""] = known.split("|");
      messages.push({ kind: "submit", requestId: known, job, day, rerun: true });
    }
    if (this.#isByItself)
      messages.push(...wordsOfDays(this.#world, this.#jobs, `backfill-${++this.#wishes}`));
    if (this.#faults.strikes(0.05, "coordinatorStopped")) {
      this.stop(coordinator);
      return;
    }
    this.#send(coordinator, must(this.#world.pick(messages), "there are messages"), 0);
  }

  /** Trouble is over: nothing is held or paused any more, and whoever says so hears that it is so. */
  letDaysRun(): void {
    if (!this.#isByItself) return;
    for (const { spec } of this.#jobs) {
      const job = spec.name;
      this.#insist({ kind: "pauseBacklog", job, paused: false, reason: "" });
      for (const day of simDays) {
        this.#insist({ kind: "markDay", job, day, mark: "released", reason: "" });
      }
    }
    for (const { desk } of this.#memory.desks.values()) {
      for (const { id, state } of desk.backfills ?? []) {
        const go = { kind: "resume", id, reason: "" } as const;
        if (state === "paused") this.#insist({ kind: "backfill", action: go });
      }
    }
  }

  #insist(message: Unnumbered<ClientMessage>): void {
    const id = JSON.stringify(message);
    this.open.add(id);
    const ask = () => {
      if (!this.open.has(id)) return;
      for (const coordinator of this.#coordinators) {
        this.#send(coordinator, message, undefined, (result) => {
          // A backfill may have been cancelled, or come to its end, meanwhile.
          const isOver = result.kind === "failed" && result.failure.code === "conflict";
          if (result.kind === "said" || result.kind === "backfills" || isOver) this.open.delete(id);
        });
      }
      this.#world.after(2_000, ask);
    };
    ask();
  }

  /** Tells a coordinator to end; it is gone soon and comes again later. */
  stop(coordinator: SimCoordinator): void {
    const world = this.#world;
    const { life } = coordinator;
    world.after(0, () => coordinator.post({ kind: "stop" }, life));
    world.after(world.between(50, 5_000), () => {
      if (coordinator.life !== life) return;
      coordinator.kill(true);
      world.after(world.between(50, 9_000), () => coordinator.start());
    });
  }

  /** Tells an executor to leave, at a moment that it would not choose. */
  pokeExecutor(executor: SimExecutor): void {
    const world = this.#world;
    const { life } = executor;
    if (this.#faults.strikes(0.2, "executorStopped")) {
      world.after(world.between(0, 300), () => executor.post({ kind: "stop" }, life));
    } else if (this.#faults.strikes(1, "executorDrained")) {
      const finishMs = world.between(0, 15_000);
      const drain = { kind: "drain", reason: "a signal", finishMs } as const;
      world.after(world.between(0, 300), () => executor.post(drain, life));
      if (world.chance() < 0.3)
        world.after(world.between(0, 2_000), () => this.drain(executor.name));
    }
  }

  drain(executor: string): void {
    for (const coordinator of this.#coordinators) {
      this.#send(coordinator, { kind: "drainExecutor", executor });
    }
  }

  /** In one of three cases a model and what reads it, or what it reads. */
  #someModels(job: string): readonly string[] | undefined {
    const spec = this.#jobs.find((one) => one.spec.name === job)?.spec;
    const model = this.#world.pick(spec?.models ?? [])?.name ?? "";
    const text = this.#world.pick([`${model}+`, `+${model}`, model] as const) ?? model;
    return this.#world.chance() < 0.35 ? [text] : undefined;
  }

  #wish(job: string, day: string, rerun: boolean, select?: readonly string[]): void {
    const id = `${job}|${day}|${++this.#wishes}`;
    this.open.add(id);
    const lane = must(this.#world.pick(this.#lanes), "there are lanes");
    this.#submit({ id, job, day, rerun, lane, ...(select && { select }) });
  }

  #submit(wish: Wish): void {
    const coordinator = this.#world.pick(this.#coordinators);
    let isDone = false;
    const finish = (result: Reply | undefined) => {
      if (isDone) return;
      isDone = true;
      this.#answered(wish, result);
    };
    this.#world.after(4_000, () => finish(undefined));
    const message = this.#submitOf(wish);
    if (coordinator !== undefined) this.#send(coordinator, message, undefined, finish);
    if (!this.#faults.strikes(0.1, "submitDuplicated")) return;
    const other = this.#world.pick(this.#coordinators);
    if (other !== undefined) this.#send(other, message);
  }

  #submitOf({ id, job, day, rerun, lane, select }: Wish): Unnumbered<ClientMessage> {
    const spec = must(
      this.#jobs.find((one) => one.spec.name === job),
      "wishes are for known jobs",
    ).spec;
    const isNamed = this.#world.chance() < 0.1;
    const named: JobSpec | string = isNamed ? job : this.#edited(spec);
    return {
      kind: "submit",
      requestId: id,
      job: named,
      day,
      rerun,
      lane,
      ...(select && { select }),
    };
  }

  /** The same job, sometimes cut in another way. */
  #edited(spec: JobSpec): JobSpec {
    if (!this.#faults.strikes(0.05, "jobEdited")) return spec;
    return { ...spec, execution: { ...spec.execution, splitBytes: 150 } };
  }

  #answered(wish: Wish, result: Reply | undefined): void {
    if (result?.kind === "submitted") {
      this.#world.trace(`${wish.id} is promised ${result.run}`);
      const before = this.promised.get(wish.id);
      const isNew = before === undefined;
      assert(isNew || before === result.run, `${wish.id} is ${before} and ${result.run}`);
      this.promised.set(wish.id, result.run);
      this.#follow(wish, result.run);
      return;
    }
    const code = result?.kind === "failed" ? result.failure.code : "noLeader";
    if (code === "conflict" && !wish.rerun) {
      // Somebody else's run of the day is committed: that will do.
      this.open.delete(wish.id);
      return;
    }
    // A run of other models is under way, or there is no revision yet to carry the others over from.
    const isEarly = code === "conflict";
    assert(isEarly || passing.has(code), `the submit ${wish.id} was refused: ${code}`);
    this.#world.after(700, () => this.#submit(wish));
  }

  /** Until the run has ended; one that gave no result is asked for again. */
  #follow(wish: Wish, run: string): void {
    const manifest = this.#memory.manifests.get(run);
    if (manifest === undefined) {
      this.#world.after(1_000, () => this.#follow(wish, run));
      return;
    }
    this.open.delete(wish.id);
    if (manifest.state === "aborted") this.#wish(wish.job, wish.day, true);
  }

  /** Somebody looks at what is in quarantine, whoever started it: it is released, or the day is made again. */
  #lookAfterQuarantine(): void {
    for (const { run, job, day, state } of this.#memory.manifests.values()) {
      if (state !== "quarantined" || this.#looked.has(run)) continue;
      this.#looked.add(run);
      if (this.#world.chance() < 0.3) this.#wish(job, day, true);
      else this.#release(run);
    }
    this.#world.after(3_000, () => this.#lookAfterQuarantine());
  }

  /** Until it is shown, or was overtaken by a newer run of the day. */
  #release(run: string): void {
    const id = `release ${run}`;
    this.open.add(id);
    const coordinator = this.#world.pick(this.#coordinators);
    let isDone = false;
    const finish = (result: Reply | undefined) => {
      if (isDone) return;
      isDone = true;
      const code = result?.kind === "failed" ? result.failure.code : undefined;
      if (result?.kind === "released" || (code === "conflict" && this.#isOvertaken(run))) {
        this.open.delete(id);
        return;
      }
      // A leader may not know the run yet: its journal was lost. Or not that it has ended, which is a conflict, too.
      const isEarly = code === "unknownRun" || code === "conflict";
      assert(code === undefined || passing.has(code) || isEarly, `${id}: ${code}`);
      this.#world.after(1_000, () => this.#release(run));
    };
    this.#world.after(4_000, () => finish(undefined));
    const message = { kind: "releaseRun", run } as const;
    if (coordinator !== undefined) this.#send(coordinator, message, undefined, finish);
  }

  #isOvertaken(run: string): boolean {
    const one = this.#memory.manifests.get(run);
    return [...this.#memory.manifests.values()].some(({ job, day, revision, state }) => {
      const isSameDay = job === one?.job && day === one.day;
      return isSameDay && state === "committed" && revision > one.revision;
    });
  }

  #askNowAndThen(): void {
    const coordinator = must(this.#world.pick(this.#coordinators), "there are coordinators");
    this.#send(coordinator, { kind: "question", question: this.#question() });
    this.#world.after(this.#world.between(2_000, 10_000), () => this.#askNowAndThen());
  }

  #question(): Question {
    const run = this.#world.pick([...this.promised.values()]) ?? "none";
    const questions: readonly Question[] = [
      { kind: "status" },
      { kind: "run", run },
      { kind: "runs", job: "", limit: 5 },
      { kind: "executors" },
      { kind: "job", name: "traffic" },
      ...(this.#isByItself
        ? ([
            { kind: "backlog", job: "traffic", days: 0 },
            { kind: "backfills", job: "" },
            { kind: "late", job: "traffic" },
          ] as const)
        : []),
      { kind: "dataset", dataset: "per_cell", day: simDays[0], revision: 0 },
    ];
    return this.#world.pick(questions) ?? { kind: "status" };
  }

  #send(
    coordinator: SimCoordinator,
    message: Unnumbered<ClientMessage>,
    ms = this.#world.between(1, 20),
    heard?: (result: Reply) => void,
  ): void {
    const reply = this.#replies++;
    if (heard !== undefined) this.#waiting.set(reply, heard);
    // The type of the union survives adding one member to each.
    const numbered = { ...message, reply } as ClientMessage;
    this.#world.after(ms, () => coordinator.post(numbered));
  }
}
