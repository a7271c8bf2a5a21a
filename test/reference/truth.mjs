/**
 * Compares committed datasets with the generator's truth.json: counts and sums that no SQL engine took part in.
 * Applies to the example job's datasets; one that a job does not have is left out.
 */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { identifier, literal, rowsOf } from "./load.mjs";

/** One check per dataset: SQL over the committed files, and what truth.json says. Values are texts. */
const checks = {
  app_daily: {
    sql: `SELECT app_id AS key, sum(sessions) AS rows, sum(ul_bytes) AS ul_bytes,
      sum(dl_bytes) AS dl_bytes FROM $ GROUP BY key`,
    expected: (truth) => truth.by_app,
  },
  usage_hourly: {
    sql: `SELECT strftime(hour, '%Y-%m-%dT%H') AS key, sum(sessions) AS rows,
      sum(ul_bytes) AS ul_bytes, sum(dl_bytes) AS dl_bytes FROM $ GROUP BY key`,
    expected: (truth) => truth.by_hour,
  },
  subscriber_daily: {
    sql: `SELECT 'day' AS key, count(*) AS subscribers, sum(sessions) AS rows,
      sum(ul_bytes) AS ul_bytes, sum(dl_bytes) AS dl_bytes FROM $`,
    expected: (truth) => ({
      day: { subscribers: truth.distinct.msisdn, rows: truth.rows, ...bytes(truth) },
    }),
  },
  cell_busy_hour: {
    sql: "SELECT 'day' AS key, count(*) AS cells FROM $",
    expected: (truth) => ({ day: { cells: truth.distinct.cells } }),
  },
  device_mix: {
    sql: "SELECT 'day' AS key, sum(sessions) AS rows FROM $",
    expected: (truth) => ({ day: { rows: truth.rows } }),
  },
  segments: {
    sql: `SELECT 'day' AS key, sum(subscribers) AS subscribers, sum(sessions) AS rows FROM $`,
    expected: (truth) => ({ day: { subscribers: truth.distinct.msisdn, rows: truth.rows } }),
  },
  feed_report: {
    sql: `SELECT 'day' AS key, sum(files) AS files, sum(records) AS rows, sum(rejects) AS rejects,
      sum(blank_lines) AS blank, sum(outside_day) AS outside_day,
      min(first_event_ms) AS first_ms, max(last_event_ms) AS last_ms FROM $`,
    expected: (truth) => ({
      day: {
        files: truth.files,
        rows: truth.rows,
        rejects: truth.malformed_lines - truth.blank_lines,
        blank: truth.blank_lines,
        outside_day: truth.outside_day,
        first_ms: truth.min_start_ms,
        last_ms: truth.max_start_ms,
      },
    }),
  },
};

function bytes({ ul_bytes, dl_bytes }) {
  return { ul_bytes, dl_bytes };
}

/** Path of the day's truth.json for a source, or undefined: it lies in the folder that holds the day. */
export function truthFile(source, root, day) {
  const parts = source.path.split("/");
  const dayAt = parts.findIndex((part) => part.includes("{day}"));
  const folder = parts.slice(0, dayAt + 1).map((part) => part.replaceAll("{day}", day));
  const file = path.join(root, ...folder, "truth.json");
  return existsSync(file) ? file : undefined;
}

/** Results as of compareDataset, with `truth:` before the dataset's name; none without a truth file. */
export async function compareTruth(connection, job, root, day) {
  const results = [];
  for (const source of job.sources) {
    const file = truthFile(source, root, day);
    if (file === undefined) continue;
    const truth = JSON.parse(readFileSync(file, "utf8"));
    // It counts what was delivered twice once.
    if (truth.options?.duplicateFiles > 0 && job.duplicates?.[source.name] === "keep") continue;
    for (const [dataset, check] of Object.entries(checks)) {
      if (!job.models.some((model) => model.name === dataset)) continue;
      results.push(await compareOne(connection, dataset, check, truth, root, day));
    }
  }
  return results;
}

async function compareOne(connection, dataset, check, truth, root, day) {
  const pattern = literal(path.join(root, "out", dataset, `day=${day}`, "*.parquet"));
  const from = `read_parquet(${pattern}, hive_partitioning = false) AS ${identifier(dataset)}`;
  const result = { dataset: `truth:${dataset}`, rows: 0, expectedRows: 0 };
  let found;
  try {
    found = await rowsOf(connection, check.sql.replace("$", from));
  } catch (error) {
    return { ...result, equal: false, firstDifference: String(error) };
  }
  const expected = check.expected(truth);
  const keys = new Set([...Object.keys(expected), ...found.map((row) => String(row.key))]);
  const sizes = { rows: found.length, expectedRows: Object.keys(expected).length };
  for (const key of keys) {
    const row = found.find((candidate) => String(candidate.key) === key);
    const want = expected[key];
    const fields = Object.keys(want ?? {});
    if (row && want && fields.every((field) => String(row[field]) === String(want[field])))
      continue;
    const difference = `${key}: expected ${JSON.stringify(want)}, found ${JSON.stringify(row)}`;
    return { ...result, ...sizes, equal: false, firstDifference: difference };
  }
  return { ...result, ...sizes, equal: true };
}
