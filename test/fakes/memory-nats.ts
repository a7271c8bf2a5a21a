/**
 * Memory forms of the ports that live on NATS: Journal, Registry, Events. One object stands for the servers;
 * every process of a test opens its own port on it. The contract suite holds them to what the real ones do.
 */
import { fail } from "../../shared/kernel/failure.ts";
import type { Events, Journal, JournalRecord, LeaderHint, Registry } from "../../shared/ports.ts";

/** What the servers hold. */
export interface MemoryNats {
  readonly records: JournalRecord[];
  last: number;
  readonly epochs: Set<number>;
  leader: LeaderHint | undefined;
  readonly watchers: Set<(hint: LeaderHint) => void>;
  readonly events: Parameters<Events["publish"]>[0][];
}

export function memoryNats(): MemoryNats {
  return {
    records: [],
    last: 0,
    epochs: new Set(),
    leader: undefined,
    watchers: new Set(),
    events: [],
  };
}

export function memoryJournal(nats: MemoryNats): Journal {
  return {
    async append(expected, text) {
      if (expected !== nats.last) {
        throw fail("journalConflict", `expected last record ${expected}, it is ${nats.last}`);
      }
      nats.last += 1;
      nats.records.push({ sequence: nats.last, text });
      return nats.last;
    },
    async lastSequence() {
      return nats.last;
    },
    async *read(from) {
      const last = nats.last;
      for (const record of [...nats.records]) {
        if (record.sequence >= from && record.sequence <= last) yield record;
      }
    },
    async trim(sequence) {
      const kept = nats.records.filter((record) => record.sequence > sequence);
      nats.records.splice(0, nats.records.length, ...kept);
    },
  };
}

export function memoryRegistry(nats: MemoryNats): Registry {
  const mine = new Set<(hint: LeaderHint) => void>();
  return {
    async takeEpoch(epoch) {
      if (nats.epochs.has(epoch)) return false;
      nats.epochs.add(epoch);
      return true;
    },
    async highestEpoch() {
      return Math.max(0, ...nats.epochs);
    },
    async renew(hint) {
      nats.leader = hint;
      for (const heard of nats.watchers) heard(hint);
    },
    async leader() {
      return nats.leader;
    },
    async watchLeader(heard) {
      // A wrapper, so that one function may be registered twice.
      const watcher = (hint: LeaderHint) => heard(hint);
      nats.watchers.add(watcher);
      mine.add(watcher);
      if (nats.leader !== undefined) watcher(nats.leader);
      return () => void nats.watchers.delete(watcher);
    },
    async close() {
      for (const watcher of mine) nats.watchers.delete(watcher);
    },
  };
}

export function memoryEvents(nats: MemoryNats): Events {
  return { publish: (event) => void nats.events.push(event) };
}
