/**
 * A nats-server at its limit takes nothing from anybody. Somebody else fills it to the brim in the middle of a day, so
 * that even signs of life are refused; the leader goes on in the room that is kept for it, and the day when there is more.
 */
import { reserveStream } from "../../shared/adapters/nats-names.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { pause } from "./journal-watch.ts";
import { midMap } from "./positions.ts";
import { insist, type Scenario } from "./scenario.ts";
import { cluster, type World } from "./world.ts";

const ballast = "ballast";
const reserve = reserveStream(cluster);
const MB = 1_000_000;
/** Beside what is kept free: enough for a day that is large enough to take all of that. */
const roomBytes = 112 * MB;

/** Asks JetStream itself; a refusal is its error code, 0 = done. */
async function request(world: World, subject: string, body: string | Uint8Array): Promise<number> {
  const { connection } = world.watch.link;
  const reply = await connection.request(subject, body, { timeout: 5_000 });
  const { error } = reply.json<{ error?: { err_code?: number; code?: number } }>();
  return error === undefined ? 0 : (error.err_code ?? error.code ?? -1);
}

/** Is what is kept free there, and whole? */
async function isKept({ watch }: World): Promise<boolean> {
  const reply = await watch.link.connection.request(`$JS.API.STREAM.INFO.${reserve}`, "");
  return (reply.json<{ state?: { bytes: number } }>().state?.bytes ?? 0) >= limits.reserveBytes;
}

/** What a row of the day takes in the exchange, at most. */
const rowBytes = 40;
/** What is left beside the day's rows when it begins: filled within a moment. */
const leftBytes = 12 * MB;
const block = new Uint8Array(MB / 2);

/** The ballast, with all that the day does not need: what is left to be filled takes no longer than a few tasks. */
async function makeBallast(world: World): Promise<void> {
  const config = { name: ballast, subjects: [ballast], storage: "file", discard: "new" };
  const limitless = { max_consumers: -1, max_msgs: -1, max_bytes: -1, num_replicas: 1 };
  const text = JSON.stringify({ ...config, ...limitless, retention: "limits" });
  const made = await request(world, `$JS.API.STREAM.CREATE.${ballast}`, text);
  insist(made === 0, `the ballast could not be made: NATS error ${made}`);
  const most = roomBytes - leftBytes - world.shape.rows * rowBytes;
  for (let bytes = 0; bytes < most; bytes += block.length) await request(world, ballast, block);
}

/**
 * Writes until it is refused, or the leader was: the server is over its limit then. What the leader makes free is not for
 * us. Gives the bytes written.
 */
async function fill(world: World): Promise<number> {
  let written = 0;
  while ((await isKept(world)) && (await request(world, ballast, block)) === 0) {
    written += block.length;
  }
  return written;
}

export const fullNats: Scenario = {
  name: "full-nats",
  proves: "a nats-server that takes nothing any more costs nobody the lead, and the day only time",
  plan: (draw) => {
    const fullMs = draw.between(3_000, 7_000);
    let epoch = 0;
    return {
      shape: { natsBytes: limits.reserveBytes + roomBytes },
      before: async (world) => {
        await world.waitFor("what is kept free", () => isKept(world));
        await makeBallast(world);
      },
      faults: [
        {
          ...midMap(draw.between(1, 6), 12),
          what: `nats-server filled until it takes nothing any more, for ${fullMs} ms`,
          inject: async (world, mark, struck) => {
            epoch = mark.epoch;
            const bytes = await fill(world);
            await struck();
            await world.waitFor("a refused leader to use what is kept free", async () => {
              return !(await isKept(world));
            });
            await pause(fullMs);
            await request(world, `$JS.API.STREAM.DELETE.${ballast}`, "");
            return `${bytes} bytes of ballast`;
          },
        },
      ],
      after: async (world) => {
        insist(
          world.view.epoch === epoch,
          `epoch ${epoch} led, and then ${world.view.epoch}: the leader could not write`,
        );
        await world.waitFor("what is kept free to be there again", () => isKept(world));
      },
    };
  },
};
