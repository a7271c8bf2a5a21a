/**
 * Writes what a job's models say into `out/<dataset>/day=D/`, in two files each, by plain DuckDB: what a faultless
 * cluster would have committed. Lets the reference be tested on itself.
 */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import type { JobSpec } from "../../shared/kernel/job.ts";
import { buildModels, openReference } from "./load.mjs";

export async function commitByHand(job: JobSpec, root: string, day: string): Promise<void> {
  const { connection, close } = await openReference(job, root, day);
  try {
    await buildModels(connection, job);
    for (const model of job.models) {
      const folder = path.join(root, "out", model.name, `day=${day}`);
      await mkdir(folder, { recursive: true });
      const described = await connection.runAndReadAll(`DESCRIBE "${model.name}"`);
      const columns = described.getRowObjectsJson().map((row) => {
        const name = `"${String(row["column_name"])}"`;
        return row["column_type"] === "HUGEINT" ? `${name}::DECIMAL(38,0) AS ${name}` : name;
      });
      for (const part of [0, 1]) {
        await connection.run(`COPY (
          SELECT ${columns.join(", ")} FROM "${model.name}" WHERE rowid % 2 = ${part}
        ) TO '${path.join(folder, `r1-${part}.parquet`)}' (FORMAT parquet)`);
      }
    }
  } finally {
    close();
  }
}
