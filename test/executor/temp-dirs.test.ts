/** Folders for temporary files: what a killed predecessor left goes, what anybody uses stays. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeBaseDir } from "../../executor/shell/temp-dirs.ts";

let workDir: string;
beforeEach(() => {
  workDir = mkdtempSync(join(tmpdir(), "daymill-temp-dirs-"));
});
afterEach(() => rmSync(workDir, { recursive: true, force: true }));

function left(name: string): string {
  mkdirSync(join(workDir, name));
  writeFileSync(join(workDir, name, "spill"), "1");
  return name;
}

test("a start makes its own folder and removes those of dead processes of its host only", () => {
  const { pid } = spawnSync("true");
  left(`daymill-executor-h1-${pid}-ab`);
  const others = [
    left(`daymill-executor-h1-${process.ppid}-ab`),
    left(`daymill-executor-h2-${pid}-ab`),
    left(`daymill-executor-h1-${pid}-notes`),
    left("other"),
  ];
  const made = makeBaseDir(workDir, { host: "h1", pid: process.pid, incarnation: 255 });
  expect(made).toBe(join(workDir, `daymill-executor-h1-${process.pid}-ff`));
  expect(statSync(made).mode & 0o777).toBe(0o700);
  expect(readdirSync(workDir).sort()).toEqual(
    [...others, `daymill-executor-h1-${process.pid}-ff`].sort(),
  );
});

test("a container's next start, of the same host and number, removes what the killed one left", () => {
  const owner = { host: "h1", pid: process.pid };
  const first = makeBaseDir(workDir, { ...owner, incarnation: 1 });
  writeFileSync(join(first, "spill"), "1");
  makeBaseDir(workDir, { ...owner, incarnation: 2 });
  expect(readdirSync(workDir)).toEqual([`daymill-executor-h1-${process.pid}-2`]);
});
