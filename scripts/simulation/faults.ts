/**
 * What goes wrong, and how often: one mix per seed, so that some histories are quiet and each sees other troubles
 * together. Each kind counts how often it struck: a test of a fault that never happened proves nothing.
 */
import type { World } from "./world.ts";

/** Each kind, and what it is. */
export const faultKinds = {
  // processes
  coordinatorKilled: "a coordinator dies; the far ends of its links are told",
  coordinatorVanished: "a coordinator's machine is gone without a word to anybody",
  coordinatorKilledMidStep: "a coordinator dies between two effects of one step",
  coordinatorPaused: "a coordinator stands still and wakes up as a zombie",
  coordinatorStopped: "a coordinator is told to end",
  executorKilled: "an executor dies; its links are closed by the system",
  executorVanished: "an executor's machine is gone without a word",
  executorKilledMidStep: "an executor dies between two effects of one step",
  executorPaused: "an executor's supervisor stands still, its workers go on",
  executorDrained: "an executor is told to leave in good order",
  executorStopped: "an executor is told to leave at once",
  executorOutdated: "an executor starts with another engine version",
  executorSlow: "an executor needs many times as long for everything",
  workerCrashed: "a worker process dies while it works",
  workerHung: "a worker does not listen to interrupts",
  workerNotStarted: "a worker process ends, or hangs, before it is ready",
  workerFailed: "an attempt fails with an error of the engine",
  orphanWrote: "a worker of a dead executor goes on for a while",
  // the network
  natsCutFromCoordinator: "a coordinator and NATS can't reach each other",
  storageCutFromCoordinator: "a coordinator and storage can't reach each other",
  executorCutFromCoordinator: "an executor and a coordinator can't reach each other",
  natsCutFromExecutor: "an executor and NATS can't reach each other",
  storageCutFromExecutor: "an executor and storage can't reach each other",
  natsDown: "nobody reaches NATS",
  storageDown: "nobody reaches storage",
  linkBroken: "an attach stream breaks",
  messageLost: "a message on an attach stream is lost, which breaks it",
  hintLost: "a sign of life of the leader does not arrive",
  hintDelayed: "a sign of life arrives seconds late, after newer ones",
  hintDuplicated: "a sign of life arrives twice",
  watchSilent: "the registry's watchers hear nothing of a leader that goes on renewing",
  submitDuplicated: "a submit arrives twice, perhaps at two coordinators",
  submitUnheard: "the answer to a submit is lost; it is sent again",
  reportDuplicated: "an executor's report arrives twice",
  publishDuplicated: "an exchange message is stored twice",
  // answers of ports
  requestLost: "a request to NATS never arrives",
  answerLost: "a request to NATS is carried out and nobody says so",
  requestLate: "a request to NATS is carried out after its failure was told",
  appendRetried: "an append is sent twice by the client: the second one conflicts with the first",
  answerParked: "an answer comes when the role that asked has changed",
  callSlow: "a call to a port takes seconds",
  storageFull: "storage has no room",
  storageReadOnly: "storage can only be read",
  storageDenied: "storage refuses a permission",
  storageFailed: "a call to storage fails before it did anything",
  storageAmbiguous: "a call to storage did its work and fails",
  // what is lost
  journalLost: "NATS lost the journal",
  journalHeadLost: "NATS lost the first part of the journal",
  journalTailLost: "NATS lost the last records that it had acknowledged",
  registryLost: "NATS lost the registry",
  natsLost: "NATS lost everything",
  exchangeLost: "NATS lost all exchange streams",
  streamLost: "NATS lost one exchange stream",
  attemptLost: "NATS lost what one attempt wrote to a stream",
  streamUnreachable: "one exchange stream can't be reached for a while",
  streamGone: "one exchange stream can't be reached any more: its machine is gone",
  exchangeShort: "the exchange is over its budget for a while",
  exchangeFull: "an attempt finds no room in the exchange",
  natsFull: "NATS takes no rows: journal and registry go on in what is kept free for them",
  natsFullForAll: "NATS takes nothing from anybody: what was kept free is gone, too",
  // the input and its users
  fileLate: "an input file comes after the day was planned",
  fileSentTwice: "an input file comes once more, under another name",
  fileChanged: "an input file is replaced by another version",
  fileGone: "an input file is taken away",
  runCancelled: "somebody cancels a run",
  jobEdited: "the job is submitted in another form",
} as const;

export type FaultKind = keyof typeof faultKinds;
export type Counts = Record<FaultKind, number>;

export function noCounts(): Counts {
  const kinds = Object.keys(faultKinds) as FaultKind[];
  return Object.fromEntries(kinds.map((kind) => [kind, 0])) as Counts;
}

export class Faults {
  isOn = true;
  readonly counts: Counts = noCounts();
  /** How often calls to ports go wrong in this seed, 0 … 1. */
  readonly badCalls: number;
  /** How often workers and their attempts go wrong in this seed, 0 … 1. */
  readonly badWork: number;
  readonly #world: World;
  readonly #strength = new Map<FaultKind, number>();

  constructor(world: World) {
    this.#world = world;
    this.badCalls = world.pick([0, 0.005, 0.02, 0.06]) ?? 0;
    this.badWork = world.pick([0, 0.01, 0.03, 0.1]) ?? 0;
    for (const kind of Object.keys(faultKinds) as FaultKind[]) {
      this.#strength.set(kind, world.pick([0, 1, 1, 1, 2]) ?? 1);
    }
  }

  /** How much of this kind the seed has: 0 none, 1 the usual, 2 twice as much. */
  strengthOf(kind: FaultKind): number {
    return this.#strength.get(kind) ?? 1;
  }

  /** Strikes with the given probability, times the seed's strength of the kind. */
  strikes(probability: number, kind: FaultKind): boolean {
    if (!this.isOn || probability === 0) return false;
    if (this.#world.chance() >= probability * this.strengthOf(kind)) return false;
    this.counts[kind]++;
    return true;
  }

  /** For a fault that is certain by now. */
  count(kind: FaultKind): void {
    this.counts[kind]++;
  }
}
