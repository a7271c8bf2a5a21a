/** What a coordinator on a bench would tell those who scrape it, in the words of the text format. */
import { metricsOf } from "../../../coordinator/core/metrics/metrics.ts";
import type { Metric } from "../../../shared/kernel/metric.ts";
import { Bench } from "../bench.ts";

/** A leader with two executors of two slots and a run of four scans, which have begun. */
export function running(): Bench {
  const bench = new Bench();
  bench.lead();
  bench.attach(1);
  bench.attach(2);
  bench.submit();
  return bench;
}

const own = {
  version: "1.2.3",
  startedMs: 5_000,
  cpuMs: 2_500,
  busyMs: 3_000,
  residentBytes: 100,
  heapUsedBytes: 60,
};

export function metricsAt({ state, at }: Bench): readonly Metric[] {
  return metricsOf(state, at, own);
}

/** Of one metric: its samples by their labels, `job_name=usage,state=done`; a number alone has no labels. */
export function figures(bench: Bench, name: string): Readonly<Record<string, number>> | number {
  const found = metricsAt(bench).find((metric) => metric.name === name);
  const named = (found?.samples ?? []).map(({ labels, value }) => {
    const text = Object.entries(labels).map(([label, is]) => `${label}=${is}`);
    return [text.join(","), value] as const;
  });
  const [first] = named;
  return first?.[0] === "" ? first[1] : Object.fromEntries(named);
}

/** The same without what is 0. */
export function counted(bench: Bench, name: string): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(figures(bench, name)).filter(([, value]) => value !== 0),
  );
}
