/** Figures of a process that others scrape, as values. How they are written is an adapter's business. */

export interface MetricDeclaration {
  /** `counter`: only grows, and begins anew with the process or the leadership. */
  readonly type: "gauge" | "counter";
  /** Names of the labels that each sample has. */
  readonly labels: readonly string[];
  /** What it means, in a line. */
  readonly help: string;
}

/** A declared metric with what it is now. */
export interface Metric extends MetricDeclaration {
  readonly name: string;
  readonly samples: readonly MetricSample[];
}

export interface MetricSample {
  /** No run ids, no days, no secrets: what may be a label is bounded. */
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** What a process knows of itself and no core does. */
export interface ProcessFigures {
  /** Of the program. */
  readonly version: string;
  /** Epoch milliseconds. */
  readonly startedMs: number;
  /** Since then. */
  readonly cpuMs: number;
  readonly busyMs: number;
  readonly residentBytes: number;
  readonly heapUsedBytes: number;
}
