/**
 * A worker that is stopped in the middle of an attempt, which neither ends nor goes on then.
 */
import type { JournalView } from "./journal-watch.ts";
import { pause } from "./journal-watch.ts";
import { childrenOf } from "./processes.ts";
import type { World } from "./world.ts";

/** Long enough for a report that was on its way to be in the journal. */
const holdMs = 80;

export interface Held {
  readonly attempt: string;
  readonly executor: string;
  readonly pid: number;
}

/** Stops a worker that runs the first of these attempts; another one when it was too late. SIGCONT lets it go on. */
export async function holdWorker(
  world: World,
  attempts: (view: JournalView) => readonly string[],
): Promise<Held | undefined> {
  for (let tries = 0; tries < 20; tries++) {
    await world.watch.refresh();
    const [attempt = ""] = attempts(world.view);
    const executor = world.view.durable.attempts.get(attempt)?.executor;
    if (executor === undefined) return undefined;
    const [pid] = childrenOf(world.executor(executor).pid);
    if (pid === undefined) continue;
    process.kill(pid, "SIGSTOP");
    await pause(holdMs);
    await world.watch.refresh();
    if (world.view.durable.running.has(attempt)) return { attempt, executor, pid };
    process.kill(pid, "SIGCONT");
  }
  return undefined;
}
