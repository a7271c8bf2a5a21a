/** The late files of a job as people are shown them. */
import type { Failure } from "../../../shared/kernel/failure.ts";
import type { Durable } from "../durable.ts";
import type { Reply } from "../protocol.ts";
import { unknownJob } from "../submissions.ts";

export function lateOf(durable: Durable, job: string): Reply | Failure {
  if (!durable.names.has(job)) return unknownJob(durable, job);
  const { sinceMs = 0, total = 0, files = [] } = durable.desks.get(job)?.late ?? {};
  const newestFirst = files
    .toReversed()
    .map(({ day, source, file, seenMs, revision, readBy = 0 }) => {
      const { path, size: bytes } = file;
      return { day, source, path, bytes, seenMs, revision, readBy };
    });
  return { kind: "late", late: { job, sinceMs, total, files: newestFirst } };
}
