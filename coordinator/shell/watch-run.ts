/**
 * WatchRun: a run's status now and after each change until it ends, at most a few times a second. Changes in between
 * are folded together: a watcher is told what is true, never the whole story.
 */
import type { GetRunReply, ReplyStream } from "../../shared/adapters/grpc-types.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { isEnded } from "../../shared/kernel/status.ts";
import type { Calls } from "./calls.ts";
import type { RunChanges } from "./run-changes.ts";
import { toWireRun } from "./wire.ts";

export async function watchRun(options: {
  readonly run: string;
  readonly root: string;
  readonly calls: Calls;
  readonly changes: RunChanges;
  readonly replies: ReplyStream<GetRunReply>;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { run, root, calls, changes, replies, signal } = options;
  let changed = false;
  let wake = () => {};
  const nudge = () => {
    changed = true;
    wake();
  };
  const stop = changes.watch(run, nudge);
  signal.addEventListener("abort", nudge);
  try {
    for (let told = ""; ; ) {
      changed = false;
      const { stamp, result } = await calls.question("run", { kind: "run", run }, signal);
      const text = JSON.stringify(result.run);
      if (text !== told) await replies.write({ stamp, run: toWireRun(result.run, root) });
      told = text;
      if (isEnded(result.run.state)) return;
      await pause(limits.watchEveryMsMin);
      if (!changed) {
        const woken = new Promise<void>((resume) => {
          wake = resume;
        });
        await Promise.race([woken, pause(limits.watchEveryMsMax - limits.watchEveryMsMin)]);
      }
    }
  } finally {
    stop();
    signal.removeEventListener("abort", nudge);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resume) => setTimeout(resume, ms).unref());
}
