/** What goes and what stays, and late files, as lines for people. Pure. */
import type { GcReply, ListLateReply } from "../shared/adapters/grpc-types.ts";
import { formatBytes, formatDuration, formatTable, formatTime } from "./format.ts";

/** Things that stay which are shown unless all are asked for. */
const staysShown = 40;

/** All parts of a report. */
export function gcLines(
  parts: readonly GcReply[],
  { isDryRun, all }: { readonly isDryRun: boolean; readonly all: boolean },
): readonly string[] {
  const items = parts.flatMap((part) => part.items);
  const goes = items.filter((one) => one.goes);
  const stays = items.filter((one) => !one.goes);
  const shown = [...goes, ...(all ? stays : stays.slice(0, staysShown))];
  const rows = shown.map(({ kind, job, day, name, ageMs, bytes, goes: isGoing, why }) => [
    isGoing ? "goes" : "stays",
    kind,
    [job, day].filter((text) => text !== "").join(" ") || "-",
    shortened(name),
    ageText(ageMs),
    formatBytes(bytes),
    why,
  ]);
  const totals = gcTotals(parts);
  const unnamed = totals.goes + totals.stays - items.length;
  const hidden = items.length - shown.length;
  const heads = ["", "WHAT", "OF", "NAME", "AGE", "SIZE", "WHY"];
  return [
    ...formatTable(heads, rows, { figures: ["AGE", "SIZE"], cellMax: 110 }),
    "",
    ...(hidden > 0 ? [`${hidden} more that stay are shown with --all`] : []),
    ...(unnamed > 0 ? [`${unnamed} more are counted only`] : []),
    `goes: ${totals.goes}, ${formatBytes(totals.goesBytes)}; stays: ${totals.stays}, ${formatBytes(totals.staysBytes)}`,
    isDryRun ? "dry run: nothing is removed" : "what goes is being removed",
  ];
}

/** A revision may have many datasets, and the reason stands behind them. */
function shortened(name: string): string {
  return name.length <= 60 ? name : `${name.slice(0, 59)}…`;
}

export function gcTotals(parts: readonly GcReply[]) {
  const sum = (of: "goes" | "goesBytes" | "stays" | "staysBytes") =>
    parts.reduce((total, { totals }) => total + (totals?.[of] ?? 0), 0);
  return {
    goes: sum("goes"),
    goesBytes: sum("goesBytes"),
    stays: sum("stays"),
    staysBytes: sum("staysBytes"),
  };
}

const dayMs = 86_400_000;

function ageText(ageMs: number): string {
  if (ageMs < 0) return "-";
  return ageMs < dayMs ? formatDuration(ageMs) : `${Math.floor(ageMs / dayMs)} d`;
}

export function lateLines({ job, sinceMs, total, files }: ListLateReply): readonly string[] {
  if (sinceMs === 0)
    return [`late files of ${job} are not looked for yet: it has no schedule, or is new`];
  if (total === 0) return [`no file came for days before the window since ${formatTime(sinceMs)}`];
  const rows = files.map(({ day, source, path, bytes, seenMs, revision, readBy }) => [
    day,
    source,
    path,
    formatBytes(bytes),
    formatTime(seenMs),
    revision === 0 ? "-" : `r${revision}`,
    readBy === 0 ? "not read" : `in r${readBy}`,
  ]);
  const heads = ["DAY", "SOURCE", "FILE", "SIZE", "SEEN", "DAY WAS", "NOW"];
  const more = total > files.length ? `, the newest ${files.length} are listed` : "";
  const open = [
    ...new Set(files.filter(({ readBy }) => readBy === 0).map(({ day }) => day)),
  ].sort();
  const [first = ""] = open;
  const days = `--from ${first} --to ${open.at(-1) ?? first}`;
  return [
    `${total === 1 ? "1 file" : `${total} files`} came for days before the window since ${formatTime(sinceMs)}${more}`,
    "",
    ...formatTable(heads, rows, { figures: ["SIZE"], cellMax: 200 }),
    ...(open.length === 0 ? [] : ["", `to read them: daymill backfill ${job} ${days} --redo all`]),
  ];
}
