/** The example jobs as files: they parse, and the gzip variant is the same job. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parseJob, readJobBundle } from "../../shared/adapters/job-file.ts";
import type { JobSpec } from "../../shared/kernel/job.ts";

const jobs = fileURLToPath(new URL("../../jobs/", import.meta.url));

async function load(name: string): Promise<JobSpec> {
  return parseJob(await readJobBundle(path.join(jobs, name)));
}

test("ipdr-daily declares the twenty columns in file order and ten datasets", async () => {
  const job = await load("ipdr-daily.yaml");
  const columns = job.sources[0]?.columns.map((column) => column.name) ?? [];
  expect(columns.join(" ")).toBe(
    "start_ms dur_ms msisdn imsi tac8 src_ip nat_ip nat_port dst_ip dst_port proto app_id " +
      "ul_bytes dl_bytes rat cell apn_id plmn cause gw_id",
  );
  expect(job.models).toHaveLength(10);
  expect(job.sources[0]?.csv.quote).toBe("");
});

test("ipdr-daily-gzip differs in name, path and format only", async () => {
  const plain = await load("ipdr-daily.yaml");
  const gzip = await load("ipdr-daily-gzip.yaml");
  const [source] = gzip.sources;
  expect(source?.format).toBe("csv.gz");
  const sources = [{ ...source, path: source?.path.replace(/\.gz$/, ""), format: "csv" }];
  expect({ ...gzip, name: plain.name, sources }).toEqual(plain);
});

test("each model's file is in the table of jobs/README.md", async () => {
  const readme = await readFile(path.join(jobs, "README.md"), "utf8");
  const job = await load("ipdr-daily.yaml");
  for (const model of job.models) expect(readme).toContain(`| \`${model.name}\` `);
});
