/**
 * What the simulated cluster shares: the coordinators' memory ports, with input folders that change, streams that
 * can't be reached, and all the ways in which NATS loses what it had. It remembers for the checkers what was accepted.
 */
import type { Answer, Ask } from "../../coordinator/core/protocol.ts";
import type { SourceLook } from "../../shared/kernel/days.ts";
import type { DayRevisions, RevisionFolder, RunManifest } from "../../shared/kernel/manifest.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import type { FileFingerprint } from "../../shared/kernel/work.ts";
import { ClusterMemory, failed, type Hint } from "./cluster-memory.ts";
import { planOf, type SimJob } from "./jobs.ts";
import type { World } from "./world.ts";

type From = { readonly coordinator: string; readonly address: string };
type Folder = ReadonlyMap<string, readonly FileFingerprint[]>;

export class SimMemory extends ClusterMemory {
  /** `source|day` → the files there now. */
  readonly folders = new Map<string, readonly FileFingerprint[]>();
  /** `job|day` → every state of its sources' folders that a leader was told. */
  readonly listings = new Map<string, Folder[]>();
  /** Stream → until when nobody can reach it. */
  readonly unreachable = new Map<string, number>();
  /** Until when NATS has no room, and for whom; journal and registry have some that is kept free for them. */
  #full = { for: "rows" as "rows" | "all", until: 0 };
  /** Does a task's result differ from attempt to attempt? */
  readonly isUnstable: boolean;
  /** Told of each renewal that NATS took. */
  renewed: (hint: Hint) => void = () => {};
  /** Told of each ask that was carried out, with what came of it. */
  accepted: (ask: Ask, answer: Answer, from: From) => void = () => {};
  /** Told when NATS lost (a part of) the journal. */
  damaged: () => void = () => {};
  readonly #world: World;
  readonly #jobs: readonly SimJob[];

  constructor(world: World, jobs: readonly SimJob[]) {
    super();
    this.#world = world;
    this.#jobs = jobs;
    this.isUnstable = world.chance() < 0.5;
  }

  planOf(job: string): JobPlan {
    return planOf(this.#jobs, job);
  }

  /** Has the model of a job a table of several days? */
  readsDays(job: string, model: string): boolean {
    const plan = this.planOf(job).datasets.find((one) => one.model === model);
    return (plan?.history ?? []).length > 0;
  }

  override answer(ask: Ask, from: From): Answer {
    const answer = this.#carriedOut(ask, from);
    this.accepted(ask, answer, from);
    if (ask.kind === "renew" && answer.kind === "ok" && this.hint !== undefined) {
      this.renewed(this.hint);
    }
    return answer;
  }

  #carriedOut(ask: Ask, from: From): Answer {
    if (this.#isRefused(ask)) return failed("exchangeFull", `no room for ${ask.kind}`);
    if (ask.kind === "planJob") return { kind: "planned", plan: this.planOf(ask.job.name) };
    if (ask.kind === "listInputs") return this.#list(ask);
    if ("streams" in ask) {
      const gone = ask.streams.find((stream) => !this.isReachable(stream));
      if (gone !== undefined) return this.#inPart(ask, gone, from);
    }
    if (ask.kind === "readCompletions") return this.#completions(ask);
    if (ask.kind === "readUsage" && this.isFull) return this.#tight(super.answer(ask, from));
    if (ask.kind === "listRevisions") return { kind: "revisions", days: this.#revisions() };
    if (ask.kind === "dropRevision") return this.#dropRevision(ask);
    if (ask.kind === "arrange") {
      const gone = ask.files.find(({ staged }) => !this.files.has(staged));
      const isFenced = ask.epoch !== this.claimed;
      if (gone !== undefined && !isFenced) return failed("storageFailed", `no ${gone.staged}`);
    }
    return super.answer(ask, from);
  }

  /** Somebody fills NATS up, and goes after so long. false: it is full already. */
  fill(whom: "rows" | "all", ms: number): boolean {
    if (this.isFull) return false;
    this.#full = { for: whom, until: this.#world.at + ms };
    return true;
  }

  /** Nobody may write rows. What is read, removed and made empty needs no room. */
  get isFull(): boolean {
    return this.#world.at < this.#full.until;
  }

  /** What is kept free can't be made again. Some byte lies in each stream, or nobody would wait for ours. */
  #tight(usage: Answer): Answer {
    if (usage.kind !== "usage") return usage;
    const streams = usage.streams.map((one) => ({ ...one, bytes: Math.max(1, one.bytes) }));
    return { kind: "usage", streams, isTight: true };
  }

  #isRefused({ kind }: Ask): boolean {
    if (!this.isFull || this.#full.for !== "all") return false;
    return kind === "append" || kind === "renew" || kind === "takeEpoch";
  }

  /** Some stream can't be reached: the others are dropped and cleaned all the same. */
  #inPart(ask: Extract<Ask, { streams: unknown }>, gone: string, from: From): Answer {
    if (ask.kind === "dropStreams" || ask.kind === "purgeStreams") {
      const streams = ask.streams.filter((stream) => this.isReachable(stream));
      super.answer({ ...ask, streams }, from);
    }
    return unreachable(gone);
  }

  /** What attempts left in the streams beside their rows. */
  #completions({ streams, run }: Extract<Ask, { kind: "readCompletions" }>): Answer {
    return {
      kind: "completions",
      streams: streams.flatMap((stream) => {
        const attempts = this.streams.get(stream);
        if (attempts === undefined) return [];
        const complete = [...attempts].filter(([, messages]) => messages.some(isCompletion));
        const accounts = [...attempts.values()].flatMap((messages) => messages.filter(isAccount));
        return [
          {
            stream,
            complete: complete.map(([attemptId]) => attemptId),
            accounts: accounts.map((message) => message.slice(1)),
          },
        ];
      }),
      staged: [...this.files.keys()].filter((path) => path.startsWith(`staging/${run}/`)),
    };
  }

  #revisions(): readonly DayRevisions[] {
    const days = new Map<string, Map<string, Set<string>>>();
    for (const path of this.files.keys()) {
      const [top, job = "", day = "", folder = "", dataset = ""] = path.split("/");
      if (top !== "revisions") continue;
      const folders = days.get(`${job}|${day}`) ?? new Map<string, Set<string>>();
      days.set(`${job}|${day}`, folders);
      folders.set(folder, (folders.get(folder) ?? new Set()).add(dataset));
    }
    return [...days].map(([key, folders]) => {
      const [job = "", day = ""] = key.split("|");
      return { job, day, folders: [...folders].map((one) => this.#folderOf(job, day, one)) };
    });
  }

  #folderOf(
    job: string,
    day: string,
    [name, datasets]: readonly [string, ReadonlySet<string>],
  ): RevisionFolder {
    const [, revision = "", arrangedBy = ""] = /^r(\d+)-e(\d+)$/.exec(name) ?? [];
    const manifest = this.manifests.get(`${job}.${day}.r${revision}`);
    const folder = { revision: Number(revision), arrangedBy: Number(arrangedBy) };
    if (manifest === undefined) return { ...folder, datasets: [...datasets] };
    const { state, wallMs } = manifest;
    const late = (manifest.lateFiles ?? []).map((path) => path.split("/")[4] ?? "");
    const known = { state, wallMs, arrangedBy: arrangedByOf(manifest), late: [...new Set(late)] };
    return { ...folder, datasets: [...datasets], manifest: known };
  }

  #dropRevision(ask: Extract<Ask, { kind: "dropRevision" }>): Answer {
    const { epoch, run, arrangedBy, datasets } = ask;
    const { job, day, revision } = run;
    if (epoch !== this.claimed) return failed("storageFenced", "a newer leader");
    const shown = this.manifests.get(`${job}.${day}.r${this.views.get(`${job}|${day}`) ?? 0}`);
    const isShown = shown?.revision === revision && arrangedByOf(shown) === arrangedBy;
    const isSeen = (name: string) => shown?.datasets.some(({ dataset }) => dataset === name);
    if (isShown && (datasets === "all" || datasets.some(isSeen))) {
      return failed("conflict", "readers see it");
    }
    const folder = `revisions/${job}/${day}/r${revision}-e${arrangedBy}/`;
    for (const path of this.files.keys()) {
      if (!path.startsWith(folder)) continue;
      const [name = ""] = path.slice(folder.length).split("/");
      if (datasets === "all" || datasets.includes(name)) this.files.delete(path);
    }
    return { kind: "ok" };
  }

  /** Trouble ends: what is gone for good stays gone. */
  reachAgain(): void {
    this.#full.until = 0;
    for (const [stream, until] of this.unreachable) {
      if (until < Number.POSITIVE_INFINITY) this.unreachable.delete(stream);
    }
  }

  isReachable(stream: string): boolean {
    return this.#world.at >= (this.unreachable.get(stream) ?? 0);
  }

  #list({ sources, day, history = [] }: Extract<Ask, { kind: "listInputs" }>): Answer {
    const folder = new Map(
      sources.map(({ name }) => [name, this.folders.get(`${name}|${day}`) ?? []]),
    );
    const empty = sources.find(({ name }) => folder.get(name)?.length === 0);
    if (empty !== undefined) return failed("inputMissing", `${empty.name} has no file`);
    const [first] = sources;
    const job = this.#jobs.find(({ spec }) => spec.sources.some((one) => one.name === first?.name));
    const key = `${job?.spec.name}|${day}`;
    const seen = this.listings.get(key);
    if (seen === undefined) this.listings.set(key, [folder]);
    else seen.push(folder);
    const days = history.map((pin) => this.listHistory(pin));
    const gone = days.flatMap(({ files }) => files).find(({ path }) => !this.files.has(path));
    if (gone !== undefined) return failed("storageFailed", `${gone.path} is gone`);
    return {
      kind: "listed",
      sources: [...[...folder].map(([source, files]) => ({ source, files })), ...days],
      dimensions: [],
    };
  }

  override look(source: string, day: string): SourceLook {
    return { source, files: this.folders.get(`${source}|${day}`) ?? [], newestMs: 0 };
  }

  /** Is the file still what it was when it was listed? */
  isAsListed(file: FileFingerprint): boolean {
    if (file.path.startsWith("revisions/")) return this.files.has(file.path);
    const [, source, day] = /^raw\/([^/]+)\/day=([^/]+)\//.exec(file.path) ?? [];
    const there = this.folders.get(`${source}|${day}`)?.find((one) => one.path === file.path);
    return there?.mtimeNs === file.mtimeNs;
  }

  override loseJournal(): void {
    super.loseJournal();
    this.damaged();
  }

  /** The first records, up to half of them. */
  loseJournalHead(records: number): void {
    this.journal = this.journal.slice(records);
    this.damaged();
  }

  /** The last records, acknowledged or not. */
  loseJournalTail(records: number): void {
    const lost = this.journal.splice(Math.max(0, this.journal.length - records));
    this.journalLast -= lost.length;
    this.damaged();
  }

  loseRegistry(): void {
    this.epochs.clear();
    this.hint = undefined;
  }
}

/** Messages of a stream are texts: a completion record, an account behind an `@`, or rows behind a sequence. */
export function isCompletion(message: string): boolean {
  return message.startsWith("{");
}

export function isAccount(message: string): boolean {
  return message.startsWith("@");
}

/** Epoch of the leader whose folder the manifest names. */
function arrangedByOf({ datasets }: RunManifest): number {
  const path = datasets.flatMap(({ files }) => files)[0]?.path ?? "";
  return Number(/\/r\d+-e(\d+)\//.exec(path)?.[1] ?? 0);
}

export function unreachable(stream: string): Answer {
  const message = `stream ${stream} can't be reached`;
  return { kind: "failed", failure: { code: "unavailable", message, detail: { stream } } };
}

/** `count` files of 100 bytes in a source's folder of a day. */
export function filesOf(source: string, day: string, count: number): readonly FileFingerprint[] {
  return Array.from({ length: count }, (_, index) => fileOf(source, day, index, 1));
}

export function fileOf(
  source: string,
  day: string,
  index: number,
  version: number,
): FileFingerprint {
  return {
    path: `raw/${source}/day=${day}/part-${index}.csv`,
    size: 100,
    mtimeNs: String(version),
    ctimeNs: String(version),
    inode: String(index),
  };
}
