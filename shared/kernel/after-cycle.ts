/** Jobs that wait for days of each other: is there a ring of them in which no day could ever begin? */
import type { JobSpec } from "./job.ts";

/**
 * A ring of jobs, each waiting for the next, the first one again at its end: `["a", "b", "a"]`; undefined when there is
 * none. Names that no job has are waited for, but wait for nothing. Of several rings the first in the order given.
 */
export function afterCycle(
  jobs: Iterable<Pick<JobSpec, "name" | "after">>,
): readonly string[] | undefined {
  const upstream = new Map<string, readonly string[]>();
  for (const { name, after = [] } of jobs) {
    upstream.set(
      name,
      after.map(({ job }) => job),
    );
  }
  const cleared = new Set<string>();
  for (const start of upstream.keys()) {
    const found = ringFrom(start, upstream, cleared);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Walks all that `start` waits for, without recursion: a chain of jobs may be long. */
function ringFrom(
  start: string,
  upstream: ReadonlyMap<string, readonly string[]>,
  cleared: Set<string>,
): readonly string[] | undefined {
  const path: { readonly job: string; readonly open: string[] }[] = [];
  const placeOf = new Map<string, number>();
  const enter = (job: string) => {
    if (cleared.has(job)) return;
    placeOf.set(job, path.length);
    path.push({ job, open: [...(upstream.get(job) ?? [])] });
  };
  enter(start);
  for (let last = path.at(-1); last !== undefined; last = path.at(-1)) {
    const next = last.open.shift();
    if (next === undefined) {
      cleared.add(last.job);
      placeOf.delete(last.job);
      path.pop();
      continue;
    }
    const begin = placeOf.get(next);
    if (begin !== undefined) return [...path.slice(begin).map(({ job }) => job), next];
    enter(next);
  }
  return undefined;
}
