/**
 * What readers see: `out/<dataset>/day=<D>` are fixed links, `current/<job>/<D>` is the one that moves, by rename.
 * So all datasets of a day change together, and file names that carry the revision make a stale listing fail.
 */
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fail } from "../kernel/failure.ts";
import type { RunManifest } from "../kernel/manifest.ts";
import { exists, type Fence, linkTarget } from "./store-files.ts";
import { currentTarget, places, revisionDirOf, revisionOfLink, viewTarget } from "./store-paths.ts";

/** Moves the day to this manifest's revision, unless it shows a later one already. */
export async function publishViews(
  root: string,
  fence: Fence,
  manifest: RunManifest,
): Promise<void> {
  await fence.check();
  if (manifest.state !== "committed") {
    throw fail("internal", `run ${manifest.run} was aborted: there is nothing to publish`);
  }
  const folder = revisionDirOf(manifest);
  const current = join(root, places.current(manifest.job, manifest.day));
  const shown = await linkTarget(current);
  if (shown !== undefined && (revisionOfLink(shown) ?? 0) > manifest.revision) return;
  await makeEmptyDatasets(root, fence, manifest, folder);
  // Links first: they dangle, and so show nothing, until the one rename that shows all datasets at once.
  for (const { dataset } of manifest.datasets) {
    await makeView(root, fence, manifest, dataset);
  }
  if (shown !== currentTarget(folder)) await fence.writeLink(current, currentTarget(folder));
}

/** A dataset without rows has a folder without files: it replaces what the day had before. */
async function makeEmptyDatasets(
  root: string,
  fence: Fence,
  manifest: RunManifest,
  folder: string,
): Promise<void> {
  const empty = manifest.datasets.filter((dataset) => dataset.files.length === 0);
  const whole = join(root, folder);
  if (manifest.datasets.length > empty.length || (await exists(whole))) {
    for (const { dataset } of empty) {
      const path = join(whole, dataset);
      if (!(await exists(path))) await fence.writeDir(path, async () => undefined);
    }
    return;
  }
  await fence.writeDir(whole, async (making) => {
    for (const { dataset } of empty) await mkdir(join(making, dataset));
  });
}

/**
 * Throws `conflict` when another job shows this dataset for that day: two jobs would take it from each other for ever.
 * Links that lead nowhere any more are nobody's.
 */
export async function checkOwnView(
  root: string,
  job: string,
  day: string,
  dataset: string,
): Promise<void> {
  const view = places.view(dataset, day);
  const path = join(root, view);
  const present = await linkTarget(path);
  if (present === undefined || present === viewTarget(job, day, dataset)) return;
  if (!(await exists(join(dirname(path), present)))) return;
  const owner = present.split("/").at(-3) ?? "another job";
  throw fail(
    "conflict",
    `${view} belongs to job ${owner}: rename the model ${dataset} of job ${job}, or remove that link ` +
      `if job ${owner} is no longer wanted`,
    { job, owner, dataset, day },
  );
}

async function makeView(
  root: string,
  fence: Fence,
  manifest: RunManifest,
  dataset: string,
): Promise<void> {
  const { job, day } = manifest;
  const view = join(root, places.view(dataset, day));
  const target = viewTarget(job, day, dataset);
  if ((await linkTarget(view)) === target) return;
  await checkOwnView(root, job, day, dataset);
  await fence.writeLink(view, target);
}
