/**
 * The hot loop: draws the twenty fields of a record and writes them as one line into a buffer.
 * Makes no string and no object per record. Opens no file.
 */
import { type DamageKind, damage, damageKinds } from "./damage.ts";
import { exp, ln, lognormalTable, QuantileTable } from "./distributions.ts";
import { comma, newline, put9, putAddress, putMillis, putText, putWhole } from "./line-bytes.ts";
import type { Settings } from "./options.ts";
import * as people from "./population.ts";
import { mix, type Random } from "./random.ts";
import type { BlockTally, Tally } from "./tally.ts";

/** No line is longer, damage included. */
export const lineBytesMax = 208;

const dayMs = 86_400_000;
const destinations = 1_000_000;
/** Of 65,536: 1.2 % of records are a day late, 0.3 % start after midnight. */
const lateBelow = 786;
const earlyBelow = lateBelow + 197;
const nationalPlmns = [40_410, 40_486, 40_498, 40_531, 40_564];
const foreignPlmns = [23_415, 26_201, 31_026, 42_402, 45_400, 50_212, 52_503, 52_001];

export class LineWriter {
  readonly bytes: Buffer;
  at = 0;
  private readonly damageBelow: number;
  private readonly durations = lognormalTable(10_000, 1.6, 7_200_000);
  private readonly downloads = lognormalTable(20_000, 2.4, 2_000_000_000);
  /** Upload per thousand of download. */
  private readonly uploads = lognormalTable(80, 1.2, 20_000);
  /** Zipf 1.0 over a million destinations: rank = million ^ p. */
  private readonly destinations = new QuantileTable((p) => exp(p * ln(destinations)));
  private readonly settings: Settings;
  private readonly population: people.Population;

  constructor(settings: Settings, population: people.Population, blockBytes: number) {
    this.settings = settings;
    this.population = population;
    this.bytes = Buffer.allocUnsafe(blockBytes);
    this.damageBelow = Math.round(settings.malformedShare * 2 ** 32);
  }

  /** Writes one line of a file whose period starts `fromMs` after the day's start; counts it. */
  write(random: Random, gateway: number, fromMs: number, block: BlockTally, seen: Tally): void {
    const { bytes, population } = this;
    const start = this.at;
    const chance = random.bits();
    const startMs = this.drawStart(random, fromMs, chance);
    const hour = Math.floor((startMs - this.settings.dayStartMs) / 3_600_000);
    const durationMs = this.durations.draw(random);
    const subscriber = population.byTraffic.draw(random);
    const device = population.device[subscriber] ?? 0;
    const app = people.appId(population.byPopularity.draw(random));
    const dlBytes = this.downloads.draw(random);
    const ulBytes = Math.floor((dlBytes * this.uploads.draw(random)) / 1_000);
    const cell = this.drawCell(random, subscriber, hour);

    let at = putMillis(bytes, start, startMs);
    bytes[at] = comma;
    at = putWhole(bytes, at + 1, durationMs);
    at = this.putIdentity(at, subscriber, device, hour);
    at = this.putEndpoints(at, random, subscriber);
    at = putWhole(bytes, at, app);
    bytes[at] = comma;
    at = putBytes(bytes, at + 1, ulBytes);
    bytes[at] = comma;
    at = putBytes(bytes, at + 1, dlBytes);
    at = this.putRadio(at, random, subscriber, device, cell);
    at = putWhole(bytes, at, gateway);

    if (this.damageBelow > 0 && random.bits() >>> 0 < this.damageBelow) {
      const kind = damageKinds[random.below(damageKinds.length)] ?? "empty_line";
      at = this.spoil(start, at, kind, block);
    } else {
      countRecord(block, startMs, hour + 24, durationMs, app, ulBytes, dlBytes);
      seen.subscribersSeen[subscriber] = 1;
      seen.devicesSeen[device] = 1;
      seen.cellsSeen[cell] = 1;
    }
    bytes[at] = newline;
    this.at = at + 1;
  }

  private spoil(start: number, end: number, kind: DamageKind, block: BlockTally): number {
    block.malformed.set(kind, (block.malformed.get(kind) ?? 0) + 1);
    return damage(this.bytes, start, end, kind);
  }

  /** Within the file's period, but for records that belong to the day before or after. */
  private drawStart(random: Random, fromMs: number, chance: number): number {
    const { dayStartMs, periodMinutes } = this.settings;
    const within = dayStartMs + fromMs + random.below(periodMinutes * 60_000);
    const low = chance & 0xffff;
    if (low >= earlyBelow) return within;
    if (low < lateBelow) return within - dayMs;
    return dayStartMs + dayMs + random.below(3_600_000);
  }

  /** At work by day, at home by night, on the way now and then. */
  private drawCell(random: Random, subscriber: number, hour: number): number {
    const chance = random.bits() & 255;
    if (chance < 64) return this.population.byLoad.draw(random);
    const hourOfDay = (hour + 48) % 24;
    const atWork = hourOfDay >= 9 && hourOfDay < 18 && chance < 220;
    const cells = atWork ? this.population.workCell : this.population.homeCell;
    return cells[subscriber] ?? 0;
  }

  /** `,msisdn,imsi,tac8,` */
  private putIdentity(from: number, subscriber: number, device: number, hour: number): number {
    const { bytes } = this;
    let at = putText(bytes, from, ",919");
    at = put9(bytes, at, people.msisdnDigits(subscriber));
    const swapped = people.swapsSim(subscriber) && hour >= 12;
    at = putText(bytes, at, swapped ? ",404451" : ",404450");
    at = put9(bytes, at, people.imsiDigits(subscriber));
    bytes[at] = comma;
    at = putWhole(bytes, at + 1, people.tac8(device));
    bytes[at] = comma;
    return at + 1;
  }

  /** `src_ip,nat_ip,nat_port,dst_ip,dst_port,proto,` */
  private putEndpoints(from: number, random: Random, subscriber: number): number {
    const { bytes } = this;
    let at = putAddress(bytes, from, people.privateAddress(subscriber));
    bytes[at] = comma;
    at = putAddress(bytes, at + 1, people.publicAddress(subscriber));
    const draw = random.bits();
    bytes[at] = comma;
    at = putWhole(bytes, at + 1, 1_024 + (subscriber & 127) * 500 + ((draw & 511) % 500));
    bytes[at] = comma;
    // Any first octet from 1 to 223 that is nobody's private network matters little here.
    const host = mix(this.destinations.draw(random));
    at = putAddress(bytes, at + 1, (host & 0xffffff) | ((1 + ((host >>> 24) % 223)) << 24));
    bytes[at] = comma;
    at = putWhole(bytes, at + 1, destinationPort((draw >>> 9) % 100, draw >>> 16));
    // Eight bits are too few for a remainder: 0 to 55 would come half as often again.
    const protocol = ((draw >>> 24) * 100) >>> 8;
    return putText(bytes, at, protocol < 59 ? ",6," : protocol < 99 ? ",17," : ",1,");
  }

  /** `,rat,cell,apn_id,plmn,cause,` */
  private putRadio(
    from: number,
    random: Random,
    subscriber: number,
    device: number,
    cell: number,
  ): number {
    const { bytes } = this;
    const draw = random.bits();
    const radio = draw & 127;
    const network =
      people.is5g(device) && radio < 60
        ? ",10,"
        : radio < 118
          ? ",6,"
          : radio < 123
            ? ",1,"
            : ",2,";
    let at = putText(bytes, from, network);
    at = putWhole(bytes, at, people.cellIdentity(cell));
    const accessPoint = (draw >>> 7) % 100;
    at = putText(
      bytes,
      at,
      accessPoint < 85 ? ",1," : accessPoint < 93 ? ",2," : accessPoint < 98 ? ",3," : ",4,",
    );
    at = putWhole(bytes, at, servingPlmn(this.population.travels[subscriber] ?? 0, draw >>> 14));
    const cause = (draw >>> 20) % 100;
    return putText(
      bytes,
      at,
      cause < 80 ? ",0," : cause < 88 ? ",16," : cause < 92 ? ",17," : cause < 97 ? ",20," : ",4,",
    );
  }
}

function destinationPort(percent: number, draw: number): number {
  if (percent < 70) return 443;
  if (percent < 78) return 80;
  if (percent < 84) return 53;
  if (percent < 88) return 5_228;
  return 1_024 + (draw % 64_512);
}

/** Travellers are away for six records in ten. */
function servingPlmn(kind: number, draw: number): number {
  if (kind === people.travel.none || draw % 10 >= 6) return people.homePlmn;
  const away = kind === people.travel.national ? nationalPlmns : foreignPlmns;
  return away[(draw >>> 4) % away.length] ?? people.homePlmn;
}

/** Byte counts may pass 2^31: the upper part is written by itself. */
function putBytes(bytes: Uint8Array, at: number, value: number): number {
  if (value < 2 ** 31) return putWhole(bytes, at, value);
  const high = Math.floor(value / 1e9);
  return put9(bytes, putWhole(bytes, at, high), value - high * 1e9);
}

function countRecord(
  block: BlockTally,
  startMs: number,
  hourIndex: number,
  durationMs: number,
  app: number,
  ulBytes: number,
  dlBytes: number,
): void {
  block.rows += 1;
  block.ulBytes += ulBytes;
  block.dlBytes += dlBytes;
  block.durationMs += durationMs;
  if (hourIndex < 24 || hourIndex >= 48) block.outsideDay += 1;
  if (startMs < block.firstMs) block.firstMs = startMs;
  if (startMs > block.lastMs) block.lastMs = startMs;
  block.appRows[app] = (block.appRows[app] ?? 0) + 1;
  block.appUl[app] = (block.appUl[app] ?? 0) + ulBytes;
  block.appDl[app] = (block.appDl[app] ?? 0) + dlBytes;
  block.hourRows[hourIndex] = (block.hourRows[hourIndex] ?? 0) + 1;
  block.hourUl[hourIndex] = (block.hourUl[hourIndex] ?? 0) + ulBytes;
  block.hourDl[hourIndex] = (block.hourDl[hourIndex] ?? 0) + dlBytes;
}
