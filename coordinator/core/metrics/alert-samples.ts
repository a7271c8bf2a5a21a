/** Of alerts and of the channels that tell of them: the very state that `daymill alerts` shows. */
import { severities } from "../../../shared/kernel/alert.ts";
import { emptyBook } from "../alerts/book.ts";
import { channelsOf } from "../alerts/view.ts";
import type { CoordinatorState } from "../state.ts";
import type { Samples } from "./samples.ts";

/** As breakers are usually spoken of, by the words that people are shown. */
const breakerWords = {
  open: "resting",
  halfOpen: "probing",
  closed: "working",
  unknown: "unknown",
} as const;

export function alertSamples(state: CoordinatorState) {
  const book = state.durable.alerts ?? emptyBook();
  const open = [...book.open.values()];
  const channels = channelsOf(state, book).map((one) => ({
    ...one,
    labels: { target: one.channel },
    counts: state.counted.channels.get(one.channel) ?? { tries: 0, failures: 0 },
  }));
  return {
    daymill_alerts_open: severities.map(
      (severity) => [{ severity }, open.filter((one) => one.severity === severity).length] as const,
    ),
    daymill_alert_messages_waiting: channels.map(
      ({ labels, waiting }) => [labels, waiting] as const,
    ),
    daymill_alert_tries_total: channels.map(
      ({ labels, counts }) => [labels, counts.tries] as const,
    ),
    daymill_alert_failures_total: channels.map(
      ({ labels, counts }) => [labels, counts.failures] as const,
    ),
    daymill_alert_consecutive_failures: channels.map(
      ({ labels, failures }) => [labels, failures] as const,
    ),
    daymill_alert_breaker_state: channels.flatMap(({ labels, state: shown }) =>
      Object.entries(breakerWords).map(
        ([name, word]) => [{ ...labels, state: name }, shown === word ? 1 : 0] as const,
      ),
    ),
  } satisfies Partial<Samples>;
}
