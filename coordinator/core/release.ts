/**
 * A quarantined run is shown to readers because somebody said so. Storage decides whether it can be, and remembers it
 * first: a leader that dies in between leaves a release that the next one finds and shows.
 */
import { failure } from "../../shared/kernel/failure.ts";
import { parseRunId } from "../../shared/kernel/job.ts";
import type { RunManifest } from "../../shared/kernel/manifest.ts";
import { figuresOf } from "./check-history.ts";
import { datasetStatuses, tellCommitted } from "./commit.ts";
import { dayKey } from "./durable.ts";
import type { Fact } from "./facts.ts";
import type { ClientMessage, ReplyId } from "./protocol.ts";
import type { Answered } from "./state.ts";
import { ask, decide, epochOf, log, refuse, reply, retryLater, type Turn } from "./turn.ts";

/** What is asked for it; `manifest`: it is released, and is being shown. */
export interface Releasing {
  readonly kind: "release";
  readonly reply: ReplyId;
  readonly run: string;
  readonly manifest?: RunManifest;
}

export function releaseRun(
  turn: Turn,
  { run, reply: to }: Extract<ClientMessage, { kind: "releaseRun" }>,
): void {
  const { durable } = turn.state;
  const name = parseRunId(run);
  const record = name && durable.days.get(dayKey(name.job, name.day));
  if (name === undefined || record === undefined || record.highest < name.revision) {
    const text = `run ${JSON.stringify(run)} is not known; see which ones are with: daymill runs`;
    refuse(turn, to, failure("unknownRun", text, { run }));
    return;
  }
  const live = durable.runs.get(run);
  if (live !== undefined && live.ended === undefined) {
    refuse(turn, to, failure("conflict", `run ${run} has not ended yet: see daymill watch ${run}`));
    return;
  }
  if (record.committed > name.revision) {
    refuse(turn, to, superseded(run, record.committed));
    return;
  }
  const { job, day, revision } = name;
  ask(
    turn,
    { kind: "release", epoch: epochOf(turn), run: { job, day, revision }, wallMs: turn.wall },
    { kind: "release", reply: to, run },
  );
}

function superseded(run: string, committed: number) {
  const text = `readers see revision ${committed} of the day, which is newer than run ${run}: it stays as it is`;
  return failure("conflict", text, { run, committed });
}

/** Of the release itself, then of its publication. */
export function releaseAnswered(turn: Turn, purpose: Releasing, answered: Answered): void {
  const { reply: to, run, manifest } = purpose;
  const { answer } = answered;
  if (answer.kind === "failed") {
    if (manifest === undefined) {
      refuse(turn, to, answer.failure);
      return;
    }
    // It is released: it only has to become visible.
    const { code, message } = answer.failure;
    log(turn, "warn", `a released run can't be shown yet, it is tried again: ${message}`, {
      run,
      code,
    });
    retryLater(turn, answered);
    return;
  }
  if (answer.kind === "manifest") {
    if (answer.manifest.state !== "committed") {
      const text = `run ${run} was ${answer.manifest.state}: only a quarantined run can be released`;
      refuse(turn, to, failure("conflict", text, { run }));
      return;
    }
    const next = { ...purpose, manifest: answer.manifest };
    ask(turn, { kind: "publish", epoch: epochOf(turn), manifest: answer.manifest }, next);
    return;
  }
  if (answer.kind === "ok" && manifest !== undefined) shown(turn, to, manifest);
}

function shown(turn: Turn, to: ReplyId, manifest: RunManifest): void {
  const { job, day, revision, run } = manifest;
  const committed = turn.state.durable.days.get(dayKey(job, day))?.committed ?? 0;
  // Another run of the day was committed meanwhile: readers never go back.
  if (committed > revision) {
    refuse(turn, to, superseded(run, committed));
    return;
  }
  // Again for one that was released before, or that never was in quarantine: nothing is new then.
  if (committed < revision) {
    decide(turn, releasedFact(turn, manifest));
    tellCommitted(turn, manifest);
  }
  reply(turn, to, { kind: "released", run });
}

export function releasedFact(turn: Turn, manifest: RunManifest): Fact {
  const { run, job, day, revision } = manifest;
  return {
    kind: "runReleased",
    run,
    job,
    day,
    revision,
    datasets: datasetStatuses(manifest),
    figures: figuresOf(manifest.datasets, manifest.sources, manifest.speed),
    wallMs: turn.wall,
  };
}
