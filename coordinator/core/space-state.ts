/** What the leader knows of room for as long as it leads (space.ts). */
import type { StorageRoom } from "../../shared/kernel/status.ts";
import type { Instant } from "../../shared/kernel/time.ts";

/** Of exchange and staging. */
export interface Space {
  nextLookAt: Instant;
  /** The last look found more than the budget, or a task found no room: backlog has to wait. */
  isOver: boolean;
  /** A task found no room since the last look. */
  isFull: boolean;
  /** NATS may have no room for anybody: until the next look nothing starts that writes rows. */
  isTight: boolean;
  /** Of the exchange, what can't be evicted: live runs stand on it. Absent before the first look. */
  neededBytes?: number;
  /** Of the storage. Absent before the first look. */
  room?: StorageRoom;
}

export function emptySpace(): Space {
  return { nextLookAt: 0, isOver: false, isFull: false, isTight: false };
}
