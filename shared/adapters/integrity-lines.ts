/**
 * Counts lines and turns bytes into what the scan reads without surprises: line feeds only, one marked line in place
 * of each line that the scan would split, join or drop. Clean stretches pass through untouched. It never parses values.
 */
import {
  cutRecord,
  type Defect,
  type Fields,
  isOverfull,
  type Quoting,
} from "./integrity-records.ts";

/** A line that was taken out; the scan sees a marker in its place, so line numbers stay right. */
export interface DefectiveLine {
  /** From 1, as in the file (a record over several lines counts once). */
  readonly line: number;
  readonly defect: Defect;
  /** First bytes as text; bytes that are no UTF-8 are replaced. */
  readonly raw: string;
}

export interface LineCounts {
  /** All lines, a header included. */
  lines: number;
  blank: number;
  /** Lines that were taken out. */
  defective: number;
  lastLineUnterminated: boolean;
  firstLineBlank: boolean;
  firstLineDefective: boolean;
}

export interface LineSink {
  /** Bytes for the scan. The buffer is only valid until the call's promise ends. */
  write(bytes: Buffer): Promise<void>;
  defect(line: DefectiveLine): Promise<void>;
}

const lineFeed = 10;
const carriageReturn = 13;
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf]);

interface Options {
  /** Stands in place of a defective line, without a line feed. Must give no row in the scan. */
  readonly marker: Buffer;
  readonly lineBytesMax: number;
  readonly rawBytesKept: number;
  readonly quoting: Quoting | undefined;
  /** Absent: columns are not counted. */
  readonly fields?: Fields;
}

/** Takes a file's plain bytes in order; `end` gives the counts. */
export class LineReader {
  readonly counts: LineCounts = {
    lines: 0,
    blank: 0,
    defective: 0,
    lastLineUnterminated: false,
    firstLineBlank: false,
    firstLineDefective: false,
  };
  /** The sink got other bytes than came in (but for a line feed at the very end). */
  altered = false;
  private carry: Buffer = Buffer.alloc(0);
  private started = false;
  /** Start of a line that is already too long: its other bytes are dropped up to the line feed. */
  private overlong: Buffer | undefined;
  private readonly sink: LineSink;
  private readonly options: Options;

  constructor(sink: LineSink, options: Options) {
    this.sink = sink;
    this.options = options;
  }

  async push(chunk: Buffer): Promise<void> {
    let bytes: Buffer = this.carry.length === 0 ? chunk : Buffer.concat([this.carry, chunk]);
    this.carry = Buffer.alloc(0);
    if (!this.started) {
      if (bytes.length < byteOrderMark.length) {
        this.carry = Buffer.from(bytes);
        return;
      }
      this.started = true;
      if (bytes.subarray(0, 3).equals(byteOrderMark)) {
        bytes = bytes.subarray(3);
        this.altered = true;
      }
    }
    await this.consume(bytes, false);
  }

  async end(): Promise<LineCounts> {
    const rest = this.carry;
    this.carry = Buffer.alloc(0);
    const open = rest.length > 0 && rest[rest.length - 1] !== lineFeed;
    this.counts.lastLineUnterminated = open || this.overlong !== undefined;
    await this.consume(rest, true);
    if (this.overlong !== undefined) await this.dropOverlong(this.overlong);
    return this.counts;
  }

  private async consume(bytes: Buffer, final: boolean): Promise<void> {
    const start = await this.skipOverlong(bytes);
    const lastFeed = bytes.lastIndexOf(lineFeed);
    const whole = lastFeed < start ? start : lastFeed + 1;
    if (whole > start && this.countClean(bytes, start, whole)) {
      await this.sink.write(bytes.subarray(start, whole));
      await this.keep(bytes, whole, final);
    } else await this.keepFrom(bytes, start, final);
  }

  private async keep(bytes: Buffer, from: number, final: boolean): Promise<void> {
    if (from < bytes.length) await this.keepFrom(bytes, from, final);
  }

  /** Counts lines of a stretch in which every line is harmless; false (and nothing counted) when one is not. */
  private countClean(bytes: Buffer, from: number, to: number): boolean {
    const { lineBytesMax, quoting, fields } = this.options;
    const stretch = bytes.subarray(from, to);
    if (stretch.includes(carriageReturn)) return false;
    if (quoting !== undefined && stretch.includes(quoting.quote)) return false;
    let lines = 0;
    let blank = 0;
    let before = -1;
    for (let at = stretch.indexOf(lineFeed); at >= 0; at = stretch.indexOf(lineFeed, at + 1)) {
      if (at - before - 1 > lineBytesMax) return false;
      if (fields !== undefined && isOverfull(stretch, before + 1, at, fields)) return false;
      if (at === before + 1) blank++;
      lines++;
      before = at;
    }
    if (this.counts.lines === 0) this.counts.firstLineBlank = stretch[0] === lineFeed;
    this.counts.lines += lines;
    this.counts.blank += blank;
    return true;
  }

  /** The careful way: record by record into one output buffer; what is incomplete is carried over. */
  private async keepFrom(bytes: Buffer, from: number, final: boolean): Promise<void> {
    const out = Buffer.allocUnsafe(bytes.length - from + 2);
    let length = 0;
    let at = from;
    while (at < bytes.length) {
      const cut = cutRecord({ ...this.options, buffer: bytes, from: at, final });
      if (cut.kind === "more") break;
      let end = cut.end;
      if (cut.kind === "defect") {
        await this.report(bytes.subarray(at, end), cut.defect);
        length += this.options.marker.copy(out, length);
      } else {
        if (end > at && bytes[end - 1] === carriageReturn) {
          end--;
          this.altered = true;
        }
        this.counted(end === at);
        length += bytes.copy(out, length, at, end);
      }
      out[length++] = lineFeed;
      at = cut.end + 1;
    }
    if (length > 0) await this.sink.write(out.subarray(0, length));
    if (at < bytes.length) this.carryOver(bytes, at);
  }

  private carryOver(bytes: Buffer, from: number): void {
    const rest = bytes.subarray(from);
    const open = rest.indexOf(lineFeed) < 0 && rest.length > this.options.lineBytesMax;
    if (open) this.overlong = Buffer.from(rest.subarray(0, this.options.rawBytesKept));
    else this.carry = Buffer.from(rest);
  }

  /** Index after an overlong line's end, or the buffer's length while it still goes on. */
  private async skipOverlong(bytes: Buffer): Promise<number> {
    if (this.overlong === undefined) return 0;
    const end = bytes.indexOf(lineFeed);
    if (end < 0) return bytes.length;
    await this.dropOverlong(this.overlong);
    return end + 1;
  }

  private async dropOverlong(start: Buffer): Promise<void> {
    this.overlong = undefined;
    await this.report(start, "line too long");
    await this.sink.write(Buffer.concat([this.options.marker, Buffer.from([lineFeed])]));
  }

  private async report(line: Buffer, defect: Defect): Promise<void> {
    this.altered = true;
    this.counts.defective++;
    if (this.counts.lines === 0) this.counts.firstLineDefective = true;
    this.counted(false);
    const end = line[line.length - 1] === carriageReturn ? line.length - 1 : line.length;
    const raw = line.subarray(0, Math.min(end, this.options.rawBytesKept)).toString("utf8");
    await this.sink.defect({ line: this.counts.lines, defect, raw });
  }

  private counted(blank: boolean): void {
    if (this.counts.lines === 0) this.counts.firstLineBlank = blank;
    this.counts.lines++;
    if (blank) this.counts.blank++;
  }
}
