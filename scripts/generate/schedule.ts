/**
 * Which files a day has, how many lines each holds, and which of them come late, twice or never.
 * Pure: the same settings give the same list.
 */
import type { Settings } from "./options.ts";
import { mix, Random } from "./random.ts";

export type Fate = "delivered" | "twice" | "late" | "missing";

export interface PlannedFile {
  readonly gateway: number;
  /** Number of the file's period within the day. */
  readonly period: number;
  readonly lines: number;
  /** `gw=1/2026-01-15T0015.csv`, relative to the day's folder. */
  readonly name: string;
  readonly fate: Fate;
}

/** Traffic by UTC hour: lowest at 3 to 5, highest at 20 to 22, about ten to one. */
const hourWeights = [
  30, 20, 14, 11, 10, 13, 22, 36, 50, 58, 62, 65, 68, 66, 63, 62, 65, 72, 82, 93, 102, 104, 86, 54,
];

/** Files in gateway, then time order; their lines add up to `settings.rows`. */
export function planFiles(settings: Settings): PlannedFile[] {
  const perDay = 1440 / settings.periodMinutes;
  const weights: number[] = [];
  for (let gateway = 1; gateway <= settings.gateways; gateway += 1) {
    // Gateways differ by up to a third.
    const size = 3 + (mix(gateway) & 255) / 255;
    for (let period = 0; period < perDay; period += 1) {
      weights.push(size * periodWeight(period, settings.periodMinutes));
    }
  }
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const fates = dealFates(settings, weights.length);
  let reached = 0;
  let given = 0;
  return weights.map((weight, index) => {
    reached += weight;
    const isLast = index === weights.length - 1;
    const upTo = isLast ? settings.rows : Math.floor((settings.rows * reached) / total);
    const lines = upTo - given;
    given = upTo;
    const gateway = 1 + Math.floor(index / perDay);
    const period = index % perDay;
    const name = `gw=${gateway}/${settings.day}T${clock(period * settings.periodMinutes)}`;
    const suffix = settings.gzip ? ".csv.gz" : ".csv";
    return { gateway, period, lines, name: name + suffix, fate: fates[index] ?? "delivered" };
  });
}

function periodWeight(period: number, minutes: number): number {
  let sum = 0;
  for (let minute = period * minutes; minute < (period + 1) * minutes; minute += 15) {
    sum += hourWeights[Math.floor(minute / 60)] ?? 0;
  }
  return sum;
}

function dealFates(settings: Settings, files: number): Fate[] {
  const random = new Random(settings.seed, settings.dayStartMs, 2);
  const order = Array.from({ length: files }, (_, index) => index);
  for (let left = files; left > 1; left -= 1) {
    const other = random.below(left);
    const swap = order[left - 1] ?? 0;
    order[left - 1] = order[other] ?? 0;
    order[other] = swap;
  }
  const fates = new Array<Fate>(files).fill("delivered");
  const deal = (count: number, fate: Fate) => {
    for (const index of order.splice(0, count)) fates[index] = fate;
  };
  deal(settings.missingFiles, "missing");
  deal(settings.lateFiles, "late");
  deal(settings.duplicateFiles, "twice");
  return fates;
}

function clock(minute: number): string {
  const two = (value: number) => String(value).padStart(2, "0");
  return two(Math.floor(minute / 60)) + two(minute % 60);
}
