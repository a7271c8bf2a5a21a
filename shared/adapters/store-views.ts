/**
 * What readers see: `out/<dataset>/day=<D>` are fixed links, `current/<job>/<D>` is the one that moves, by rename.
 * So all datasets of a day change together, and file names that carry the revision make a stale listing fail.
 */
import { dirname, join } from "node:path";
import { fail } from "../kernel/failure.ts";
import type { RunManifest } from "../kernel/manifest.ts";
import type { Disk, Fence } from "./store-files.ts";
import { currentTarget, places, revisionDirOf, revisionOfLink, viewTarget } from "./store-paths.ts";

/** Moves the day to this manifest's revision, unless it shows a later one already. */
export async function publishViews(disk: Disk, fence: Fence, manifest: RunManifest): Promise<void> {
  await fence.check();
  if (manifest.state !== "committed") {
    throw fail("internal", `run ${manifest.run} was aborted: there is nothing to publish`);
  }
  const folder = revisionDirOf(manifest);
  const current = join(disk.root, places.current(manifest.job, manifest.day));
  const shown = await disk.linkTarget(current);
  if (shown !== undefined && (revisionOfLink(shown) ?? 0) > manifest.revision) return;
  // Its creator may have died before this: what readers are shown must not be gone after a power cut.
  await disk.syncDir(dirname(join(disk.root, places.manifest(manifest))));
  await makeEmptyDatasets(disk, fence, manifest, folder);
  // Links first: they dangle, and so show nothing, until the one rename that shows all datasets at once.
  for (const { dataset } of manifest.datasets) {
    await makeView(disk, fence, manifest, dataset);
  }
  if (shown !== currentTarget(folder)) await fence.writeLink(current, currentTarget(folder));
}

/** A dataset without rows has a folder without files: it replaces what the day had before. */
async function makeEmptyDatasets(
  disk: Disk,
  fence: Fence,
  manifest: RunManifest,
  folder: string,
): Promise<void> {
  const empty = manifest.datasets.filter((dataset) => dataset.files.length === 0);
  const whole = join(disk.root, folder);
  if (manifest.datasets.length > empty.length || (await disk.exists(whole))) {
    for (const { dataset } of empty) {
      const path = join(whole, dataset);
      if (!(await disk.exists(path))) await fence.writeDir(path, async () => undefined);
    }
    return;
  }
  await fence.writeDir(whole, async (making) => {
    for (const { dataset } of empty) await disk.calls.makeDir(join(making, dataset));
  });
}

/**
 * Throws `conflict` when another job shows this dataset for that day: two jobs would take it from each other for ever.
 * Links that lead nowhere any more are nobody's.
 */
export async function checkOwnView(
  disk: Disk,
  job: string,
  day: string,
  dataset: string,
): Promise<void> {
  const view = places.view(dataset, day);
  const path = join(disk.root, view);
  const present = await disk.linkTarget(path);
  if (present === undefined || present === viewTarget(job, day, dataset)) return;
  if (!(await disk.exists(join(dirname(path), present)))) return;
  const owner = present.split("/").at(-3) ?? "another job";
  throw fail(
    "conflict",
    `${view} belongs to job ${owner}: rename the model ${dataset} of job ${job}, or remove that link ` +
      `if job ${owner} is no longer wanted`,
    { job, owner, dataset, day },
  );
}

async function makeView(
  disk: Disk,
  fence: Fence,
  manifest: RunManifest,
  dataset: string,
): Promise<void> {
  const { job, day } = manifest;
  const view = join(disk.root, places.view(dataset, day));
  const target = viewTarget(job, day, dataset);
  if ((await disk.linkTarget(view)) === target) return;
  await checkOwnView(disk, job, day, dataset);
  await fence.writeLink(view, target);
}
