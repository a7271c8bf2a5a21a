/**
 * The second opinion on a committed day: plain DuckDB runs the job's own SQL over the raw files and compares.
 * Imports nothing of Daymill.
 *
 *   node test/reference/reference.mjs --job job.json --root DIR --day YYYY-MM-DD
 *
 * job.json is a JobSpec, or what a cluster keeps of it: control/jobs/NAME.json under its storage root. One JSON line
 * per dataset; exit code 0 all equal, 1 some difference, 2 could not compare.
 */
import { readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { compareDataset } from "./compare.mjs";
import { buildModels, openReference } from "./load.mjs";
import { compareTruth } from "./truth.mjs";

/**
 * Results per dataset, then per dataset that the truth file speaks about. Throws when sources cannot be loaded.
 * {job, root, day, threads?, memoryLimit?} → [{dataset, rows, expectedRows, equal, firstDifference?}]
 */
export async function compareDay({ job, root, day, ...options }) {
  const { connection, close } = await openReference(job, path.resolve(root), day, options);
  try {
    await buildModels(connection, job);
    const results = [];
    for (const model of job.models) {
      results.push(await compareDataset(connection, model.name, path.resolve(root), day));
    }
    results.push(...(await compareTruth(connection, job, path.resolve(root), day)));
    return results;
  } finally {
    close();
  }
}

async function main() {
  const text = { type: "string" };
  const { values } = parseArgs({ options: { job: text, root: text, day: text } });
  if (!values.job || !values.root || !values.day) {
    console.error("error: --job job.json, --root DIR and --day YYYY-MM-DD are needed");
    return 2;
  }
  const given = JSON.parse(readFileSync(values.job, "utf8"));
  const job = given.spec ?? given;
  const results = await compareDay({ job, root: values.root, day: values.day });
  for (const result of results) console.log(JSON.stringify(result));
  return results.every((result) => result.equal) ? 0 : 1;
}

if (process.argv[1] && fileURLToPath(import.meta.url) === path.resolve(process.argv[1])) {
  try {
    process.exitCode = await main();
  } catch (error) {
    console.error(`error: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 2;
  }
}
