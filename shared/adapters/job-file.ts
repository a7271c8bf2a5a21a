/**
 * Job files: the client reads the YAML and the SQL files it names; the coordinator turns those texts into a JobSpec.
 * `parseJob` touches no file: a coordinator never opens a path that a client named.
 */
import { realpath } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { type Failure, fail } from "../kernel/failure.ts";
import type { JobSpec } from "../kernel/job.ts";
import { limits } from "../kernel/limits.ts";
import type { JobBundle } from "./grpc-types.ts";
import { pathProblem } from "./job-fields.ts";
import { jobSchema, jobSpec } from "./job-schema.ts";
import { parseYaml, readText, refused } from "./job-yaml.ts";

/**
 * The YAML at `path` with the SQL files that its models name, read only under the YAML's folder.
 * Errors: `jobInvalid` naming file and line, `pathForbidden` for a path that leaves the folder.
 */
export async function readJobBundle(path: string): Promise<JobBundle> {
  const jobYaml = await readText(path, `job file ${path}`, limits.jobBundleBytesMax);
  const parsed = parseYaml(path, jobYaml);
  const folder = await realpath(dirname(path));
  const sqlFiles: Record<string, string> = {};
  let total = jobYaml.length;
  for (const { model, file } of sqlPaths(parsed.value)) {
    const at = `${path}:${parsed.lineOf(["models", model, "sql"])}`;
    const problem = pathProblem(file);
    if (problem !== undefined) {
      throw fail("pathForbidden", `${at}: models.${model}.sql: ${problem}`, { file: path });
    }
    const real = await realpath(join(folder, file)).catch(() => join(folder, file));
    if (!real.startsWith(folder + sep)) {
      const text = `${at}: models.${model}.sql: ${file} is a link out of the job's folder`;
      throw fail("pathForbidden", text, { file: path });
    }
    const text = await readText(real, `${at}: models.${model}.sql: ${file}`, limits.sqlBytesMax);
    total += text.length;
    if (total > limits.jobBundleBytesMax) {
      const message = `${path}: the job with its SQL is over ${limits.jobBundleBytesMax} bytes`;
      throw fail("jobInvalid", message, { file: path });
    }
    sqlFiles[file] = text;
  }
  return { jobPath: path, jobYaml, sqlFiles };
}

/**
 * The validated job, defaults filled in. Errors: `jobInvalid` (or `pathForbidden`) whose message has one line for each
 * problem: file, line, field, what is allowed; detail: {file, line, field} of the first.
 */
export function parseJob(bundle: JobBundle): JobSpec {
  const { jobPath, jobYaml, sqlFiles } = bundle;
  const parsed = parseYaml(jobPath, jobYaml);
  const result = jobSchema.safeParse(parsed.value);
  if (!result.success) throw refused(jobPath, result.error.issues, parsed.lineOf);
  return jobSpec(result.data, (file) => {
    const sql = Object.hasOwn(sqlFiles, file) ? sqlFiles[file] : undefined;
    if (sql !== undefined && sql.length <= limits.sqlBytesMax) return sql;
    const reason = sql === undefined ? "was not sent with the job" : "is too large";
    throw fail("jobInvalid", `${jobPath}: the SQL file ${file} ${reason}`, { file: jobPath });
  });
}

/**
 * What was refused later, when the job was planned, with the line where it stands: a failure that names a field of the
 * job file (`detail.field`) and no line gets one. Others stay as they are.
 */
export function withLine(bundle: JobBundle, failure: Failure): Failure {
  const { field, line: known } = failure.detail ?? {};
  if (typeof field !== "string" || known !== undefined) return failure;
  const { jobPath: file, jobYaml } = bundle;
  const path = field.split(".").map((part) => (/^\d+$/.test(part) ? Number(part) : part));
  const line = parseYaml(file, jobYaml).lineOf(path);
  const message = `${file}:${line}: ${failure.message}`;
  return { ...failure, message, detail: { ...failure.detail, file, line } };
}

/** Tolerant of everything else that may be wrong: the schema speaks about that. */
function sqlPaths(value: unknown): readonly { readonly model: string; readonly file: string }[] {
  const models = (value as { models?: unknown } | null)?.models;
  if (typeof models !== "object" || models === null) return [];
  return Object.entries(models).flatMap(([model, entry]: [string, { sql?: unknown } | null]) =>
    typeof entry?.sql === "string" ? [{ model, file: entry.sql }] : [],
  );
}
