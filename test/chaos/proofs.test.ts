/** docs/failure-proofs.md names tests, chaos scenarios and faults of the simulation: each of them exists, and none is left out. */
import { describe, expect, test } from "vitest";
import { byName } from "../../scripts/chaos-kit/catalogue.ts";
import { faultKinds } from "../../scripts/simulation/faults.ts";
import { isThere, sourceOf } from "./named-tests.ts";

const page = sourceOf("docs/failure-proofs.md");
const [, body = ""] = page.split("## What dies or lies");
const entries = body.split("\n").filter((line) => line.startsWith("- "));
const scenarios = byName.map(({ name }) => name);

function named(pattern: RegExp): string[] {
  return entries.flatMap((line) => [...line.matchAll(pattern)].map((match) => match[1] ?? ""));
}

describe("every proof that the page names", () => {
  test("is a file, with a test of that name", () => {
    const wrong = entries.flatMap((line) => {
      const [, path, title] = /^- `((?:test|scripts)\/[^`]+)`(?: "(.+?)")?/.exec(line) ?? [];
      if (path === undefined) return [];
      const isProof = title !== undefined || path.startsWith("scripts/");
      return isProof && isThere(path, title) ? [] : [line];
    });
    expect(wrong).toEqual([]);
  });

  test("is a chaos scenario, or a fault of the simulation", () => {
    const chaos = named(/chaos `([^`]+)`/g);
    expect(chaos.filter((name) => !scenarios.includes(name))).toEqual([]);
    const faults = entries
      .filter((line) => line.startsWith("- simulation "))
      .flatMap((line) => [...line.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ""));
    expect(faults.filter((kind) => !(kind in faultKinds))).toEqual([]);
    expect(faults.length).toBeGreaterThan(40);
  });

  test("is of one of these kinds", () => {
    const known = /^- (`(?:test|scripts)\/|chaos `|simulation `)/;
    expect(entries.filter((line) => !known.test(line))).toEqual([]);
  });
});

test("no scenario is left out, and every section has a proof", () => {
  const chaos = named(/chaos `([^`]+)`/g);
  expect(scenarios.filter((name) => !chaos.includes(name))).toEqual([]);
  const sections = body.split("\n### ").slice(1);
  const empty = sections.filter((text) => !text.includes("\n- "));
  expect(sections.length).toBeGreaterThanOrEqual(20);
  expect(empty).toEqual([]);
});
