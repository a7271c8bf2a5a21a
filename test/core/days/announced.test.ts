/** Files that a control file gives the checksum of another one: which are dropped before anybody reads them. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { announcedTwins } from "../../../coordinator/core/days/announced.ts";
import type { AnnouncedFile } from "../../../shared/kernel/days.ts";
import { files } from "./watch.ts";

/** `a:10=x`: path, announced size, checksum (of which one letter stands for all). */
function announced(text: string): readonly AnnouncedFile[] {
  return text.split(" ").map((word) => {
    const [, path = "", bytes, sum] = /^([^:=]+)(?::(\d+))?(?:=(.))?$/.exec(word) ?? [];
    return {
      path,
      ...(bytes === undefined ? {} : { bytes: Number(bytes) }),
      ...(sum === undefined ? {} : { sha256: sum.repeat(64) }),
    };
  });
}

const twins = (there: string, control: string) =>
  announcedTwins(files(there), announced(control))
    .map(({ path, twin }) => `${path} is ${twin}`)
    .join(", ");

test("the first in path order stays", () => {
  expect(twins("a:10 b:10 c:10 d:7", "a:10=x b:10=x c:10=x d:7=y")).toBe("b is a, c is a");
  expect(twins("b:10 a:10", "b:10=x a:10=x")).toBe("b is a");
});

test("a file that is not there, or not as announced, neither stays nor goes", () => {
  expect(twins("b:10 c:10", "a:10=x b:10=x c:10=x")).toBe("c is b");
  expect(twins("a:9 b:10 c:10", "a:10=x b:10=x c:10=x")).toBe("c is b");
  expect(twins("a:10 b:10", "a:10=x b:9=x")).toBe("");
});

test("without a checksum, a size, bytes or a control file nothing is dropped", () => {
  expect(twins("a:10 b:10", "a:10 b:10")).toBe("");
  expect(twins("a:10 b:10", "a=x b=x")).toBe("");
  expect(twins("a:0 b:0", "a:0=x b:0=x")).toBe("");
  expect(announcedTwins(files("a:10 b:10"), [])).toEqual([]);
});

test("of each checksum that is there exactly one file stays", () => {
  const entry = fc.record({ sum: fc.constantFrom("x", "y", "z"), isThere: fc.boolean() });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 12 }), (entries) => {
      const names = entries.map((_, index) => `f${String(index).padStart(2, "0")}`);
      const there = names.filter((_, index) => entries[index]?.isThere);
      const control = entries.map(({ sum }, index) => `${names[index]}:5=${sum}`).join(" ");
      const found = announcedTwins(
        files(there.map((name) => `${name}:5`).join(" ")),
        control === "" ? [] : announced(control),
      );
      const dropped = new Set(found.map(({ path }) => path));
      const sums = new Map(names.map((name, index) => [name, entries[index]?.sum]));
      const stay = there.filter((name) => !dropped.has(name)).map((name) => sums.get(name));
      expect([...stay].sort()).toEqual([...new Set(there.map((name) => sums.get(name)))].sort());
    }),
  );
});
