/**
 * The `Inputs` port over a storage root: the files of a day as a run is planned with them, where anything that is
 * missing or empty is an error. Looks, where it is not, are in inputs-look.ts.
 */
import { join } from "node:path";
import { fail } from "../kernel/failure.ts";
import { type DimensionSpec, isDelimited, type SourceSpec } from "../kernel/job.ts";
import type { FileFingerprint } from "../kernel/work.ts";
import type { Inputs } from "../ports.ts";
import { parquetRowCounts } from "./duckdb-parquet.ts";
import { controlMemory } from "./inputs-control.ts";
import { listed } from "./inputs-files.ts";
import { lookAtDay } from "./inputs-look.ts";

/** The real `Inputs` over a storage root (absolute path). */
export function openInputs(root: string): Inputs {
  const memory = controlMemory();
  return {
    listSource: (source, day) => listSource(root, source, day),
    parquetRows: (files) =>
      parquetRowCounts(
        files.map((file) => ({ absolute: join(root, file.path), shown: file.path })),
      ),
    dimension: (spec, day) => dimension(root, spec, day),
    look: (sources, day) => lookAtDay(root, sources, day, memory),
  };
}

async function listSource(
  root: string,
  source: SourceSpec,
  day: string,
): Promise<readonly FileFingerprint[]> {
  const files = await listed(root, source.path, day, "an error");
  if (files.length === 0) {
    throw fail(
      "inputMissing",
      `source ${source.name}: no file matches ${filled(source.path, day)} below the storage root; deliver the day's files or correct the path`,
      { source: source.name, day },
    );
  }
  const empty = files.find((file) => file.size === 0);
  if (empty !== undefined && (!source.allowEmptyFiles || !isDelimited(source.format))) {
    throw fail(
      "inputEmpty",
      `source ${source.name}: file ${empty.path} has no bytes; deliver it again, or set allow_empty_files`,
      { source: source.name, file: empty.path },
    );
  }
  return files;
}

async function dimension(root: string, spec: DimensionSpec, day: string): Promise<FileFingerprint> {
  const files = await listed(root, spec.path, day, "an error");
  const [file] = files;
  if (file === undefined) {
    throw fail(
      "inputMissing",
      `dimension ${spec.name}: no file ${filled(spec.path, day)} below the storage root; deliver it or correct the path`,
      { dimension: spec.name },
    );
  }
  if (files.length > 1) {
    throw fail(
      "jobInvalid",
      `dimension ${spec.name}: ${spec.path} matches ${files.length} files; a dimension is one, name it`,
    );
  }
  if (file.size === 0) {
    throw fail(
      "inputEmpty",
      `dimension ${spec.name}: file ${file.path} has no bytes; deliver it again`,
      { file: file.path },
    );
  }
  return file;
}

function filled(pattern: string, day: string): string {
  return pattern.replaceAll("{day}", day);
}
