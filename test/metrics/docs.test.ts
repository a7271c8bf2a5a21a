// docs/metrics.md has each metric as it is declared, in the same order, and names are as Prometheus wants them.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { declared } from "../../coordinator/core/metrics/declared.ts";
import type { MetricDeclaration } from "../../shared/kernel/metric.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/metrics.md"), "utf8");
const all = Object.entries<MetricDeclaration>(declared);

function unitOf(name: string): string {
  const what = name.replace(/_total$/, "");
  if (/_(timestamp|start_time)_seconds$/.test(what)) return "Unix time, s";
  return what.endsWith("_seconds") ? "s" : what.endsWith("_bytes") ? "bytes" : "";
}

test("the tables have every metric as the code declares it, and no other", () => {
  const rows = page
    .split("\n")
    .map((line) => line.split("|").map((cell) => cell.trim()))
    .filter(([, name = ""]) => /^`(daymill|process)_\w+`$/.test(name))
    .map((cells) => cells.slice(1, -1).join(" | "));
  const expected = all.map(([name, { type, labels, help }]) =>
    [`\`${name}\``, type, labels.join(", "), unitOf(name), help].join(" | "),
  );
  expect(rows).toEqual(expected);
});

test("what the page's rules ask for exists, with such labels", () => {
  const examples = [...page.matchAll(/^```yaml\n([\s\S]*?)^```/gm)].map(([, text]) => text);
  const asked = [...examples.join().matchAll(/\b(daymill_\w+)(?:\{(\w+)=)?/g)];
  expect(asked.length).toBeGreaterThan(4);
  for (const [, name = "", label] of asked) {
    const found = all.find(([known]) => known === name)?.[1];
    expect(found, name).toBeDefined();
    if (label !== undefined) expect(found?.labels, name).toContain(label);
  }
});

test("names follow the conventions: our prefix, base units, _total for counters alone", () => {
  for (const [name, { type, labels, help }] of all) {
    expect(name).toMatch(/^(daymill|process)_[a-z]+(_[a-z]+)*$/);
    expect(name.endsWith("_total"), name).toBe(type === "counter");
    expect(name, name).not.toMatch(/_(ms|milliseconds|kib|mib|minutes|hours|percent)\b/);
    for (const label of labels) expect(label, name).toMatch(/^[a-z]+(_[a-z]+)*$/);
    expect(help, name).toMatch(/^[^\n|]+\.$/);
  }
});
