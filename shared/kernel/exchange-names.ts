/**
 * Names of the JetStream streams of an exchange: one per partition group. A name says the cluster, the scope that
 * its contents belong to (a day's kept map outputs, or one run), the exchange, a generation and the group.
 * Only letters, digits, `_` and `-`: what NATS takes as a stream name and as one token of a subject.
 */
import { sha256Hex } from "./sha256.ts";

/** Prefix of all exchange streams of a cluster. */
export function exchangePrefix(cluster: string): string {
  return `DMX_${cluster}_`;
}

/** Is this a stream of this cluster, and not of another one whose name begins alike? */
export function isExchangeStream(cluster: string, stream: string): boolean {
  return clusterOfStream(stream) === cluster;
}

/** Which cluster's exchange stream it is; undefined for any other stream. */
export function clusterOfStream(stream: string): string | undefined {
  return /^DMX_(.+)_[0-9a-f]{20}_[A-Za-z0-9-]+_n\d+_g\d+$/.exec(stream)?.[1];
}

/** The same streams one generation later: other names, so another place and nothing in them. */
export function nextGeneration(streams: readonly string[]): readonly string[] {
  return streams.map((stream) =>
    stream.replace(/_n(\d+)_g(\d+)$/, (_, generation: string, group: string) => {
      return `_n${Number(generation) + 1}_g${group}`;
    }),
  );
}

/** The same streams in the latest generation of which all are there; undefined when there is none. */
export function latestGeneration(
  streams: readonly string[],
  there: ReadonlySet<string>,
): readonly string[] | undefined {
  const first = streams[0]?.replace(/_n\d+_g0$/, "_n");
  if (first === undefined) return undefined;
  const generations = [...there].flatMap((stream) => {
    const rest = stream.startsWith(first) ? stream.slice(first.length) : "";
    return /^\d+_g0$/.test(rest) ? [Number.parseInt(rest, 10)] : [];
  });
  return generations
    .sort((a, b) => b - a)
    .map((generation) => streams.map((name) => name.replace(/_n\d+(?=_g\d+$)/, `_n${generation}`)))
    .find((names) => names.every((name) => there.has(name)));
}

/** Stream names by group, in group order. `scope` may be any text; its hash stands for it. */
export function exchangeStreams(name: {
  readonly cluster: string;
  readonly scope: string;
  readonly exchange: string;
  readonly generation: number;
  readonly groups: number;
}): readonly string[] {
  const scope = sha256Hex(name.scope).slice(0, 20);
  const stem = `${exchangePrefix(name.cluster)}${scope}_${name.exchange}_n${name.generation}`;
  return Array.from({ length: name.groups }, (_, group) => `${stem}_g${group}`);
}
