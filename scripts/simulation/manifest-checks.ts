/**
 * What a committed manifest must say, against the plain oracle: rows of each dataset, lines put aside and the account
 * of each source, all of one and the same state of the input folders that a leader was told.
 */
import type { RunManifest } from "../../shared/kernel/manifest.ts";
import type { FileFingerprint } from "../../shared/kernel/work.ts";
import { asideOfFile, countingOf, expectedRows, mixedAttempts, unsigned } from "./rows.ts";
import type { SimMemory } from "./sim-memory.ts";

type Folder = ReadonlyMap<string, readonly FileFingerprint[]>;

/** Why the manifest is wrong; undefined when it is right. */
export function wrongWith(memory: SimMemory, manifest: RunManifest): string | undefined {
  const { run, job, day } = manifest;
  const base = memory.manifests.get(`${job}.${day}.r${manifest.replaces}`);
  const datasets = manifest.datasets.filter(({ madeIn }) => madeIn === undefined);
  const sources = manifest.sources.filter(({ readIn }) => readIn === undefined);
  const read = (paths: readonly string[]) => paths.flatMap((path) => memory.files.get(path) ?? []);
  const found = new Map(
    datasets.map(({ dataset, files }) => [dataset, read(files.map(({ path }) => path))]),
  );
  const mixed = mixedAttempts([...found.values()].flat());
  if (mixed !== undefined) return `${run} took rows of two attempts: ${mixed}`;
  const plan = memory.planOf(job);
  const isWhole = datasets.length === manifest.datasets.length;
  const all = manifest.datasets.map(({ dataset }) => dataset);
  const lost = plan.datasets.find(({ model }) => !all.includes(model));
  if (lost !== undefined) return `${run} has no dataset ${lost.model}`;
  for (const { dataset, files, madeIn } of manifest.datasets) {
    if (madeIn === undefined) continue;
    const before = base?.datasets.find((one) => one.dataset === dataset);
    const rows = read(before?.files.map(({ path }) => path) ?? []);
    if (before !== undefined && rows.length === 0) continue;
    if (isSame(read(files.map(({ path }) => path)), rows)) continue;
    return `${run} carries ${dataset} over with other rows than revision ${manifest.replaces} has`;
  }
  const earlier = (manifest.history ?? []).map((pin) => memory.listHistory(pin));
  const days = earlier.map(({ source, files }) => [source, files] as const);
  const hasItsRows = (folder: Folder) =>
    [...expectedRows(plan, new Map([...folder, ...days]))].every(([model, rows]) => {
      if (!isWhole && !found.has(model)) return true;
      return isSame(found.get(model)?.map(unsigned) ?? [], rows);
    });
  const seen = (memory.listings.get(`${job}|${day}`) ?? []).filter(hasItsRows);
  if (seen.length === 0) {
    const counts = [...found].map(([model, rows]) => `${model} has ${rows.length} rows`);
    return `${run} committed other rows than its input: ${counts.join(", ")}`;
  }
  const aside = [read(manifest.rejectFiles), read(manifest.lateFiles ?? [])];
  const scanned = (folder: Folder): Folder => {
    return new Map([...folder].filter(([name]) => sources.some(({ source }) => source === name)));
  };
  const hasItsLines = (folder: Folder) => isSame(aside.map(sorted), asideOf(scanned(folder)));
  if (!seen.some(hasItsLines)) return `${run} put aside other lines: ${aside.join(" and ")}`;
  const told = sources.map(({ source, files, lines, rejects, duplicates }) => {
    return [source, files, lines, rejects, duplicates];
  });
  const isTold = seen.some((folder) => isSame(told, accountsOf(scanned(folder))));
  return isTold ? undefined : `${run} tells other accounts of its sources: ${told.join(" and ")}`;
}

function asideOf(folder: Folder): readonly (readonly string[])[] {
  const aside = [...folder.values()].flatMap(countingOf).map(asideOfFile);
  return [aside.flatMap(({ rejects }) => rejects), aside.flatMap(({ late }) => late)].map(sorted);
}

/** Source, files, lines, rejected lines and duplicates: ten rows in each file that counts, and what is rejected. */
function accountsOf(folder: Folder) {
  return [...folder].map(([source, all]) => {
    const files = countingOf(all);
    const rejects = files.flatMap((file) => asideOfFile(file).rejects).length;
    const lines = 10 * files.length + rejects;
    return [source, files.length, lines, rejects, all.length - files.length];
  });
}

function sorted(texts: readonly string[]): readonly string[] {
  return [...texts].sort();
}

/** Whatever the order of their members. */
function isSame(some: readonly unknown[], others: readonly unknown[]): boolean {
  return some.map(String).sort().join("\n") === others.map(String).sort().join("\n");
}
