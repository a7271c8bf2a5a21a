/**
 * The leader that stops itself (DAYMILL_CHAOS_STOP), what it leaves, and its waking up as a zombie: by then another
 * leader has committed a newer revision, and nothing that the zombie tries may show anywhere.
 */
import { lstatSync, readdirSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import type { CoordinatorHandle } from "../../client/local-cluster.ts";
import { untilClean } from "./after-checks.ts";
import { pause } from "./journal-watch.ts";
import { isStopped } from "./processes.ts";
import { few, insist } from "./scenario.ts";
import type { World } from "./world.ts";

/** After it was woken a zombie has this long to do harm. */
const watchZombieMs = 3_000;

/** The first coordinator leads by now; from here on somebody can take over from it. */
export async function addStandby(world: World): Promise<void> {
  await world.cluster.addCoordinator();
}

/** Has the coordinator that saved the last `led` stopped itself? */
export function stoppedLeader(world: World): boolean {
  return isStopped(world.leader().pid);
}

/** Commits a newer revision under the new leader, wakes the old one, and looks whether it changed anything. */
export async function wakeZombie(
  world: World,
  zombie: { readonly handle: CoordinatorHandle; readonly epoch: number },
): Promise<void> {
  const { handle, epoch } = zombie;
  await world.wait("another leader", (view) => view.epoch > epoch);
  const newer = await world.submit({ rerun: true });
  await world.runEnds(newer, "committed");
  const left: string[] = [];
  await untilClean(world, left);
  insist(left.length === 0, `before the zombie woke: ${few(left)}`);
  insist(isStopped(handle.pid), `${handle.id} was not paused any more`);
  const before = storageState(world.root);
  const led = world.view.epoch;
  world.cluster.kill(handle.pid, "SIGCONT");
  await world.waitFor(`${handle.id} to be a standby`, async () => {
    const status = await world.ask((client) => client.status(handle.address));
    return status.role === "standby";
  });
  await pause(watchZombieMs);
  await world.watch.refresh();
  const changed = difference(before, storageState(world.root));
  insist(changed.length === 0, `the zombie changed ${few(changed)}`);
  insist(world.view.epoch === led, `epoch ${world.view.epoch} leads, it was ${led}`);
  await insistNobodyElseSaved(world);
}

/** A record does not say whose it is; but a leader knows of all that it has saved itself. */
async function insistNobodyElseSaved(world: World): Promise<void> {
  const { sequence } = world.view;
  const { stamp } = await world.ask((client) => client.status(world.leader().address));
  const known = stamp?.journalSequence ?? 0;
  const text = `the journal goes to record ${sequence}, its leader knows of ${known}`;
  insist(known >= sequence, `the zombie has saved something: ${text}`);
}

/** Every path under the storage root but the input, with what would show a change. */
export function storageState(root: string): ReadonlyMap<string, string> {
  const state = new Map<string, string>();
  const visit = (relative: string) => {
    for (const name of readdirSync(join(root, relative)).sort()) {
      const path = relative === "" ? name : `${relative}/${name}`;
      if (["raw", "dims", "late"].includes(path)) continue;
      const found = lstatSync(join(root, path));
      if (found.isSymbolicLink()) state.set(path, `link to ${readlinkSync(join(root, path))}`);
      else if (found.isDirectory()) {
        state.set(path, "folder");
        visit(path);
      } else state.set(path, `${found.size} bytes, inode ${found.ino}, ${found.mtimeMs}`);
    }
  };
  visit("");
  return state;
}

function difference(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): readonly string[] {
  const paths = new Set([...before.keys(), ...after.keys()]);
  return [...paths]
    .filter((path) => before.get(path) !== after.get(path))
    .map((path) => `${path} (${before.get(path) ?? "not there"} → ${after.get(path) ?? "gone"})`);
}
