/**
 * The small tables beside the records: apps, cells, devices, subscribers; CSV with a header, no comma in any field.
 * One subscriber in 997 is left out: visitors who are in no customer register, so that outer joins matter.
 */
import { mkdir, rename, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Settings } from "./options.ts";
import * as people from "./population.ts";
import { mix } from "./random.ts";

const categories =
  "video social messaging web ads music games maps mail cloud shopping news sports banking " +
  "health education travel food dating voice security updates iot vpn other";
const vendors = "Aster Borealis Cindra Dunlin Ember Fathom Garnet Heron Iris Juniper";
const regions = "north north-east east south-east south south-west west north-west central metro";

/** Writes `dims/*.csv` under the root, each in one step. */
export async function writeDimensions(
  settings: Settings,
  population: people.Population,
): Promise<void> {
  const folder = path.join(settings.root, "dims");
  await mkdir(folder, { recursive: true });
  const tables = {
    apps: appLines(),
    cells: cellLines(population.cells),
    devices: deviceLines(),
    subscribers: subscriberLines(population.subscribers),
  };
  for (const [name, lines] of Object.entries(tables)) {
    const target = path.join(folder, `${name}.csv`);
    await writeFile(`${target}.part`, textBlocks(lines));
    await rename(`${target}.part`, target);
  }
}

/** Lines joined to texts of some size: one write per line would be slow, one text may be too long. */
function* textBlocks(lines: Iterable<string>): Generator<string> {
  let block: string[] = [];
  for (const line of lines) {
    block.push(line);
    if (block.length === 10_000) {
      yield `${block.join("\n")}\n`;
      block = [];
    }
  }
  if (block.length > 0) yield `${block.join("\n")}\n`;
}

function* appLines(): Generator<string> {
  yield "app_id,app,category";
  const words = categories.split(" ");
  for (let rank = 0; rank < people.appCount; rank += 1) {
    const app = people.appId(rank);
    const category = words[rank % words.length];
    yield `${app},${category}-${app},${category}`;
  }
}

function* cellLines(cells: number): Generator<string> {
  yield "cell,site,region,technology,latitude,longitude";
  for (let rank = 0; rank < cells; rank += 1) {
    const site = Math.floor(rank / 3);
    const place = mix(site + 5);
    const latitude = degrees(80_000 + (place & 0xffff) * 4);
    const longitude = degrees(680_000 + (place >>> 16) * 4);
    const technology = rank % 3 === 0 ? "NR" : "LTE";
    const region = pick(regions, place);
    yield `${people.cellIdentity(rank)},site-${site},${region},${technology},${latitude},${longitude}`;
  }
}

function* deviceLines(): Generator<string> {
  yield "tac8,vendor,model,os,is_5g";
  for (let rank = 0; rank < people.deviceCount; rank += 1) {
    const vendor = pick(vendors, mix(rank + 3));
    const os = mix(rank) >>> 0 < 2 ** 30 ? "ios" : "android";
    // Several type codes are one model, as in life.
    yield `${people.tac8(rank)},${vendor},${vendor} ${rank >> 2},${os},${people.is5g(rank)}`;
  }
}

function* subscriberLines(subscribers: number): Generator<string> {
  yield "msisdn,plan,prepaid,home_region,customer_type";
  for (let subscriber = 0; subscriber < subscribers; subscriber += 1) {
    if (subscriber % 997 === 11) continue;
    const traits = mix(subscriber + 13) >>> 0;
    const number = `919${String(people.msisdnDigits(subscriber)).padStart(9, "0")}`;
    const prepaid = traits % 10 < 7;
    const plan = prepaid ? ["day", "week", "month"][(traits >>> 8) % 3] : "contract";
    const type = (traits >>> 12) % 100 < 8 ? "business" : "consumer";
    yield `${number},${plan},${prepaid},${pick(regions, traits)},${type}`;
  }
}

function pick(words: string, bits: number): string {
  const list = words.split(" ");
  return list[(bits >>> 3) % list.length] ?? "other";
}

/** Ten-thousandths of a degree as text. */
function degrees(value: number): string {
  return `${Math.floor(value / 10_000)}.${String(value % 10_000).padStart(4, "0")}`;
}
