/**
 * The files of earlier days that a run is pinned to, by the manifests of those revisions: real paths, never the links
 * that move. Decides nothing.
 */
import { fail } from "../../shared/kernel/failure.ts";
import type { HistoryPin } from "../../shared/kernel/history.ts";
import { plainCsv, type SourceSpec } from "../../shared/kernel/job.ts";
import type { ManifestFile } from "../../shared/kernel/manifest.ts";
import type { FileFingerprint } from "../../shared/kernel/work.ts";
import type { Inputs, Store } from "../../shared/ports.ts";
import type { ListedSource } from "../core/protocol.ts";

interface Ports {
  readonly inputs: Pick<Inputs, "listSource">;
  readonly store: Pick<Store, "readManifest">;
}

/** In path order; days without a revision have no file. Errors: `storageFailed` naming what is gone, `storage…`. */
export async function listHistory(
  { inputs, store }: Ports,
  { table, job, dataset, days }: HistoryPin,
): Promise<ListedSource> {
  const found: { readonly file: FileFingerprint; readonly rows: number }[] = [];
  for (const { day, revision } of days) {
    if (revision === 0) continue;
    const manifest = await store.readManifest(job, day, revision);
    const files = manifest?.datasets.find((one) => one.dataset === dataset)?.files;
    const place = `revision ${revision} of ${job} for ${day}`;
    if (files === undefined) {
      throw fail("storageFailed", `${place}: its manifest names no dataset ${dataset} any more`);
    }
    const [first] = files;
    if (first === undefined) continue;
    const folder = first.path.slice(0, first.path.lastIndexOf("/"));
    const listed = await inputs.listSource(folderSource(table, folder), day);
    const there = new Map(listed.map((file) => [file.path, file]));
    for (const file of files) found.push({ file: asNamed(file, there, place), rows: file.rows });
  }
  found.sort((a, b) => (a.file.path < b.file.path ? -1 : 1));
  return {
    source: table,
    files: found.map(({ file }) => file),
    rows: found.map(({ rows }) => rows),
  };
}

/** What a manifest says of a file is what lies there, or nobody may read it. */
function asNamed(
  { path, bytes }: ManifestFile,
  there: ReadonlyMap<string, FileFingerprint>,
  place: string,
): FileFingerprint {
  const file = there.get(path);
  if (file !== undefined && file.size === bytes) return file;
  const what = file === undefined ? "is gone" : `has ${file.size} bytes instead of ${bytes}`;
  const text = `${path} of ${place} ${what}: see who changes files below the storage root, then make that day again with --rerun`;
  throw fail("storageFailed", text, { path });
}

/** All Parquet files of a dataset's folder in a revision. */
function folderSource(name: string, folder: string): SourceSpec {
  return {
    name,
    path: `${folder}/*.parquet`,
    format: "parquet",
    columns: [],
    csv: plainCsv,
    rejectsMaxShare: 0,
    allowEmptyFiles: false,
  };
}
