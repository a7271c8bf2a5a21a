/** Reads supported.tsv: one query (or a few models) a line, and whether it must run or be refused by which clause. */
import { readFileSync } from "node:fs";

export interface Entry {
  readonly id: string;
  readonly expect: "run" | "refuse";
  readonly clause: string;
  readonly models: readonly { readonly name: string; readonly sql: string }[];
}

/** Models are separated by `;;`, each but the last as `name := SELECT …`; the last is named `result`. */
export function readCorpus(): readonly Entry[] {
  const text = readFileSync(new URL("supported.tsv", import.meta.url), "utf8");
  return text
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => {
      const [id = "", expect = "", clause = "", sql = ""] = line.split("\t");
      if (expect !== "run" && expect !== "refuse")
        throw new Error(`line ${id}: expect is ${expect}`);
      const models = sql.split(";;").map((part) => {
        const named = /^\s*(\w+) := (.*)$/s.exec(part);
        return { name: named?.[1] ?? "result", sql: (named?.[2] ?? part).trim() };
      });
      return { id, expect, clause, models };
    });
}
