/** Times and numbers as people say them; of times only how far away they are, for the core knows no time zone. */

const secondMs = 1_000;
const minuteMs = 60 * secondMs;
const hourMs = 60 * minuteMs;
const dayMs = 24 * hourMs;

/** `in 3 h 20 min`, `12 s ago`, `now`: `atMs` as seen at `nowMs`. */
export function instantText(atMs: number, nowMs: number): string {
  const text = durationText(Math.abs(atMs - nowMs));
  if (text === "0 s") return "now";
  return atMs > nowMs ? `in ${text}` : `${text} ago`;
}

/** At most two units, rounded down: `2 d 4 h`, `3 h 20 min`, `5 min`, `12 s`. */
export function durationText(ms: number): string {
  if (ms < minuteMs) return `${Math.floor(ms / secondMs)} s`;
  const [big, small, bigName, smallName] =
    ms < hourMs
      ? ([minuteMs, secondMs, "min", "s"] as const)
      : ms < dayMs
        ? ([hourMs, minuteMs, "h", "min"] as const)
        : ([dayMs, hourMs, "d", "h"] as const);
  const whole = Math.floor(ms / big);
  const rest = Math.floor((ms % big) / small);
  return rest === 0 ? `${whole} ${bigName}` : `${whole} ${bigName} ${rest} ${smallName}`;
}

export function filesText(count: number): string {
  return count === 1 ? "1 file" : `${count} files`;
}
