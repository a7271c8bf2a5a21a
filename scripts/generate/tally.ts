/**
 * Counts what the generator has written, exactly: the truth that results are checked against.
 * Small sums are kept as doubles for one block of lines and folded into BigInts before they could lose a bit.
 */
import { appCount } from "./population.ts";

/** Hours from a day before to a day after. */
export const hourCount = 72;

/** Counts of one block of accepted lines; below 2^53 each. */
export class BlockTally {
  rows = 0;
  ulBytes = 0;
  dlBytes = 0;
  durationMs = 0;
  outsideDay = 0;
  firstMs = Number.POSITIVE_INFINITY;
  lastMs = Number.NEGATIVE_INFINITY;
  readonly appRows = new Float64Array(appCount + 1);
  readonly appUl = new Float64Array(appCount + 1);
  readonly appDl = new Float64Array(appCount + 1);
  readonly hourRows = new Float64Array(hourCount);
  readonly hourUl = new Float64Array(hourCount);
  readonly hourDl = new Float64Array(hourCount);
  /** Damaged lines by kind. */
  readonly malformed = new Map<string, number>();

  clear(): void {
    this.rows = 0;
    this.ulBytes = 0;
    this.dlBytes = 0;
    this.durationMs = 0;
    this.outsideDay = 0;
    this.firstMs = Number.POSITIVE_INFINITY;
    this.lastMs = Number.NEGATIVE_INFINITY;
    for (const part of [this.appRows, this.appUl, this.appDl]) part.fill(0);
    for (const part of [this.hourRows, this.hourUl, this.hourDl]) part.fill(0);
    this.malformed.clear();
  }
}

/** Rows and bytes of a group (an app, an hour, a gateway), bytes as decimal texts. */
export interface TruthGroup {
  readonly rows: number;
  readonly ul_bytes: string;
  readonly dl_bytes: string;
}

/** What the accepted lines of a set of files hold. Sums are decimal texts, exact at any size. */
export interface Truth {
  readonly files: number;
  /** Accepted lines; damaged ones are in `malformed`. */
  readonly rows: number;
  readonly malformed_lines: number;
  /** Among them empty lines, which are not rejects but a class of their own. */
  readonly blank_lines: number;
  readonly malformed: Readonly<Record<string, number>>;
  readonly outside_day: number;
  readonly ul_bytes: string;
  readonly dl_bytes: string;
  readonly dur_ms: string;
  readonly min_start_ms: number | null;
  readonly max_start_ms: number | null;
  readonly distinct: {
    readonly msisdn: number;
    readonly cells: number;
    readonly apps: number;
    readonly devices: number;
  };
  readonly by_gateway: Readonly<Record<string, TruthGroup>>;
  readonly by_app: Readonly<Record<string, TruthGroup>>;
  /** Keys are UTC hours, `2026-01-15T20`. */
  readonly by_hour: Readonly<Record<string, TruthGroup>>;
}

class Group {
  rows = 0;
  ul = 0n;
  dl = 0n;

  add(rows: number, ul: number, dl: number): void {
    this.rows += rows;
    this.ul += BigInt(ul);
    this.dl += BigInt(dl);
  }

  value(): TruthGroup {
    return { rows: this.rows, ul_bytes: String(this.ul), dl_bytes: String(this.dl) };
  }
}

/** Totals over files; fed block by block. */
export class Tally {
  /** Marks of who and what was seen; the line writer sets them directly. */
  readonly subscribersSeen: Uint8Array;
  readonly cellsSeen: Uint8Array;
  readonly devicesSeen: Uint8Array;
  private files = 0;
  private readonly total = new Group();
  private durationMs = 0n;
  private outsideDay = 0;
  private firstMs = Number.POSITIVE_INFINITY;
  private lastMs = Number.NEGATIVE_INFINITY;
  private readonly malformed = new Map<string, number>();
  private readonly gateways = new Map<number, Group>();
  private readonly apps = Array.from({ length: appCount + 1 }, () => new Group());
  private readonly hours = Array.from({ length: hourCount }, () => new Group());

  constructor(subscribers: number, cells: number, devices: number) {
    this.subscribersSeen = new Uint8Array(subscribers);
    this.cellsSeen = new Uint8Array(cells);
    this.devicesSeen = new Uint8Array(devices);
  }

  addFile(): void {
    this.files += 1;
  }

  add(block: BlockTally, gateway: number): void {
    const ofGateway = this.gateways.get(gateway) ?? new Group();
    this.gateways.set(gateway, ofGateway);
    this.total.add(block.rows, block.ulBytes, block.dlBytes);
    ofGateway.add(block.rows, block.ulBytes, block.dlBytes);
    this.durationMs += BigInt(block.durationMs);
    this.outsideDay += block.outsideDay;
    for (const [kind, lines] of block.malformed) {
      this.malformed.set(kind, (this.malformed.get(kind) ?? 0) + lines);
    }
    addAll(this.apps, block.appRows, block.appUl, block.appDl);
    addAll(this.hours, block.hourRows, block.hourUl, block.hourDl);
    this.firstMs = Math.min(this.firstMs, block.firstMs);
    this.lastMs = Math.max(this.lastMs, block.lastMs);
  }

  /** The totals as they are written to truth.json. */
  truth(dayStartMs: number): Truth {
    const malformed = Object.fromEntries([...this.malformed].sort());
    const hourName = (index: number) =>
      new Date(dayStartMs + (index - 24) * 3_600_000).toISOString().slice(0, 13);
    return {
      files: this.files,
      rows: this.total.rows,
      malformed_lines: Object.values(malformed).reduce((sum, lines) => sum + lines, 0),
      blank_lines: malformed["empty_line"] ?? 0,
      malformed,
      outside_day: this.outsideDay,
      ul_bytes: String(this.total.ul),
      dl_bytes: String(this.total.dl),
      dur_ms: String(this.durationMs),
      min_start_ms: this.total.rows > 0 ? this.firstMs : null,
      max_start_ms: this.total.rows > 0 ? this.lastMs : null,
      distinct: {
        msisdn: count(this.subscribersSeen),
        cells: count(this.cellsSeen),
        apps: this.apps.filter((group) => group.rows > 0).length,
        devices: count(this.devicesSeen),
      },
      by_gateway: named([...this.gateways].sort((one, other) => one[0] - other[0])),
      by_app: named(this.apps.map((group, app) => [app, group])),
      by_hour: named(this.hours.map((group, index) => [hourName(index), group])),
    };
  }
}

function addAll(
  groups: readonly Group[],
  rows: Float64Array,
  ul: Float64Array,
  dl: Float64Array,
): void {
  groups.forEach((group, index) => {
    const lines = rows[index] ?? 0;
    if (lines > 0) group.add(lines, ul[index] ?? 0, dl[index] ?? 0);
  });
}

function count(marks: Uint8Array): number {
  let sum = 0;
  for (const mark of marks) sum += mark;
  return sum;
}

function named(groups: readonly (readonly [string | number, Group])[]): Record<string, TruthGroup> {
  return Object.fromEntries(
    groups.filter(([, group]) => group.rows > 0).map(([name, group]) => [name, group.value()]),
  );
}
