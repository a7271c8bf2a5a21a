/**
 * Rows stay out of the room that is kept for journal and registry. Once that is given away (nats-reserve.ts) the server
 * takes from anybody again, also from attempts that were only reading when it was full: they would fill it in a moment,
 * and nobody could lead. So whoever writes rows looks before it does, and every so often while it does.
 */
import { jetstreamManager } from "@nats-io/jetstream";
import { clusterOfStream } from "../kernel/exchange-names.ts";
import { fail } from "../kernel/failure.ts";
import { limits } from "../kernel/limits.ts";
import type { NatsLink } from "./nats.ts";
import { reserveStream } from "./nats-names.ts";

export interface RoomLook {
  /** May so many bytes of rows be written to this stream? `exchangeFull`: not before there is more room. */
  pass(stream: string, bytes: number): Promise<void>;
}

/** One for each attempt: its first message is always looked for. */
export function createRoomLook(link: NatsLink): RoomLook {
  let until = Number.NEGATIVE_INFINITY;
  let left = 0;
  return {
    async pass(stream, bytes) {
      if (performance.now() > until || bytes > left) {
        if (await isGivenAway(link, stream)) throw noRoom(stream);
        until = performance.now() + limits.roomLookEveryMs;
        left = limits.roomLookEveryBytes;
      }
      left -= bytes;
    },
  };
}

/**
 * Was it whole, and is not now? A server that is too small for it never had it, one that was just started has not yet: then
 * nothing is said of room. What was emptied begins at a later message than the first.
 */
async function isGivenAway(link: NatsLink, stream: string): Promise<boolean> {
  const cluster = clusterOfStream(stream);
  if (cluster === undefined) return false;
  try {
    const options = { checkAPI: false, timeout: limits.publishAckTimeoutMs / 5 };
    const { streams } = await jetstreamManager(link.connection, options);
    const { state } = await streams.info(reserveStream(cluster));
    return state.bytes < limits.reserveBytes && state.first_seq > 1;
  } catch {
    // There is none, or nobody answers: what is published is told so by itself.
    return false;
  }
}

function noRoom(stream: string) {
  const why = "NATS has no room but what is kept for journal and registry; it is tried again";
  return fail("exchangeFull", `could not publish to the exchange stream ${stream}: ${why}`, {
    stream,
  });
}
