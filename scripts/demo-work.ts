/**
 * The demo's work folder and its job: emptied of an earlier demo, never of anything else.
 * The job is jobs/ipdr-daily.yaml itself unless the input differs (gzip, damaged lines).
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { liveProcesses, readClusterFile } from "../client/cluster-file.ts";
import { projectRoot } from "../shared/adapters/project.ts";
import { assert } from "../shared/kernel/assert.ts";
import { fail } from "../shared/kernel/failure.ts";
import type { DemoOptions } from "./demo-options.ts";

const marker = "made-by-daymill-demo";

/** An empty work folder. A folder that holds anything else than an earlier demo is refused. */
export function prepareWork(work: string): void {
  if (existsSync(work) && readdirSync(work).length > 0) {
    if (!existsSync(join(work, marker))) {
      const text = `${work} is not empty and not of an earlier demo; choose another --work folder`;
      throw fail("conflict", text, { work });
    }
    const left = readClusterFile(work);
    if (left !== undefined && liveProcesses(left).length > 0) {
      const way = `node dist/client/main.js down --work ${work}`;
      throw fail("conflict", `a cluster still runs in ${work}; stop it with: ${way}`, { work });
    }
    for (const entry of readdirSync(work)) rmSync(join(work, entry), { recursive: true });
  }
  mkdirSync(work, { recursive: true });
  writeFileSync(join(work, marker), "");
}

/** Path of the job file that fits the generated input. */
export function demoJob(options: DemoOptions): string {
  const jobs = join(projectRoot(), "jobs");
  const original = join(jobs, "ipdr-daily.yaml");
  if (!options.gzip && options.malformedShare === 0) return original;
  const folder = join(options.work, "job");
  cpSync(join(jobs, "models"), join(folder, "models"), { recursive: true });
  const edits: (readonly [string, string])[] = [];
  if (options.gzip) {
    edits.push(["/*.csv\n    format: csv\n", "/*.csv.gz\n    format: csv.gz\n"]);
  }
  if (options.malformedShare > 0) {
    const raised = Math.min(1, options.malformedShare * 1.5 + 0.001);
    edits.push(["max_share: 0.001", `max_share: ${raised}`]);
  }
  let yaml = readFileSync(original, "utf8");
  for (const [from, to] of edits) {
    assert(yaml.includes(from), `jobs/ipdr-daily.yaml holds ${JSON.stringify(from)}`);
    yaml = yaml.replace(from, to);
  }
  const file = join(folder, "ipdr-daily.yaml");
  writeFileSync(file, yaml);
  return file;
}
