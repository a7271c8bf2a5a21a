/**
 * Ten kills of the leader in one run: four while files are read, four while groups are reduced, two in the commit. Each
 * is checked by the journal to be what it is called. A killed coordinator is started again at once, so that there
 * always is a standby; a worker is held in the middle of its attempt, so that there always is one to adopt.
 */
import { followEvents } from "../../shared/adapters/nats-follow.ts";
import { openStore } from "../../shared/adapters/store.ts";
import { type Held, holdWorker } from "./hold.ts";
import { stoppedLeader } from "./leader.ts";
import { adoptedAttempts, nothingDoneAgain, type Phase, phaseOf, running } from "./phases.ts";
import { finished, isDone, planned } from "./positions.ts";
import {
  type Fault,
  few,
  insist,
  type Mark,
  movesUnderNewLeader,
  type Scenario,
} from "./scenario.ts";
import type { World } from "./world.ts";

/** What a takeover may take, as promised. */
const takeoverMsMax = 5_000;

/** Shares of a stage's tasks that are done at the earliest when each kill comes; the seed adds up to a tenth. */
const earliest = [0, 0.2, 0.4, 0.6];

/** What the plan's parts tell each other. */
interface Story {
  readonly held: { readonly attempt: string; readonly kind: "scan" | "reduce" }[];
  readonly takeovers: { readonly phase: Phase; readonly ms: number }[];
}

export const tenKills: Scenario = {
  name: "kill-leader-ten-times",
  proves: "ten leaders of one run are killed, in its maps, reduces and commit: it commits once",
  plan: (draw) => {
    const story: Story = { held: [], takeovers: [] };
    const point = draw.pick([`link:${draw.between(1, 8)}`, "manifest:1", "view:1"]);
    const commitKills = 2;
    const kills = 2 * earliest.length + commitKills;
    return {
      // A leader that comes to the commit stops there by itself, but for the one after the last kill.
      shape: { files: 48, groups: 16, stops: Array(kills).fill(`before-${point}`) },
      faults: [
        ...earliest.map((share) => workKill("map", share + draw.between(1, 10) / 100, story)),
        ...earliest.map((share) => workKill("reduce", share + draw.between(1, 10) / 100, story)),
        ...Array.from({ length: commitKills }, () => commitKill(point, story)),
      ],
      after: (world) => lookBack(world, story, kills),
    };
  },
};

function workKill(phase: "map" | "reduce", share: number, story: Story): Fault {
  const kind = phase === "map" ? "scan" : "reduce";
  let held: Held | undefined;
  return {
    when: `mid-${phase}, ${Math.round(share * 100)} % of its tasks done`,
    due: (view) => phaseOf(view) === phase && isDone(view, kind, share),
    what: "kill -9 of the leader",
    prepare: async (world) => {
      held = await holdWorker(world, (view) => running(view, kind).toReversed());
    },
    inject: async (world, mark) => {
      const note = held === undefined ? "" : ", one of them in a held worker";
      const said = await killAndReplace(world, mark, phase, story, note);
      if (held === undefined) return said;
      story.held.push({ attempt: held.attempt, kind });
      await untilAdopted(world, held);
      process.kill(held.pid, "SIGCONT");
      return said;
    },
    recovered: movesUnderNewLeader,
  };
}

function commitKill(point: string, story: Story): Fault {
  return {
    when: `mid-commit, exactly before ${point}`,
    due: (view, world) => phaseOf(view) === "commit" && stoppedLeader(world),
    what: "kill -9 of the leader",
    inject: (world, mark) => killAndReplace(world, mark, "commit", story),
    // The next leader may stop before its first fact about the run.
    recovered: (seen, mark) => seen.epoch > mark.epoch,
  };
}

/**
 * The killed process can save nothing more: the journal shows where the run was when it died. The takeover is over when
 * the next leader has saved that it leads and, where executors have work, every one of them is with it.
 */
async function killAndReplace(
  world: World,
  { epoch }: Mark,
  phase: Phase,
  story: Story,
  note = "",
): Promise<string> {
  const { id, pid } = world.leader();
  const joined = followJoining(world);
  try {
    const killedAt = performance.now();
    await world.kill(pid);
    await world.watch.refresh();
    const said = whereItDied(world, id, epoch, phase) + note;
    const [takenOverAt] = await Promise.all([
      takenOver(world, epoch, phase === "commit" ? undefined : joined.at),
      world.cluster.restartCoordinator(id),
    ]);
    const ms = Math.round(takenOverAt - killedAt);
    story.takeovers.push({ phase, ms });
    return `${said}; taken over in ${(ms / 1_000).toFixed(2)} s`;
  } finally {
    joined.stop();
  }
}

/** When the next leader led, and every executor was with it. */
async function takenOver(
  world: World,
  epoch: number,
  joinedAt: ReadonlyMap<string, number> | undefined,
): Promise<number> {
  await world.wait("another leader", (view) => view.epoch > epoch);
  const ledAt = performance.now();
  if (joinedAt === undefined) return ledAt;
  const { length } = world.cluster.executors;
  await world.wait("every executor to be with it", () => joinedAt.size >= length);
  return Math.max(ledAt, ...joinedAt.values());
}

function whereItDied({ view }: World, id: string, epoch: number, phase: Phase): string {
  insist(view.epoch === epoch, `epoch ${view.epoch} leads, ${id} led epoch ${epoch}`);
  const found = phaseOf(view);
  insist(found === phase, `${id} was killed mid-${found ?? "nothing"}, not mid-${phase}`);
  const tasks = (["scan", "reduce"] as const).map(
    (kind) => `${finished(view, kind)} of ${planned(view, kind)} ${kind}s done`,
  );
  return `${id}; ${tasks.join(", ")}, ${view.durable.running.size} attempts ran`;
}

/** Which executors have joined a leader from now on, and when. */
function followJoining(world: World): { readonly at: Map<string, number>; stop: () => void } {
  const at = new Map<string, number>();
  const over = new AbortController();
  const follow = async () => {
    const events = followEvents(world.watch.link, { job: "_cluster" }, over.signal);
    for await (const { subject, text } of events) {
      if (!subject.endsWith(".executor.joined")) continue;
      const { data } = JSON.parse(text) as { data: { executor: string } };
      at.set(data.executor, performance.now());
    }
  };
  // Should it break, nobody is seen to join, and the wait for that says so.
  follow().catch(() => undefined);
  return { at, stop: () => over.abort() };
}

/** The executor has told the new leader of its workers, and its attempt was neither given up nor reported. */
async function untilAdopted(world: World, { attempt, executor, pid }: Held): Promise<void> {
  await world.waitFor(`${executor} to be with the new leader`, async () => {
    const all = await world.ask((client) => client.executors());
    const found = all.find(({ executorId }) => executorId === executor);
    return found?.workerPids.includes(pid) ?? false;
  });
  await world.watch.refresh();
  insist(world.view.durable.running.has(attempt), `${attempt} was not adopted`);
}

async function lookBack(world: World, { held, takeovers }: Story, kills: number): Promise<void> {
  const { seen } = world.view;
  insist(takeovers.length === kills, `${takeovers.length} leaders were killed, not ${kills}`);
  const slow = takeovers.filter(({ ms }) => ms >= takeoverMsMax);
  const texts = slow.map(({ phase, ms }) => `mid-${phase} ${ms} ms`);
  insist(slow.length === 0, `takeovers of ${takeoverMsMax} ms or more: ${few(texts)}`);
  await nothingDoneAgain(world);
  const commits = seen.filter(({ fact }) => fact.kind === "runCommitted").length;
  const manifests = await (await openStore(world.root)).readManifests();
  const names = manifests.map(({ run, state }) => `${run} ${state}`);
  insist(commits === 1 && names.length === 1, `${commits} commits, manifests: ${few(names)}`);
  const won = adoptedAttempts(seen);
  for (const kind of ["scan", "reduce"] as const) {
    const ofKind = held.filter((one) => one.kind === kind);
    const kept = ofKind.filter((one) => won.has(one.attempt)).length;
    insist(kept > 0, `of ${ofKind.length} held ${kind} attempts none won under a later leader`);
  }
}
