/**
 * The kept map outputs of one scope, packed: each is a line of JSON whose members have a place instead of a name, half
 * as long as the object. While a run adds and looks, lines lie by map key; else all of a scope are one text, which
 * costs neither the collector nor a snapshot anything by the output. Who asks sees values, and never which form it is.
 */
import { assert } from "../../shared/kernel/assert.ts";
import type {
  AttemptCounters,
  ExchangeOutput,
  FileAccount,
  FileFingerprint,
  StagedFile,
} from "../../shared/kernel/work.ts";
import type { TaskResult } from "./durable.ts";

/** As in a map: by map key, in the order in which the keys came. Equal when the same outputs are in the same order. */
export class KeptOutputs {
  /** Only while somebody adds or looks. */
  #lines: Map<string, string> | undefined;
  /** All lines, when they don't lie by key. */
  #text: string;
  #size: number;

  /** `text`: what `text()` gave of as many outputs. */
  constructor(text = "", size = 0) {
    this.#text = text;
    this.#size = size;
  }

  get size(): number {
    return this.#lines?.size ?? this.#size;
  }

  has(mapKey: string): boolean {
    return this.size > 0 && this.#open().has(mapKey);
  }

  /** A new value each time, and nobody's: executor is empty. */
  get(mapKey: string): TaskResult | undefined {
    const line = this.size === 0 ? undefined : this.#open().get(mapKey);
    return line === undefined ? undefined : unpacked(line);
  }

  /** Whose output is kept; cheaper than the output. */
  attemptId(mapKey: string): string | undefined {
    const line = this.size === 0 ? undefined : this.#open().get(mapKey);
    return line === undefined ? undefined : attemptOf(line);
  }

  set(mapKey: string, output: TaskResult): void {
    this.#open().set(mapKey, packed(mapKey, output));
  }

  delete(mapKey: string): void {
    if (this.size > 0) this.#open().delete(mapKey);
  }

  clear(): void {
    this.#lines = undefined;
    this.#text = "";
    this.#size = 0;
  }

  mapKeys(): readonly string[] {
    return this.#all().map(keyOf);
  }

  /** Map keys of those whose JSON holds a text: no output is unpacked for it. */
  keysOf(text: string): readonly string[] {
    return this.#all()
      .filter((line) => line.includes(text))
      .map(keyOf);
  }

  /** Their attempts: cheap, and that is what most who look at all of them want. */
  attemptIds(): readonly string[] {
    return this.#all().map(attemptOf);
  }

  values(): readonly TaskResult[] {
    return this.#all().map(unpacked);
  }

  *[Symbol.iterator](): Iterator<readonly [string, TaskResult]> {
    for (const line of this.#all()) yield [keyOf(line), unpacked(line)];
  }

  /** A line each. */
  text(): string {
    return this.#lines === undefined ? this.#text : [...this.#lines.values()].join("\n");
  }

  /** Nobody will look or add for long: the run that did has ended. */
  close(): void {
    if (this.#lines === undefined) return;
    const text = this.text();
    this.#size = this.#lines.size;
    this.#text = text;
    this.#lines = undefined;
  }

  #open(): Map<string, string> {
    if (this.#lines !== undefined) return this.#lines;
    this.#lines = new Map(this.#all().map((line) => [keyOf(line), line]));
    assert(this.#lines.size === this.#size, "a packed text has as many outputs as was said");
    this.#text = "";
    return this.#lines;
  }

  #all(): readonly string[] {
    if (this.#lines !== undefined) return [...this.#lines.values()];
    return this.#text === "" ? [] : this.#text.split("\n");
  }
}

/** Map keys and attempt ids are plain words, so a line begins `["<map key>","<attempt id>",`. */
function keyOf(line: string): string {
  return line.slice(2, line.indexOf('"', 2));
}

function attemptOf(line: string): string {
  const from = line.indexOf('"', 2) + 3;
  return line.slice(from, line.indexOf('"', from));
}

/** Members that most outputs don't have. */
type Rest = Pick<TaskResult, "rejectsFile" | "lateFile" | "checkValue"> & {
  readonly files?: readonly StagedFile[];
};

type Line = readonly [
  mapKey: string,
  attemptId: string,
  outputs: readonly PackedOutput[],
  accounts: readonly PackedAccount[],
  counters: PackedCounters,
  rest: Rest | 0,
];

function packed(mapKey: string, output: TaskResult): string {
  const line: Line = [
    mapKey,
    output.attemptId,
    output.outputs.map(packOutput),
    output.accounts.map(packAccount),
    packCounters(output.counters),
    restOf(output),
  ];
  return JSON.stringify(line);
}

function unpacked(text: string): TaskResult {
  const [mapKey, attemptId, outputs, accounts, counters, rest] = JSON.parse(text) as Line;
  const { files = [], ...others } = rest === 0 ? {} : rest;
  return {
    attemptId,
    executor: "",
    outputs: outputs.map(unpackOutput),
    files,
    accounts: accounts.map(unpackAccount),
    ...others,
    counters: unpackCounters(counters),
    mapKey,
  };
}

function restOf({ files, rejectsFile, lateFile, checkValue }: TaskResult): Rest | 0 {
  const rest: Rest = {
    ...(files.length === 0 ? {} : { files }),
    ...(rejectsFile === undefined ? {} : { rejectsFile }),
    ...(lateFile === undefined ? {} : { lateFile }),
    ...(checkValue === undefined ? {} : { checkValue }),
  };
  return Object.keys(rest).length === 0 ? 0 : rest;
}

type PackedOutput = ReturnType<typeof packOutput>;

function packOutput({ exchange, digest, checksum, rows, bytes, messages }: ExchangeOutput) {
  return [exchange, digest, checksum, rows, bytes, messages] as const;
}

function unpackOutput(plain: PackedOutput): ExchangeOutput {
  const [exchange, digest, checksum, rows, bytes, messages] = plain;
  return { exchange, digest, checksum, rows, bytes, messages };
}

type PackedAccount = ReturnType<typeof packAccount>;

function packAccount(account: FileAccount) {
  const { contentSha256, plainBytes, lines, rows, rejects, blank, outsideDay } = account;
  return [
    packFile(account.file),
    contentSha256,
    plainBytes,
    lines,
    rows,
    rejects,
    blank,
    outsideDay,
    account.lastLineUnterminated ? 1 : 0,
  ] as const;
}

function unpackAccount(plain: PackedAccount): FileAccount {
  const [file, contentSha256, plainBytes, lines, rows, rejects, blank, outsideDay, torn] = plain;
  return {
    file: unpackFile(file),
    contentSha256,
    plainBytes,
    lines,
    rows,
    rejects,
    blank,
    outsideDay,
    lastLineUnterminated: torn === 1,
  };
}

type PackedCounters = ReturnType<typeof packCounters>;

function packCounters(counters: AttemptCounters) {
  const { rowsIn, bytesIn, rowsOut, bytesOut, elapsedMs, peakMemoryBytes } = counters;
  return [rowsIn, bytesIn, rowsOut, bytesOut, elapsedMs, peakMemoryBytes] as const;
}

function unpackCounters(plain: PackedCounters): AttemptCounters {
  const [rowsIn, bytesIn, rowsOut, bytesOut, elapsedMs, peakMemoryBytes] = plain;
  return { rowsIn, bytesIn, rowsOut, bytesOut, elapsedMs, peakMemoryBytes };
}

export type PackedFile = ReturnType<typeof packFile>;

export function packFile({ path, size, mtimeNs, ctimeNs, inode }: FileFingerprint) {
  return [path, size, mtimeNs, ctimeNs, inode] as const;
}

export function unpackFile([path, size, mtimeNs, ctimeNs, inode]: PackedFile): FileFingerprint {
  return { path, size, mtimeNs, ctimeNs, inode };
}
