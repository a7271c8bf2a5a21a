/** A job as paths and values, in the words of job files: whatever a JobSpec holds, now or later, is among them. */
import type { Column, JobSpec, UpstreamSpec } from "../../../shared/kernel/job.ts";

/** `from` absent: new; `to` absent: gone. */
export interface Change {
  readonly path: string;
  readonly from?: string;
  readonly to?: string;
}

/** Those of the second one first, in its order; what is gone stands where it was missed. */
export function changesOf(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly Change[] {
  const changes: Change[] = [];
  for (const [path, to] of after) {
    const from = before.get(path);
    if (from === undefined) changes.push({ path, to });
    else if (from !== to) changes.push({ path, from, to });
  }
  for (const [path, from] of before) if (!after.has(path)) changes.push({ path, from });
  return changes;
}

/** Fields whose place in a job file is another one. */
const places: Readonly<Record<string, string>> = {
  schedule: "schedule.cron",
  finishBy: "deadline.finish_by",
  finishByModel: "deadline.models",
  backlogDays: "backlog.days",
  backlogOrder: "backlog.order",
  rejectsMaxShare: "rejects.max_share",
  nullString: "null",
};

/** `sources.sales.columns.id` → `INTEGER`, and so on. */
export function fieldsOf(job: JobSpec): ReadonlyMap<string, string> {
  const fields = new Map<string, string>();
  note(fields, "", { ...job, sources: job.sources.map(asWritten) });
  return fields;
}

/** With versions the columns stand there, not twice. */
function asWritten({ versions, columns, ...source }: JobSpec["sources"][number]) {
  return { ...source, columns: versions ?? columns };
}

function note(fields: Map<string, string>, path: string, value: unknown): void {
  if (Array.isArray(value)) {
    const names = value.map((entry: unknown, index) => nameOf(entry, index));
    value.forEach((entry: unknown, index) => {
      note(fields, join(path, names[index] ?? ""), entry);
    });
    // The order of columns is that of the file.
    if (value.every(isColumn)) fields.set(`${path} (in the order of the file)`, names.join(", "));
  } else if (isColumn(value)) {
    fields.set(path, value.type);
  } else if (isUpstream(value)) {
    fields.set(path, `${value.dataset} of ${value.job}`);
  } else if (typeof value === "object" && value !== null) {
    for (const [key, member] of Object.entries(value)) {
      if (key !== "name") note(fields, join(path, places[key] ?? snake(key)), member);
    }
  } else {
    fields.set(path, value === "" ? '""' : String(value));
  }
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

function snake(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function isColumn(value: unknown): value is Column {
  return hasJust(value, ["name", "type"]);
}

function isUpstream(value: unknown): value is UpstreamSpec {
  return hasJust(value, ["dataset", "job"]);
}

function hasJust(value: unknown, keys: readonly string[]): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.keys(value).sort().join() === keys.join();
}

/** What an entry of a list is known by, so that one more of them does not change all after it. */
function nameOf(entry: unknown, index: number): string {
  const { name, job, dataset, from, columns } = entry as Readonly<Record<string, unknown>>;
  if (typeof name === "string") return name;
  if (typeof job === "string") return `${job}/${String(dataset)}`;
  if (typeof dataset === "string") return dataset;
  if (columns !== undefined) return from === undefined ? "first" : `from ${String(from)}`;
  return String(index);
}
