/**
 * Somebody who watches one source's folder: each look at a clock time gives a line with the verdict. Files are written
 * `a:100 b:250@00:40 c:1@00:40/00:50`: path, size, when it was last written to (00:00 unless said), and when its inode
 * last changed (the same unless said).
 */
import {
  type DayVerdict,
  judgeReadiness,
  type SourceVerdict,
} from "../../../coordinator/core/days/readiness.ts";
import { type SeenSource, seeSource } from "../../../coordinator/core/days/seen.ts";
import type { AnnouncedFile, SourceLook } from "../../../shared/kernel/days.ts";
import type { ReadyRule } from "../../../shared/kernel/job.ts";
import type { FileFingerprint } from "../../../shared/kernel/work.ts";

const midnight = Date.UTC(2026, 0, 16);

/** `00:40` or `00:40:30` on 2026-01-16, UTC. */
export function clock(text: string): number {
  const [hours = 0, minutes = 0, seconds = 0] = text.split(":").map(Number);
  return midnight + ((hours * 60 + minutes) * 60 + seconds) * 1_000;
}

export function files(text: string): readonly FileFingerprint[] {
  return words(text).map((word) => {
    const [name = "", rest = ""] = split(word, ":");
    const [size = "", times = "00:00"] = split(rest, "@");
    const [written = "", changed = written] = split(times, "/");
    const [mtimeNs, ctimeNs] = [`${clock(written)}000000`, `${clock(changed)}000000`];
    return { path: name, size: Number(size), mtimeNs, ctimeNs, inode: name };
  });
}

/** `a:100 b`: path, and the size where it is announced. */
export function announced(text: string): readonly AnnouncedFile[] {
  return words(text).map((word) => {
    const [path = "", bytes] = split(word, ":");
    return bytes === undefined ? { path } : { path, bytes: Number(bytes) };
  });
}

function words(text: string): readonly string[] {
  return text.split(" ").filter((word) => word !== "");
}

function split(text: string, mark: string): readonly string[] {
  const at = text.indexOf(mark);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

export function look(there: string, more: Partial<SourceLook> = {}): SourceLook {
  return { source: "ipdr", files: files(there), newestMs: 0, ...more };
}

export class Watch {
  seen: SeenSource | undefined;
  isDelivered = false;
  readonly #rule: ReadyRule | undefined;
  readonly #startMs: number;

  constructor(rule?: ReadyRule, start = "01:00") {
    this.#rule = rule;
    this.#startMs = clock(start);
  }

  /** Looks and judges. */
  look(time: string, there: string, more: Partial<SourceLook> = {}): string {
    this.seen = seeSource(this.seen, look(there, more), clock(time));
    return this.judge(time);
  }

  /** Judges what was seen last. */
  judge(time: string): string {
    const { state, reason } = this.source(time);
    return `${time} ${state} | ${reason}`;
  }

  final(time: string): string {
    return this.source(time)
      .final.map(({ path }) => path)
      .join(" ");
  }

  source(time: string): SourceVerdict {
    const [verdict] = this.verdict(time).sources;
    if (verdict === undefined) throw new Error("one source, one verdict");
    return verdict;
  }

  verdict(time: string): DayVerdict {
    const { seen, isDelivered } = this;
    const source = { source: "ipdr", rule: this.#rule, seen, isDelivered };
    return judgeReadiness({ sources: [source], startMs: this.#startMs, nowMs: clock(time) });
  }
}
