/**
 * Names of what a cluster owns in NATS. A cluster's name keeps clusters on one server apart.
 * Event subjects carry no cluster name: job names are what people subscribe to.
 */
import { fail } from "../kernel/failure.ts";

/** Refuses names that could not be a stream's or a bucket's: `[a-z][a-z0-9_-]*`, at most 32. */
export function checkClusterName(cluster: string): string {
  if (/^[a-z][a-z0-9_-]{0,31}$/.test(cluster)) return cluster;
  throw fail(
    "badRequest",
    `cluster name ${JSON.stringify(cluster)} is not allowed: begin with a letter a-z, then up to ` +
      "31 of a-z, 0-9, _ and -",
  );
}

export function journalStream(cluster: string): string {
  return `DM_${checkClusterName(cluster)}_journal`;
}

export function journalSubject(cluster: string): string {
  return `daymill.${checkClusterName(cluster)}.journal`;
}

/** See nats-reserve.ts. */
export function reserveStream(cluster: string): string {
  return `DM_${checkClusterName(cluster)}_reserve`;
}

export function reserveSubject(cluster: string): string {
  return `daymill.${checkClusterName(cluster)}.reserve`;
}

export function registryBucket(cluster: string): string {
  return `dm_${checkClusterName(cluster)}_registry`;
}

/** One token of a subject: what NATS would read as structure becomes `_`; nothing becomes `_`. */
export function subjectToken(text: string): string {
  const token = text.replace(/[^A-Za-z0-9_-]/g, "_");
  return token === "" ? "_" : token;
}

/** `daymill.events.<job>.<day>.<kind>`; the dots of a kind (`run.created`) stay, so `>` and `*` work on it. */
export function eventSubject(job: string, day: string, kind: string): string {
  const kinds = kind.split(".").map(subjectToken).join(".");
  return `daymill.events.${subjectToken(job)}.${subjectToken(day)}.${kinds}`;
}
