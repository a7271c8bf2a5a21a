/** Small jobs and their files for a trial of alerts: each has one thing that goes wrong, and its messages to itself. */
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import type { JobBundle } from "../../shared/adapters/grpc-types.ts";

export interface SmallJob {
  readonly name: string;
  /** Lines of the YAML that are this job's own. */
  readonly more?: readonly string[];
  /** When its days are ready. */
  readonly ready?: string;
  readonly sql?: string;
  /** Its dataset; default one of its own. */
  readonly dataset?: string;
}

const plainSql =
  "SELECT who, count(*) AS n, sum(amount) AS amount, max(length(note)) AS longest FROM events GROUP BY who";

/** One source of four columns, one model. */
export function smallJob(job: SmallJob): JobBundle {
  const { name, more = [], ready, sql = plainSql, dataset = `${name}_people` } = job;
  const lines = [
    `name: ${name}`,
    ...(more.some((line) => line.startsWith("timezone:")) ? [] : ["timezone: UTC"]),
    "sources:",
    "  events:",
    `    path: raw/${name}/day={day}/*.csv`,
    "    format: csv",
    '    csv: { delimiter: ",", quote: "", header: false, "null": "" }',
    "    columns: { at_ms: BIGINT, who: BIGINT, amount: INTEGER, note: VARCHAR }",
    "    rejects: { max_share: 0.5 }",
    ...(ready === undefined ? [] : [`    ready: ${ready}`]),
    "models:",
    `  ${dataset}: { sql: people.sql }`,
    "execution: { partitions: 2, groups: 1, split_bytes: 64MiB }",
    ...more,
  ];
  return {
    jobPath: `${name}.yaml`,
    jobYaml: `${lines.join("\n")}\n`,
    sqlFiles: { "people.sql": sql },
  };
}

export interface FileWish {
  readonly rows: number;
  /** Of each line; default a few. */
  readonly noteBytes?: number;
  readonly note?: string;
  readonly amount?: number | string;
  /** Lines that no reader takes. */
  readonly broken?: number;
  readonly file?: string;
}

/** Writes one file of a job's day, in the place of the one that is there; gives its path. */
export function putFile(root: string, job: string, day: string, wish: FileWish): string {
  const { rows, noteBytes = 4, note, amount = 5, broken = 0, file = "a.csv" } = wish;
  const random =
    note === undefined ? randomBytes(Math.ceil(noteBytes / 2) * rows).toString("hex") : "";
  const lines: string[] = [];
  for (let row = 0; row < rows; row++) {
    const text = note ?? random.slice(row * noteBytes, (row + 1) * noteBytes);
    lines.push(row < broken ? "no,record" : `${1_000 + row},${row % 97},${amount},${text}`);
  }
  const place = path.join(root, "raw", job, `day=${day}`, file);
  mkdirSync(path.dirname(place), { recursive: true });
  // A new file: whoever reads the old one is not disturbed.
  rmSync(place, { force: true });
  writeFileSync(place, `${lines.join("\n")}\n`);
  return place;
}

/** A zone in which it is about noon now: days and deadlines of a trial cross no midnight. */
export function noonZone(nowMs: number): { readonly zone: string; readonly aheadMs: number } {
  const ahead = 12 - new Date(nowMs).getUTCHours();
  const zone = ahead === 0 ? "Etc/GMT" : `Etc/GMT${ahead > 0 ? "-" : "+"}${Math.abs(ahead)}`;
  return { zone, aheadMs: ahead * 3_600_000 };
}
