/**
 * A breaker for one channel, by opossum: too many failing tries of the last ones and the channel is left alone for a
 * while, then one try decides. What the receiver refused for good says that it is there, and does not count; nor does
 * a receiver that says itself how long to wait.
 */
import CircuitBreaker from "opossum";
import { DaymillError, fail, fromUnknown } from "../kernel/failure.ts";
import type { ChannelState } from "../ports.ts";

export interface BreakerTimes {
  /** Share of failing tries above which the channel is left alone. */
  readonly failuresShare: number;
  /** Fewer tries in the window say nothing. */
  readonly triesMin: number;
  readonly windowMs: number;
  readonly restMs: number;
}

export interface Breaker {
  /** Errors: those of `act`; `unavailable` with `detail.retryAfterMs` while the channel is left alone. */
  run(act: () => Promise<void>): Promise<void>;
  state(): { readonly state: ChannelState; readonly reason: string };
  close(): void;
}

export function openBreaker(
  name: string,
  times: BreakerTimes,
  onChange: (state: ChannelState, reason: string) => void,
): Breaker {
  let now: { state: ChannelState; reason: string } = { state: "working", reason: "" };
  let restsUntilMs = 0;
  let lastFailure = "";
  const breaker = new CircuitBreaker((act: () => Promise<void>) => act(), {
    name,
    // Each try has an end of its own, which also ends what is under way.
    timeout: false,
    errorThresholdPercentage: times.failuresShare * 100,
    volumeThreshold: times.triesMin,
    rollingCountTimeout: times.windowMs,
    rollingCountBuckets: 10,
    rollingPercentilesEnabled: false,
    enableSnapshots: false,
    resetTimeout: times.restMs,
    errorFilter: (error: unknown) => !counts(error),
  });
  const changed = (state: ChannelState, reason: string) => {
    if (state === now.state && reason === now.reason) return;
    now = { state, reason };
    onChange(state, reason);
  };
  breaker.on("failure", (error) => {
    lastFailure = fromUnknown(error).message;
  });
  breaker.on("open", () => {
    restsUntilMs = performance.now() + times.restMs;
    changed("resting", lastFailure);
  });
  breaker.on("halfOpen", () => changed("probing", lastFailure));
  breaker.on("close", () => changed("working", ""));
  return {
    async run(act) {
      try {
        await breaker.fire(act);
      } catch (error) {
        if (error instanceof DaymillError) throw error;
        if ((error as NodeJS.ErrnoException).code !== "EOPENBREAKER") throw error;
        const leftMs = Math.max(1_000, Math.ceil(restsUntilMs - performance.now()));
        const message = `channel ${name} is left alone after too many failures: ${lastFailure}`;
        throw fail("unavailable", message, { channel: name, retryAfterMs: leftMs });
      }
    },
    state: () => now,
    close: () => breaker.shutdown(),
  };
}

function counts(error: unknown): boolean {
  const { code, detail } = fromUnknown(error);
  return code !== "badRequest" && detail?.["retryAfterMs"] === undefined;
}
