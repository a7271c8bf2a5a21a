/** A storage root for one test with helpers to stage files and to see what readers would see. */
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { RunManifest } from "../../shared/kernel/manifest.ts";

export interface StorageFixture {
  readonly root: string;
  stage(path: string, text: string): Promise<void>;
  /** Every file and link below `folder`, sorted; folders end in `/`. */
  tree(folder: string): Promise<readonly string[]>;
  remove(): Promise<void>;
}

/** `parent`: where the root is made. */
export async function makeStorage(parent = tmpdir()): Promise<StorageFixture> {
  const root = await mkdtemp(join(parent, "daymill-store-"));
  return {
    root,
    async stage(path, text) {
      await mkdir(dirname(join(root, path)), { recursive: true });
      await writeFile(join(root, path), text);
    },
    async tree(folder) {
      const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true });
      return entries
        .map((entry) => {
          const path = join(entry.parentPath, entry.name).slice(root.length + 1);
          return entry.isDirectory() ? `${path}/` : path;
        })
        .sort();
    },
    remove: () => rm(root, { recursive: true, force: true }),
  };
}

export const run = (revision: number, day = "2026-01-15") => ({ job: "daily", day, revision });

export function manifest(
  place: ReturnType<typeof run>,
  epoch: number,
  datasets: Readonly<Record<string, readonly string[]>>,
  state: RunManifest["state"] = "committed",
): RunManifest {
  return {
    version: 1,
    state,
    run: `${place.job}.${place.day}.r${place.revision}`,
    ...place,
    replaces: place.revision - 1,
    epoch,
    coordinator: `c${epoch}`,
    jobDigest: "d",
    wallMs: 1_800_000_000_000,
    sources: [],
    datasets: Object.entries(datasets).map(([dataset, paths]) => ({
      dataset,
      columns: [{ name: "x", type: "BIGINT" }],
      rows: paths.length,
      files: paths.map((path) => ({ path, rows: 1, bytes: 1, sha256: "0" })),
    })),
    rejectFiles: [],
    checks: [],
  };
}
