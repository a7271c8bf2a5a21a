/**
 * The people, devices, cells and apps of the made-up network: who is heavy, where they live and work, what they carry.
 * Depends on seed, subscriber count and skew only, so all days of one network fit together.
 */
import { AliasTable, exp, normalQuantile, zipfWeights } from "./distributions.ts";
import type { Settings, Skew } from "./options.ts";
import { mix, Random } from "./random.ts";

export const appCount = 1_200;
export const deviceCount = 5_000;
/** The home network's code (MCC 404, MNC 45). */
export const homePlmn = 40_445;

const lognormalSigma = 1.68;
const hostileExponent = 1.2;
const cellExponent = 0.6;
const machineFactor = 10_000;
const nineDigitMask = 2 ** 29 - 1;

/** Where a subscriber is during the day. */
export const travel = { none: 0, national: 1, abroad: 2 } as const;

export interface Population {
  readonly subscribers: number;
  readonly cells: number;
  /** Draws a subscriber by how much traffic they make. */
  readonly byTraffic: AliasTable;
  /** Draws an app by popularity (0 = most used). */
  readonly byPopularity: AliasTable;
  /** Draws a cell by load. */
  readonly byLoad: AliasTable;
  /** Per subscriber: device, cell at night, cell at work, travel class. */
  readonly device: Uint16Array;
  readonly homeCell: Uint32Array;
  readonly workCell: Uint32Array;
  readonly travels: Uint8Array;
}

export function makePopulation(settings: Settings): Population {
  const { subscribers } = settings;
  const random = new Random(settings.seed, subscribers, 1);
  const cells = Math.max(100, Math.round(subscribers / 40));
  const byLoad = new AliasTable(zipfWeights(cells, cellExponent));
  const byDevice = new AliasTable(zipfWeights(deviceCount, 1));
  const device = new Uint16Array(subscribers);
  const homeCell = new Uint32Array(subscribers);
  const workCell = new Uint32Array(subscribers);
  const travels = new Uint8Array(subscribers);
  for (let subscriber = 0; subscriber < subscribers; subscriber += 1) {
    device[subscriber] = byDevice.draw(random);
    homeCell[subscriber] = byLoad.draw(random);
    workCell[subscriber] = byLoad.draw(random);
    const percent = random.below(100);
    travels[subscriber] =
      percent < 10 ? travel.national : percent < 12 ? travel.abroad : travel.none;
  }
  return {
    subscribers,
    cells,
    byTraffic: new AliasTable(trafficWeights(subscribers, settings.skew)),
    byPopularity: new AliasTable(zipfWeights(appCount, 1.1)),
    byLoad,
    device,
    homeCell,
    workCell,
    travels,
  };
}

/**
 * Realistic: lognormal quantiles, so that the heaviest 20 % make 80 % whatever the size. Hostile: Zipf.
 * Some machines (meters, trackers gone wild) send 10,000 times the median; one per 200,000 people, hostile at least 10.
 */
function trafficWeights(subscribers: number, skew: Skew): Float64Array {
  const weights =
    skew === "hostile"
      ? zipfWeights(subscribers, hostileExponent)
      : Float64Array.from({ length: subscribers }, (_, index) =>
          exp(lognormalSigma * normalQuantile((index + 0.5) / subscribers)),
        );
  const median = weights[subscribers >> 1] ?? 1;
  const machines = Math.min(50, Math.floor(subscribers / 200_000));
  const last = subscribers - Math.max(machines, skew === "hostile" ? 10 : 0);
  return weights.map((weight, index) => (index >= last ? median * machineFactor : weight));
}

/** Last nine digits of a subscriber's number; the first three are 919. One to one below 2^29 subscribers. */
export function msisdnDigits(subscriber: number): number {
  return (Math.imul(subscriber, 0x2c1b3c6d) + 0x0b4711) & nineDigitMask;
}

/** Last nine digits of the SIM's number. */
export function imsiDigits(subscriber: number): number {
  return (Math.imul(subscriber, 0x297a2d39) + 0x0c0ffe) & nineDigitMask;
}

/** One subscriber in a thousand changes the SIM at noon. */
export function swapsSim(subscriber: number): boolean {
  return subscriber % 1_000 === 7;
}

/** Popularity rank → app id, 1 … 1,200. */
export function appId(rank: number): number {
  return 1 + ((rank * 7_919) % appCount);
}

/** Device rank → the type code that starts its IMEI, 8 digits. */
export function tac8(rank: number): number {
  return 35_000_000 + ((rank * 7_919) % deviceCount) * 997;
}

/** Two devices in five can use NR. */
export function is5g(rank: number): boolean {
  return rank % 5 < 2;
}

/** Load rank → cell identity: site number × 256 + sector, as in LTE. */
export function cellIdentity(rank: number): number {
  return (100_000 + ((rank / 3) | 0)) * 256 + 1 + (rank % 3);
}

/** A subscriber's private address of the day, in 10.0.0.0/8. */
export function privateAddress(subscriber: number): number {
  return 0x0a000000 | (mix(subscriber) & 0xffffff);
}

/** The public address that 128 subscribers share, in 49.32.0.0/13. */
export function publicAddress(subscriber: number): number {
  return 0x31200000 | (mix((subscriber >> 7) + 77) & 0x7ffff);
}
