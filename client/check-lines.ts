/**
 * Checks of a run as lines for people: each failed one, and what was not compared. Pure.
 */
import type { CheckStatus, RunStatus } from "../shared/adapters/grpc-types.ts";
import { checkSentence } from "../shared/kernel/check.ts";

/** `check rows-1 on usage has 12 rows, expected … (warn)`, one for each that failed. */
export function failedCheckLines({ checks }: RunStatus): readonly string[] {
  return checks.filter(({ state }) => state === "failed").map(toldWithSeverity);
}

function toldWithSeverity(check: CheckStatus): string {
  return `${checkSentence(check)} (${check.severity})`;
}

/** Counts, then failed and skipped ones. What the run's failure says already is not said again. */
export function checkSummary(run: RunStatus): readonly string[] {
  const { checks, failure } = run;
  if (checks.length === 0) return [];
  const count = (state: string) => checks.filter((check) => check.state === state).length;
  const counts = ["passed", "failed", "skipped"]
    .filter((state) => count(state) > 0)
    .map((state) => `${count(state)} ${state}`);
  const failed = checks.filter((check) => check.state === "failed");
  const skipped = checks.filter((check) => check.state === "skipped");
  return [
    `  checks: ${counts.join(", ")}`,
    ...failed
      .filter((check) => checkSentence(check) !== failure?.message)
      .map((check) => `  ! ${toldWithSeverity(check)}`),
    ...skipped.map((check) => `  - ${checkSentence(check)}`),
  ];
}

/** What can be done about a run that readers do not see yet. */
export function quarantineHint({ runId, state, day, revision, datasets }: RunStatus) {
  if (state !== "quarantined") return [];
  const dataset = datasets[0]?.dataset ?? "DATASET";
  return [
    "  readers see the day as it was before this run",
    `  look at it: daymill result ${dataset} --day ${day} --revision ${revision}`,
    `  let readers see it: daymill release ${runId}`,
  ];
}
