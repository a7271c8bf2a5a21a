/**
 * Follows a run and shows it: redrawn bars on a terminal, plain lines elsewhere, nothing when told to be silent.
 * The writer of progress; what is written comes from client/progress.ts.
 */
import type { RunStatus } from "../shared/adapters/grpc-types.ts";
import { fail } from "../shared/kernel/failure.ts";
import type { DaymillClient } from "./client.ts";
import { changeLines, progressLines } from "./progress.ts";

/** Where progress goes: standard error, so that standard output stays for results. */
export interface Screen {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Shows a run until it has ended; gives its last status. Undefined: `signal` came before anything was heard. */
export async function showRun(
  client: DaymillClient,
  runId: string,
  screen: Screen | undefined,
  signal?: AbortSignal,
): Promise<RunStatus | undefined> {
  let last: RunStatus | undefined;
  let drawn = 0;
  for await (const run of client.watch(runId, signal)) {
    if (screen?.isTTY === true) drawn = redraw(screen, run, drawn);
    else if (screen !== undefined) {
      for (const line of changeLines(last, run)) screen.write(`${line}\n`);
    }
    last = run;
  }
  if (last === undefined && signal?.aborted !== true) {
    throw fail("unavailable", `nothing was heard of run ${runId}`);
  }
  return last;
}

function redraw(screen: Screen, run: RunStatus, drawn: number): number {
  const lines = progressLines(run, Date.now(), screen.columns ?? 80);
  // Up to the first line drawn before, then each line is cleared and written anew.
  const up = drawn > 0 ? `\u001b[${drawn}A` : "";
  const rest = drawn > lines.length ? "\u001b[J" : "";
  screen.write(`${up}${lines.map((line) => `\u001b[2K${line}\n`).join("")}${rest}`);
  return lines.length;
}
