/**
 * Coordinators' calls to NATS and storage: they take time, may not happen, may happen without an answer, late, or with
 * an error although they did. A call to NATS has an answer within its timeout; one to storage may hang for as long as
 * storage is away, as a mounted file system does.
 */
import type { Answer, Ask } from "../../coordinator/core/protocol.ts";
import type { FailureCode } from "../../shared/kernel/failure.ts";
import { limits } from "../../shared/kernel/limits.ts";
import { failed } from "./cluster-memory.ts";
import type { FaultKind, Faults } from "./faults.ts";
import { type Network, nats, storage } from "./network.ts";
import type { SimMemory } from "./sim-memory.ts";
import type { World } from "./world.ts";

type Place = typeof nats | typeof storage | "local";

const places: Readonly<Record<Ask["kind"], Place>> = {
  readFences: nats,
  takeEpoch: nats,
  claimStorage: storage,
  readStorage: storage,
  renew: nats,
  readJournal: nats,
  append: nats,
  trimJournal: nats,
  saveSnapshot: storage,
  planJob: "local",
  checkViews: storage,
  saveJob: storage,
  saveRequest: storage,
  dropRequest: storage,
  listInputs: storage,
  ensureStreams: nats,
  dropStreams: nats,
  readUsage: nats,
  readCompletions: nats,
  listStaging: storage,
  listStaged: storage,
  listWriters: nats,
  purgeStreams: nats,
  readRevision: storage,
  arrange: storage,
  commit: storage,
  publish: storage,
  release: storage,
  rebuildViews: storage,
  dropStaging: storage,
  listRevisions: storage,
  dropRevision: storage,
  planCalendar: "local",
  lookAtDay: storage,
  saveDesk: storage,
  saveAlerts: storage,
  sendNotice: "local",
  sendHeartbeat: "local",
};

/** Asks that only read storage: the ways to fail of writes are not theirs. */
const reads: ReadonlySet<Ask["kind"]> = new Set([
  "readStorage",
  "checkViews",
  "listInputs",
  "listStaging",
  "listStaged",
  "listRevisions",
  "lookAtDay",
]);

const natsFaults: readonly FaultKind[] = [
  "requestLost",
  "answerLost",
  "requestLate",
  "answerParked",
  "callSlow",
];
const readFaults: readonly FaultKind[] = [
  "storageDenied",
  "storageFailed",
  "answerParked",
  "callSlow",
];
const writeFaults: readonly FaultKind[] = [
  ...readFaults,
  "storageFull",
  "storageReadOnly",
  "storageAmbiguous",
];
const storageCodes: Partial<Record<FaultKind, FailureCode>> = {
  storageFull: "storageFull",
  storageReadOnly: "storageReadOnly",
  storageDenied: "storageDenied",
  storageFailed: "storageFailed",
  storageAmbiguous: "storageFailed",
};

/** How long storage is waited for before a call to it fails. */
const storagePatienceMs = 6_000;

export interface Caller {
  readonly coordinator: string;
  readonly address: string;
}

/** Takes the answer; a parked one is kept until the caller's role has changed, or for long. */
export type Tell = (answer: Answer, isParked: boolean) => void;

export class Calls {
  readonly #world: World;
  readonly #network: Network;
  readonly #faults: Faults;
  readonly #memory: SimMemory;

  constructor(world: World, network: Network, faults: Faults, memory: SimMemory) {
    this.#world = world;
    this.#network = network;
    this.#faults = faults;
    this.#memory = memory;
  }

  call(ask: Ask, from: Caller, tell: Tell): void {
    const place = places[ask.kind];
    const clearAt = this.#network.clearAt(from.coordinator, place);
    const waitMs = clearAt - this.#world.at;
    if (waitMs > 0 && place === nats) this.#unheard(ask, from, tell, waitMs);
    else if (waitMs > storagePatienceMs) {
      const why = failed("storageFailed", `${ask.kind}: storage does not answer`);
      this.#later(storagePatienceMs, () => tell(why, false));
    } else this.#later(waitMs, () => this.#heard(ask, from, tell, place));
  }

  /** NATS can't be reached: the request is lost, or waits in the client and leaves when it is connected again. */
  #unheard(ask: Ask, from: Caller, tell: Tell, waitMs: number): void {
    this.#later(limits.natsRequestMs, () => tell(noAnswer(ask), false));
    if (this.#world.chance() >= 0.3) return;
    this.#later(waitMs + this.#world.between(1, 50), () => {
      if (this.#faults.isOn) this.#faults.count("requestLate");
      this.#memory.answer(ask, from);
    });
  }

  #heard(ask: Ask, from: Caller, tell: Tell, place: Place): void {
    const fault = this.#faultOf(ask, place);
    const memory = this.#memory;
    const [goMs, comeMs] = [this.#shortly(), this.#shortly()];
    if (fault === undefined) {
      this.#later(goMs, () => {
        const answer = memory.answer(ask, from);
        this.#later(comeMs, () => tell(answer, false));
      });
      return;
    }
    const code = storageCodes[fault];
    if (code !== undefined) {
      const why = failed(code, `${ask.kind}: ${fault}`);
      this.#later(goMs, () => {
        const answer = fault === "storageAmbiguous" ? memory.answer(ask, from) : undefined;
        // A fence is a fence, also where the call failed afterwards.
        const isFenced = answer?.kind === "failed";
        this.#later(comeMs, () => tell(isFenced ? answer : why, false));
      });
      return;
    }
    this.#strange(ask, from, tell, fault, place);
  }

  #strange(ask: Ask, from: Caller, tell: Tell, fault: FaultKind, place: Place): void {
    const world = this.#world;
    const memory = this.#memory;
    if (fault === "callSlow") {
      const slowMs = place === nats ? limits.natsRequestMs - 100 : 9_000;
      this.#later(world.between(0, slowMs), () => {
        const answer = memory.answer(ask, from);
        this.#later(this.#shortly(), () => tell(answer, false));
      });
    } else if (fault === "answerParked") {
      this.#later(this.#shortly(), () => tell(memory.answer(ask, from), true));
    } else if (fault === "appendRetried") {
      this.#later(this.#shortly(), () => {
        memory.answer(ask, from);
        this.#later(world.between(1, 900), () => {
          const second = memory.answer(ask, from);
          this.#later(this.#shortly(), () => tell(second, false));
        });
      });
    } else {
      this.#later(limits.natsRequestMs, () => tell(noAnswer(ask), false));
      if (fault === "answerLost") this.#later(this.#shortly(), () => memory.answer(ask, from));
      if (fault === "requestLate") {
        const lateMs = limits.natsRequestMs + world.between(1, 6_000);
        this.#later(lateMs, () => memory.answer(ask, from));
      }
    }
  }

  #faultOf(ask: Ask, place: Place): FaultKind | undefined {
    const faults = this.#faults;
    if (!faults.isOn || this.#world.chance() >= faults.badCalls) return undefined;
    const kinds = faultsOf(ask, place);
    const kind = this.#world.pick(kinds) ?? "callSlow";
    if (faults.strengthOf(kind) === 0) return undefined;
    faults.count(kind);
    return kind;
  }

  #shortly(): number {
    return this.#world.between(1, 15);
  }

  #later(ms: number, run: () => void): void {
    this.#world.after(ms, run);
  }
}

function faultsOf(ask: Ask, place: Place): readonly FaultKind[] {
  if (ask.kind === "append") return [...natsFaults, "appendRetried"];
  if (place === nats) return natsFaults;
  if (place === "local") return ["callSlow", "answerParked"];
  return reads.has(ask.kind) ? readFaults : writeFaults;
}

function noAnswer(ask: Ask): Answer {
  return failed("unavailable", `NATS did not answer to ${ask.kind}`);
}
