/**
 * Metrics as text, by prom-client: the Prometheus text format, or OpenMetrics for those who ask for it. The library keeps
 * nothing: each text is made of the values that are given.
 */
import { Counter, Gauge, Registry } from "prom-client";
import type { Metric } from "../kernel/metric.ts";

export interface MetricsText {
  readonly contentType: string;
  readonly text: string;
}

/** `accept`: the header of whoever asks. */
export async function metricsText(
  metrics: readonly Metric[],
  accept: string | undefined,
): Promise<MetricsText> {
  const registry = new Registry();
  // Prometheus names it, and takes the older format as well; people and older servers do not.
  if (accept?.includes("application/openmetrics-text") === true) {
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never);
  }
  for (const metric of metrics) register(registry, metric);
  return { contentType: registry.contentType, text: await registry.metrics() };
}

function register(registry: Registry, { name, help, type, labels, samples }: Metric): void {
  const declared = { name, help, labelNames: [...labels], registers: [registry] };
  if (type === "gauge") {
    const gauge = new Gauge(declared);
    for (const sample of samples) gauge.set(sample.labels, sample.value);
    return;
  }
  const counter = new Counter(declared);
  for (const sample of samples) counter.inc(sample.labels, sample.value);
}
