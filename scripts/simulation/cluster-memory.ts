/**
 * What coordinators share, in memory and synchronous: epochs, journal, storage, exchange streams. It answers asks as
 * the real adapters do, fences included, so that the production core runs on it deterministically.
 */
import type { Answer, Ask, ListedSource } from "../../coordinator/core/protocol.ts";
import type { AlertDocument, Notice } from "../../shared/kernel/alert.ts";
import type { CalendarStart, SourceLook, StoredDesk } from "../../shared/kernel/days.ts";
import { type FailureCode, failure } from "../../shared/kernel/failure.ts";
import type { HistoryPin } from "../../shared/kernel/history.ts";
import { formatRunId, type JobSpec } from "../../shared/kernel/job.ts";
import { asReleased, type RunManifest, type RunRequest } from "../../shared/kernel/manifest.ts";
import type { JobPlan } from "../../shared/kernel/plan.ts";
import type { StorageRoom } from "../../shared/kernel/status.ts";
import type { FileFingerprint } from "../../shared/kernel/work.ts";

export interface Hint {
  readonly epoch: number;
  readonly coordinator: string;
  readonly address: string;
  readonly beat: number;
}

export class ClusterMemory {
  readonly epochs = new Map<number, string>();
  hint: Hint | undefined;
  journal: { readonly sequence: number; readonly text: string }[] = [];
  journalLast = 0;
  claimed = 0;
  readonly jobs = new Map<string, { readonly spec: JobSpec; readonly digest: string }>();
  readonly requests = new Map<string, RunRequest>();
  readonly manifests = new Map<string, RunManifest>();
  snapshot: { readonly sequence: number; readonly texts: readonly string[] } | undefined;
  /** job|day → revision that readers see. */
  readonly views = new Map<string, number>();
  /** Stream → attempt → what it wrote. */
  readonly streams = new Map<string, Map<string, readonly string[]>>();
  /** Attempt → the account that it left in one of its streams. */
  readonly accounts = new Map<string, { readonly stream: string; readonly text: string }>();
  /** What a look finds in a stream … */
  readonly streamBytes = new Map<string, number>();
  /** … and where nothing is said. */
  bytesPerStream = 0;
  /** Staged or arranged file → what is in it; arranging copies (hard links). */
  readonly files = new Map<string, readonly string[]>();
  readonly droppedStaging: string[] = [];
  inputs: readonly FileFingerprint[] = [];
  /** `source|day` → what a look finds there, where it is not `inputs`. */
  readonly lookedAt = new Map<string, readonly FileFingerprint[]>();
  readonly desks = new Map<string, StoredDesk>();
  alerts: AlertDocument | undefined;
  /** Messages that receivers took, and signs of life; `take` may say that they did not. */
  readonly taken: Notice[] = [];
  heartbeats = 0;
  /** Ids of messages that were taken although the answer says otherwise. */
  readonly unsure = new Set<string>();
  take: (notice: Notice) => Answer = () => ({ kind: "ok" });
  /** Of what the storage lies on, where somebody says so. */
  room: StorageRoom | undefined;
  /** A day is to be done so long after its start, where its job has a deadline. */
  finishAfterMs = 0;
  /** What planning any job gives; whoever makes the memory sets it. */
  plan: JobPlan = { stages: [], exchanges: [], datasets: [], usesLogicalTime: false };
  /** Every manifest creation that was tried, for the checkers. */
  readonly commits: { readonly epoch: number; readonly won: boolean; readonly run: string }[] = [];

  answer(ask: Ask, from: { readonly coordinator: string; readonly address: string }): Answer {
    switch (ask.kind) {
      case "readFences":
        return { kind: "fences", registry: this.highestEpoch(), storage: this.claimed };
      case "takeEpoch": {
        if (this.epochs.has(ask.epoch)) return { kind: "taken", taken: false };
        this.epochs.set(ask.epoch, from.coordinator);
        return { kind: "taken", taken: true };
      }
      case "renew":
        this.hint = { ...from, epoch: ask.epoch, beat: ask.beat };
        return { kind: "ok" };
      case "readJournal":
        return this.#read(ask.from, ask.recordsMax);
      case "append":
        return this.#append(ask.expected, ask.text);
      case "trimJournal":
        this.journal = this.journal.filter((record) => record.sequence > ask.sequence);
        return { kind: "ok" };
      case "planCalendar":
        return { kind: "calendar", starts: this.#startsOf(ask) };
      case "lookAtDay":
        return {
          kind: "looked",
          sources: ask.sources.map(({ source }) => this.look(source.name, ask.day)),
        };
      case "sendNotice":
        return this.#send(ask.notice);
      case "sendHeartbeat":
        this.heartbeats++;
        return { kind: "ok" };
      case "planJob":
        return { kind: "planned", plan: this.plan };
      case "listInputs":
        if (this.inputs.length === 0) return failed("inputMissing", "no file");
        return {
          kind: "listed",
          sources: [
            ...ask.sources.map((source) => ({ source: source.name, files: this.inputs })),
            ...(ask.history ?? []).map((pin) => this.listHistory(pin)),
          ],
          dimensions: [],
        };
      case "ensureStreams": {
        const created = ask.streams.filter((stream) => !this.streams.has(stream));
        for (const stream of created) this.streams.set(stream, new Map());
        return { kind: "ensured", created };
      }
      case "dropStreams":
        for (const stream of ask.streams) this.streams.delete(stream);
        return { kind: "ok" };
      case "checkViews":
        return this.#checkViews(ask);
      case "readUsage":
        return { kind: "usage", streams: this.#usage() };
      case "readCompletions":
        return {
          kind: "completions",
          streams: ask.streams.flatMap((stream) => this.#records(stream)),
          staged: this.staged(ask.run),
        };
      case "listWriters":
        return { kind: "writers", streams: ask.streams.flatMap((stream) => this.#writers(stream)) };
      case "listRevisions":
        return { kind: "revisions", days: [] };
      case "purgeStreams":
        for (const stream of ask.streams) {
          for (const attempt of ask.attempts) this.streams.get(stream)?.delete(attempt);
        }
        return { kind: "ok" };
      default:
        return this.#store(ask);
    }
  }

  #send(notice: Notice): Answer {
    const answer = this.take(notice);
    if (answer.kind === "ok") this.taken.push(notice);
    return answer;
  }

  /** Files of the revisions that a run is pinned to, as their manifests name them. */
  listHistory({ table, job, dataset, days }: HistoryPin): ListedSource {
    const files = days.flatMap(({ day, revision }) => {
      const manifest = this.manifests.get(formatRunId(job, day, revision));
      return manifest?.datasets.find((one) => one.dataset === dataset)?.files ?? [];
    });
    const prints = files.map(({ path, bytes }) => ({
      path,
      size: bytes,
      mtimeNs: "1",
      ctimeNs: "1",
      inode: path,
    }));
    return { source: table, files: prints, rows: files.map(({ rows }) => rows) };
  }

  #startsOf(ask: Extract<Ask, { kind: "planCalendar" }>): readonly CalendarStart[] {
    const starts = dailyStarts(ask);
    if (ask.finishBy === undefined) return starts;
    return starts.map((one) => ({ ...one, finishByMs: one.startMs + this.finishAfterMs }));
  }

  /** What lies in a source's folder: the same on every day, unless somebody says otherwise. */
  look(source: string, day: string): SourceLook {
    const files = this.lookedAt.get(`${source}|${day}`) ?? this.inputs;
    const newestMs = Math.max(0, ...files.map(({ mtimeNs }) => Number(mtimeNs) / 1e6));
    return { source, files, newestMs };
  }

  /** What lies in a run's staging folder. */
  staged(run: string): string[] {
    return [...this.files.keys()].filter((path) => path.startsWith(`staging/${run}/`));
  }

  /** Runs with files in staging. */
  stagedRuns(): string[] {
    const staged = [...this.files.keys()].filter((path) => path.startsWith("staging/"));
    return [...new Set(staged.map((path) => path.split("/")[1] ?? ""))].sort();
  }

  #usage() {
    return [...this.streams.keys()].map((stream) => ({
      stream,
      bytes: this.streamBytes.get(stream) ?? this.bytesPerStream,
    }));
  }

  #records(stream: string) {
    const attempts = this.streams.get(stream);
    if (attempts === undefined) return [];
    const complete = [...attempts.keys()].sort();
    const accounts = complete.flatMap((attemptId) => {
      const account = this.accounts.get(attemptId);
      return account?.stream === stream ? [account.text] : [];
    });
    return [{ stream, complete, accounts }];
  }

  #writers(stream: string) {
    const attempts = this.streams.get(stream);
    return attempts === undefined ? [] : [{ stream, attempts: [...attempts.keys()].sort() }];
  }

  highestEpoch(): number {
    return Math.max(0, ...this.epochs.keys());
  }

  /** NATS lost its state; what is on storage is there. */
  loseJournal(): void {
    this.journal = [];
    this.journalLast = 0;
  }

  #read(from: number, recordsMax: number): Answer {
    // Records are in order: nothing before the first wanted one has to be looked at when there is none.
    let first = this.journal.length;
    while (first > 0 && (this.journal[first - 1]?.sequence ?? 0) >= from) first--;
    const records = this.journal.slice(first, first + recordsMax);
    return { kind: "records", last: this.journalLast, records };
  }

  #append(expected: number, text: string): Answer {
    if (expected !== this.journalLast) return failed("journalConflict", "another record is there");
    this.journalLast++;
    this.journal.push({ sequence: this.journalLast, text });
    return { kind: "appended", sequence: this.journalLast };
  }

  #store(ask: Ask): Answer {
    if (ask.kind === "claimStorage") {
      if (ask.epoch <= this.claimed) return { kind: "taken", taken: false };
      this.claimed = ask.epoch;
      return { kind: "taken", taken: true };
    }
    if ("epoch" in ask && ask.epoch !== this.claimed)
      return failed("storageFenced", "a newer leader");
    switch (ask.kind) {
      case "readStorage":
        return {
          kind: "stored",
          jobs: [...this.jobs.values()],
          requests: [...this.requests.values()],
          manifests: [...this.manifests.values()],
          desks: [...this.desks.values()],
          ...(this.alerts === undefined ? {} : { alerts: this.alerts }),
          ...(this.snapshot === undefined ? {} : { snapshot: this.snapshot }),
        };
      case "saveSnapshot":
        this.snapshot = { sequence: ask.sequence, texts: ask.texts };
        return { kind: "ok" };
      case "saveJob":
        this.jobs.set(ask.job.name, { spec: ask.job, digest: ask.digest });
        return { kind: "ok" };
      case "saveDesk":
        this.desks.set(ask.job, { job: ask.job, desk: ask.desk });
        return { kind: "ok" };
      case "saveAlerts":
        this.alerts = ask.document;
        return { kind: "ok" };
      case "saveRequest":
        this.requests.set(ask.request.run, ask.request);
        return { kind: "ok" };
      case "dropRequest":
        this.requests.delete(ask.run);
        return { kind: "ok" };
      case "readRevision": {
        const { job, day, revision } = ask.run;
        const manifest = this.manifests.get(`${job}.${day}.r${revision}`);
        return { kind: "revision", ...(manifest === undefined ? {} : { manifest }) };
      }
      case "arrange":
        return this.#arrange(ask);
      case "commit":
        return this.#commit(ask.manifest, ask.epoch);
      case "publish":
        this.#show(ask.manifest);
        return { kind: "ok" };
      case "release":
        return this.#release(ask);
      case "rebuildViews":
        this.#rebuildViews();
        return { kind: "ok" };
      case "listStaged":
        return {
          kind: "staged",
          runs: ask.runs,
          paths: ask.runs.flatMap((run) => this.staged(run)),
        };
      case "listStaging":
        return {
          kind: "staging",
          runs: this.stagedRuns(),
          ...(this.room === undefined ? {} : { room: this.room }),
        };
      case "dropStaging":
        this.droppedStaging.push(ask.run);
        for (const path of this.files.keys()) {
          if (path.startsWith(`staging/${ask.run}/`)) this.files.delete(path);
        }
        return { kind: "ok" };
      default:
        return { kind: "ok" };
    }
  }

  #release({ run, epoch, wallMs }: Extract<Ask, { kind: "release" }>): Answer {
    const id = `${run.job}.${run.day}.r${run.revision}`;
    const manifest = this.manifests.get(id);
    if (manifest === undefined) return failed("unknownRun", `${id} has no manifest`);
    if (manifest.state !== "quarantined") return { kind: "manifest", manifest };
    const released = asReleased(manifest, { run: id, epoch, wallMs });
    this.manifests.set(id, released);
    return { kind: "manifest", manifest: released };
  }

  #rebuildViews(): void {
    for (const manifest of this.manifests.values()) {
      if (manifest.state === "committed") this.#show(manifest);
    }
  }

  /** Unless a later revision is shown already. */
  #show({ job, day, revision }: RunManifest): void {
    const key = `${job}|${day}`;
    this.views.set(key, Math.max(revision, this.views.get(key) ?? 0));
  }

  #checkViews({ job, day, datasets }: Extract<Ask, { kind: "checkViews" }>): Answer {
    for (const manifest of this.manifests.values()) {
      const isOther = manifest.job !== job && manifest.day === day;
      if (!isOther || this.views.get(`${manifest.job}|${day}`) !== manifest.revision) continue;
      if (!manifest.datasets.some((one) => datasets.includes(one.dataset))) continue;
      return failed("conflict", `the view belongs to job ${manifest.job}`);
    }
    return { kind: "ok" };
  }

  #arrange(ask: Extract<Ask, { kind: "arrange" }>): Answer {
    const { job, day, revision } = ask.run;
    const paths = ask.files.map((file, index) => {
      const folder = `revisions/${job}/${day}/r${revision}-e${ask.epoch}`;
      const path = `${folder}/${file.dataset}/r${revision}-${index}.parquet`;
      this.files.set(path, this.files.get(file.staged) ?? []);
      return path;
    });
    return { kind: "arranged", paths };
  }

  #commit(manifest: RunManifest, epoch: number): Answer {
    const there = this.manifests.get(manifest.run);
    this.commits.push({ epoch, won: there === undefined, run: manifest.run });
    if (there === undefined) this.manifests.set(manifest.run, manifest);
    return { kind: "manifest", manifest: there ?? manifest };
  }
}

export function failed(code: FailureCode, message: string): Answer {
  return { kind: "failed", failure: failure(code, message) };
}

const minuteMs = 60_000;
const dayMs = 1_440 * minuteMs;

/** The calendar of `M H * * *` in UTC, which is all that the simulation's jobs say. */
function dailyStarts({ schedule, fromMs, toMs }: Extract<Ask, { kind: "planCalendar" }>) {
  const [minute = 0, hour = 0] = schedule.split(" ").map(Number);
  const starts: CalendarStart[] = [];
  for (let dawn = Math.floor(fromMs / dayMs) * dayMs; dawn < toMs; dawn += dayMs) {
    const startMs = dawn + (hour * 60 + minute) * minuteMs;
    if (startMs < fromMs || startMs >= toMs) continue;
    const opensMs = dawn - dayMs;
    starts.push({ day: new Date(opensMs).toISOString().slice(0, 10), opensMs, startMs });
  }
  return starts;
}
