/**
 * A strict reader of what is scraped, for tests: the Prometheus text format, and OpenMetrics. It takes nothing that the
 * formats do not allow: unknown escapes, samples before their type, families that are torn apart, a series twice.
 */

export interface Scraped {
  /** By family: as declared. In OpenMetrics a counter's family has no `_total`. */
  readonly families: ReadonlyMap<string, { readonly type: string; readonly help: string }>;
  /** By `name{label="value",…}`, labels in their order. */
  readonly series: ReadonlyMap<string, number>;
}

const name = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const label = '([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\\\\n]|\\\\["\\\\n])*)"';
const commentLine = new RegExp(`^# (HELP|TYPE) (${name}) (.+)$`);
const sampleLine = new RegExp(`^(${name})(?:\\{(${label}(?:,${label})*)\\})? (\\S+)$`);

export function readExposition(text: string, format: "text" | "openmetrics"): Scraped {
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  const lines = text.slice(0, -1).split("\n");
  if (format === "openmetrics" && lines.pop() !== "# EOF") throw new Error("it has no end");
  const families = new Map<string, { type: string; help: string }>();
  const series = new Map<string, number>();
  let family = "";
  for (const line of lines) {
    // Only the older format has room between families.
    if (line === "" && format === "text") continue;
    const comment = commentLine.exec(line);
    if (comment !== null) {
      const [, kind = "", of = "", said = ""] = comment;
      if (kind === "HELP") {
        if (families.has(of)) throw new Error(`${of} is there twice`);
        families.set(of, { type: "", help: said });
        family = of;
      } else {
        const known = families.get(of);
        if (of !== family || known?.type !== "") throw new Error(`out of place: ${line}`);
        known.type = typeOf(said);
      }
      continue;
    }
    const [key, value] = readSample(line, family, families.get(family)?.type ?? "", format);
    if (series.has(key)) throw new Error(`${key} is there twice`);
    series.set(key, value);
  }
  return { families, series };
}

function typeOf(said: string): string {
  if (said === "gauge" || said === "counter") return said;
  throw new Error(`no type of ours: ${said}`);
}

function readSample(line: string, family: string, type: string, format: "text" | "openmetrics") {
  const found = sampleLine.exec(line);
  if (found === null) throw new Error(`no sample: ${JSON.stringify(line)}`);
  const [, of = "", labels] = found;
  const isShort = format === "openmetrics" && type === "counter";
  const expected = isShort ? `${family}_total` : family;
  if (type === "" || of !== expected) throw new Error(`${of} is in ${family} (${type})`);
  if (type === "counter" && !of.endsWith("_total"))
    throw new Error(`${of} counts, and is named so`);
  const value = Number(found.at(-1));
  if (!Number.isFinite(value)) throw new Error(`no number: ${line}`);
  return [labels === undefined ? of : `${of}{${labels}}`, value] as const;
}

/** Of one metric, by its labels; those that are 0 are left out. */
export function nonZero({ series }: Scraped, metric: string): Readonly<Record<string, number>> {
  return Object.fromEntries(
    [...series].flatMap(([key, value]) =>
      value !== 0 && key.startsWith(`${metric}{`) ? [[key.slice(metric.length), value]] : [],
    ),
  );
}

/** Scrapes as Prometheus does when it is told to use the text format. */
export async function scrape(address: string): Promise<Scraped> {
  const response = await fetch(`http://${address}/metrics`);
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status}: ${text}`);
  return readExposition(text, "text");
}
