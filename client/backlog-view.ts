/** The backlog of a job as lines for people: a grid of days and models, and a reason for each day. Pure. */
import type { BacklogStatus, DayStatus } from "../shared/adapters/grpc-types.ts";
import { formatDuration, formatTable } from "./format.ts";

/** One letter a model and day. */
const letters: Readonly<Record<string, string>> = {
  done: "#",
  running: ">",
  waiting: ".",
  none: "-",
};

export function backlogLines(backlog: BacklogStatus): readonly string[] {
  const { job, schedule, timezone, paused, order, days } = backlog;
  if (schedule === "" && days.length === 0) {
    return [`${job} has no schedule: its days run when they are submitted`];
  }
  const when = schedule === "" ? "runs on command" : `runs at ${schedule} (${timezone})`;
  const stopped = paused === "" ? "" : `; its backlog is paused: ${paused}`;
  return [
    `${job} ${when}, ${order} day of the backlog first${stopped}`,
    catchUpText(backlog),
    ...lateText(backlog),
    "",
    ...grid(days),
    "",
    ...days.flatMap(dayLines),
  ];
}

function catchUpText({ toDo, catchUpMs, days }: BacklogStatus): string {
  const lacking = days.filter(({ state }) => state === "missing input").length;
  const waits = lacking === 0 ? "" : `, ${daysText(lacking)} without input`;
  if (toDo === 0) return lacking === 0 ? "nothing to catch up" : `nothing to do now${waits}`;
  const lasts = catchUpMs === 0 ? "" : `, about ${formatDuration(catchUpMs)}`;
  return `${daysText(toDo)} to do${lasts}${waits}`;
}

function lateText({ job, late }: BacklogStatus): readonly string[] {
  if (late === 0) return [];
  const files = late === 1 ? "1 file" : `${late} files`;
  return [`${files} came for days before the window: daymill late ${job}`];
}

function daysText(count: number): string {
  return count === 1 ? "1 day" : `${count} days`;
}

function grid(days: readonly DayStatus[]): readonly string[] {
  const [first] = days;
  if (first === undefined) return ["no day is known yet"];
  const models = first.models.map(({ model }) => model);
  const rows = days.map((day) => [
    day.isLive ? `${day.day} *` : day.day,
    day.state,
    day.revision === 0 ? "-" : `r${day.revision}`,
    models.map((model) => letters[stateOf(day, model)] ?? "?").join(""),
  ]);
  const table = formatTable(["DAY", "STATE", "REV", "MODELS"], rows);
  return [
    ...table,
    `models: ${models.join(", ")}`,
    "# done  > running  . waiting  - none    * live day",
  ];
}

function stateOf(day: DayStatus, model: string): string {
  return day.models.find((one) => one.model === model)?.state ?? "none";
}

function dayLines(day: DayStatus): readonly string[] {
  const next = day.next === "" ? "" : ` -> ${day.next}`;
  const lines = [`${day.day} ${day.state}: ${day.reason}${next}`];
  if (day.missingTotal > 0) {
    const names = day.missing.slice(0, 5);
    const rest = day.missingTotal - names.length;
    // Files that nobody announced, or that are not whole, have no names here.
    const more = names.length === 0 ? `${rest}` : ` and ${rest} more`;
    lines.push(`  missing: ${names.join(", ")}${rest > 0 ? more : ""}`);
  }
  if (day.warned.length > 0) lines.push(`  deadline: ${day.warned.join(", ")}`);
  return lines;
}
