/** Sets of input files: their name, and what is different between two of them. */
import { expect, test } from "vitest";
import { filesDifference, inputDigest, isSameSet } from "../../shared/kernel/input-files.ts";
import type { FileFingerprint } from "../../shared/kernel/work.ts";

function file(path: string, size = 1, inode = path): FileFingerprint {
  return { path, size, mtimeNs: "1", ctimeNs: "2", inode };
}

test("a set's name is that which committed manifests have, in any order of its files", () => {
  const set = [file("b", 2), file("a")];
  // SHA-256 of [["a",1,"1","2","a"],["b",2,"1","2","b"]]
  const name = "ebd0ac35cc97f0abd180f6ba6a4cdb0f537cc60b7c59c646e4fc85c76c2916c4";
  expect(inputDigest(set)).toBe(name);
  expect(inputDigest([...set].reverse())).toBe(name);
});

test("any other file, size, time or inode is another set", () => {
  const base = inputDigest([file("a"), file("b")]);
  const others = [
    [file("a")],
    [file("a"), file("b"), file("c")],
    [file("a", 2), file("b")],
    [{ ...file("a"), mtimeNs: "9" }, file("b")],
    [{ ...file("a"), ctimeNs: "9" }, file("b")],
    [file("a", 1, "x"), file("b")],
  ].map(inputDigest);
  expect(new Set([base, ...others]).size).toBe(7);
});

test("what came, changed and went since", () => {
  const former = [file("a"), file("b"), file("c")];
  const now = [file("d"), file("c", 9), file("a"), file("0")];
  const difference = filesDifference(former, now);
  const shown = (files: readonly FileFingerprint[]) =>
    files.map(({ path, size }) => `${path}:${size}`).join(" ");
  expect([difference.added, difference.changed, difference.vanished].map(shown)).toEqual([
    "0:1 d:1",
    "c:9",
    "b:1",
  ]);
  expect(isSameSet(difference)).toBe(false);
  expect(isSameSet(filesDifference(former, [...former].reverse()))).toBe(true);
});

test("a file that another one replaced under its name has changed", () => {
  expect(filesDifference([file("a", 5, "1")], [file("a", 5, "2")]).changed).toHaveLength(1);
});
