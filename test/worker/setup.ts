/**
 * A storage root in a temporary folder, specs with defaults, and work that copies a source to a dataset.
 * Engine, files and (in exchange.test.ts) NATS are real.
 */

import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect } from "vitest";
import type { WorkerContext } from "../../executor/shell/worker/run-work.ts";
import type { ExchangeIo } from "../../shared/adapters/exchange.ts";
import type { Column, SourceSpec } from "../../shared/kernel/job.ts";
import { plainCsv } from "../../shared/kernel/job.ts";
import type { ExchangePlan, StagePlan } from "../../shared/kernel/plan.ts";
import type { Delivery, FileFingerprint, MapWork, ReduceWork } from "../../shared/kernel/work.ts";
import type { Log } from "../../shared/ports.ts";

export interface Root {
  readonly path: string;
  readonly temp: string;
  /** The executor's cache of dimensions; not there before the first. */
  readonly dimensions: string;
  write(path: string, bytes: string | Buffer): FileFingerprint;
  remove(): void;
}

export function makeRoot(): Root {
  const base = realpathSync(mkdtempSync(join(tmpdir(), "daymill-worker-")));
  const path = join(base, "root");
  const temp = join(base, "temp");
  const dimensions = join(base, "dimensions");
  mkdirSync(path);
  mkdirSync(temp);
  return {
    path,
    temp,
    dimensions,
    write: (name, bytes) => {
      mkdirSync(dirname(join(path, name)), { recursive: true });
      writeFileSync(join(path, name), bytes);
      return fingerprint(path, name);
    },
    remove: () => rmSync(base, { recursive: true, force: true }),
  };
}

/** A root for each test of a file, gone after it; no work leaves anything in its temporary folder. */
export function rootOfEachTest(): Root {
  const root = {} as Root;
  beforeEach(() => {
    Object.assign(root, makeRoot());
  });
  afterEach(() => {
    expect(readdirSync(root.temp)).toEqual([]);
    root.remove();
  });
  return root;
}

export function fingerprint(root: string, path: string): FileFingerprint {
  const stats = statSync(join(root, path), { bigint: true });
  return {
    path,
    size: Number(stats.size),
    mtimeNs: String(stats.mtimeNs),
    ctimeNs: String(stats.ctimeNs),
    inode: String(stats.ino),
  };
}

export function source(overrides: Partial<SourceSpec> & Pick<SourceSpec, "columns">): SourceSpec {
  return {
    name: "src",
    path: "raw/*.csv",
    format: "csv",
    csv: plainCsv,
    rejectsMaxShare: 1,
    allowEmptyFiles: false,
    ...overrides,
  };
}

export function columns(text: string): readonly Column[] {
  return text.split(", ").map((part) => {
    const [name = "", ...type] = part.split(" ");
    return { name, type: type.join(" ") };
  });
}

const silent: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silent,
};

/** What a rejected attempt looks like; `text` stands somewhere in the message. */
export const failsWith = (code: string, text: string) => ({
  failure: { code, message: expect.stringContaining(text) },
});

/** For work without an exchange: any use of it is a failure of the test. */
export const noExchange: ExchangeIo = {
  write: () => Promise.reject(new Error("no exchange here")),
  read: () => Promise.reject(new Error("no exchange here")),
  account: () => Promise.reject(new Error("no exchange here")),
  close: () => Promise.resolve(),
};

export function context(root: Root, overrides: Partial<WorkerContext> = {}): WorkerContext {
  return {
    root: root.path,
    tempDir: root.temp,
    dimensionDir: root.dimensions,
    memoryBytes: 512 * 1024 * 1024,
    threads: 1,
    exchange: noExchange,
    log: silent,
    progress: () => {},
    signal: new AbortController().signal,
    ...overrides,
  };
}

let attempts = 0;

export function delivery(overrides: Partial<Delivery> = {}): Delivery {
  attempts++;
  const attemptId = `a${attempts}`;
  return {
    run: "job.2026-01-15.r1",
    stage: "s0",
    task: 0,
    attemptId,
    epoch: 1,
    outputs: [],
    inputs: [],
    stagingDir: `staging/job.2026-01-15.r1/0-${attemptId}`,
    lowMemory: false,
    ...overrides,
  };
}

const common = { wire: 1, hash: 1, duckdb: "v1.5.6", timezone: "UTC" };

/** A map task whose stage copies `keep` columns of the source to dataset `copy`. */
export function copyWork(
  spec: SourceSpec,
  files: readonly FileFingerprint[],
  overrides: Partial<MapWork> = {},
): MapWork {
  const list = spec.columns.map(({ name }) => `"${name}"`).join(", ");
  return mapWork(
    spec,
    files,
    {
      id: "s0",
      input: {
        kind: "scan",
        source: spec.name,
        keep: spec.columns.map(({ name }) => name),
        files: false,
      },
      dimensions: [],
      tables: [],
      outputs: [
        {
          kind: "dataset",
          model: "copy",
          sql: `SELECT ${list} FROM "${spec.name}"`,
          columns: spec.columns,
          single: false,
        },
      ],
    },
    overrides,
  );
}

export function mapWork(
  spec: SourceSpec,
  files: readonly FileFingerprint[],
  stage: StagePlan,
  overrides: Partial<MapWork> = {},
): MapWork {
  return {
    kind: "map",
    ...common,
    source: spec,
    split: { files },
    dimensions: [],
    stage,
    exchanges: [],
    ...overrides,
  };
}

export function reduceWork(
  stage: StagePlan,
  exchanges: readonly ExchangePlan[],
  group: number,
): ReduceWork {
  return {
    kind: "reduce",
    ...common,
    day: "2026-01-15",
    group,
    dimensions: [],
    stage,
    exchanges,
  };
}
