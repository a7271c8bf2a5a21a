/**
 * The Inputs port in memory: paths with texts. It lists, fingerprints and looks as the real one does, without links and
 * permissions; Parquet files have as many rows as their text has lines.
 */

import { pathMatcher, patternParts } from "../../shared/adapters/inputs-glob.ts";
import { ruleFile } from "../../shared/adapters/inputs-look.ts";
import { readControlFile } from "../../shared/kernel/control-file.ts";
import type { SourceLook, SourceToSee } from "../../shared/kernel/days.ts";
import { DaymillError, fail } from "../../shared/kernel/failure.ts";
import { isDelimited } from "../../shared/kernel/job.ts";
import { isDay } from "../../shared/kernel/time.ts";
import type { FileFingerprint } from "../../shared/kernel/work.ts";
import type { Inputs } from "../../shared/ports.ts";

export interface MemoryFolder {
  readonly files: Map<
    string,
    { readonly text: string; readonly mtimeMs: number; readonly inode: number }
  >;
  write(path: string, text: string, mtimeMs?: number): void;
}

export function memoryFolder(): MemoryFolder {
  const files: MemoryFolder["files"] = new Map();
  let inode = 0;
  return {
    files,
    write: (path, text, mtimeMs = 1_768_435_200_000) => {
      inode++;
      files.set(path, { text, mtimeMs, inode });
    },
  };
}

export function memoryInputs({ files }: MemoryFolder): Inputs {
  const list = (pattern: string, day: string): readonly FileFingerprint[] => {
    if (!isDay(day)) throw fail("badRequest", "day: must be a calendar date YYYY-MM-DD");
    const matches = pathMatcher(patternParts(pattern, day));
    return [...files]
      .filter(([path]) => matches(path))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([path, { text, mtimeMs, inode }]) => {
        const ns = `${mtimeMs}000000`;
        const size = Buffer.byteLength(text);
        return { path, size, mtimeNs: ns, ctimeNs: ns, inode: String(inode) };
      });
  };
  const said = ({ source, rule }: SourceToSee, day: string) => {
    if (rule?.by !== "manifest" && rule?.by !== "marker") return {};
    const path = ruleFile(source, rule.value, day);
    const file = files.get(path);
    if (rule.by === "marker") return { isMarked: file !== undefined };
    const isOfSource = pathMatcher(patternParts(source.path, day));
    const context = { path, day, sourcePath: source.path, isOfSource };
    return file === undefined ? {} : readControlFile(file.text, context);
  };
  const look = (wanted: SourceToSee, day: string): SourceLook => {
    const name = wanted.source.name;
    const found = list(wanted.source.path, day);
    const newestMs = Math.max(0, ...found.map(({ path }) => files.get(path)?.mtimeMs ?? 0));
    try {
      return { source: name, files: found, newestMs, ...said(wanted, day) };
    } catch (error) {
      if (!(error instanceof DaymillError)) throw error;
      return { source: name, files: found, newestMs, problem: error.failure };
    }
  };
  return {
    listSource: async (source, day) => {
      const found = list(source.path, day);
      if (found.length === 0) throw fail("inputMissing", `source ${source.name}: no file`);
      const mayBeEmpty = source.allowEmptyFiles && isDelimited(source.format);
      if (!mayBeEmpty && found.some(({ size }) => size === 0)) {
        throw fail("inputEmpty", `source ${source.name}: a file has no bytes`);
      }
      return found;
    },
    parquetRows: async (wanted) =>
      wanted.map(({ path }) => (files.get(path)?.text.split("\n").length ?? 1) - 1),
    dimension: async (spec, day) => {
      const found = list(spec.path, day);
      const [file] = found;
      if (file === undefined) throw fail("inputMissing", `dimension ${spec.name}: no file`);
      if (found.length > 1) throw fail("jobInvalid", `dimension ${spec.name}: several files`);
      if (file.size === 0) throw fail("inputEmpty", `dimension ${spec.name}: no bytes`);
      return file;
    },
    look: async (sources, day) => {
      if (!isDay(day)) throw fail("badRequest", "day: must be a calendar date YYYY-MM-DD");
      return sources.map((wanted) => look(wanted, day));
    },
  };
}
