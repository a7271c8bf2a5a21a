/** Bounds of the endpoint that metrics are scraped from. A part of `limits` (limits.ts), through which they are used. */

export const metricLimits = {
  /** Jobs that are labels, those that are known for longest: each has 26 series. The others are counted. */
  metricJobsMax: 200,
  /** Headers of a request. A body is not read at all. */
  scrapeHeaderBytesMax: 8 * 1024,
  /** Connections at a time: some servers and a person; one more is closed at once. */
  scrapeConnectionsMax: 16,
  /** For a request to be there, and for the answer to be taken. */
  scrapeMs: 5_000,
  /** A connection that asks nothing more is closed after this: longer than the pause between two scrapes. */
  scrapeIdleMs: 75_000,
  /** How often connections are looked at for that. */
  scrapeLookEveryMs: 1_000,
} as const;
