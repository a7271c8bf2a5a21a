/**
 * A process of the simulation that takes one message at a time: it ticks, can be killed and started again, and can be
 * paused: then its sockets are not read for a while, and it wakes up a zombie. As with the real actor a message that is
 * posted is taken at once; what waits during a pause has not reached the shell yet (`reach`).
 * Ticks that provably change nothing are left out: `dueAt` says from when on the next one could (a test compares with
 * histories that have all).
 */
import type { World } from "./world.ts";

export abstract class SimActor<Message> {
  readonly name: string;
  /** Grows with each death: what was meant for an earlier life is dropped. */
  life = 1;
  isUp = true;
  protected readonly world: World;
  readonly #tickEveryMs: number;
  readonly #phaseMs: number;
  readonly #hasAllTicks: boolean;
  #tickAt = Number.POSITIVE_INFINITY;
  #pausedUntil = 0;
  #waiting: (() => void)[] = [];

  /** `number` is unique among all actors: no two ever tick at the same instant. */
  constructor(
    world: World,
    about: {
      readonly name: string;
      readonly number: number;
      readonly tickEveryMs: number;
      readonly hasAllTicks: boolean;
    },
  ) {
    this.world = world;
    this.name = about.name;
    this.#tickEveryMs = about.tickEveryMs;
    this.#hasAllTicks = about.hasAllTicks;
    this.#phaseMs = ((about.number * 37) % about.tickEveryMs) + (about.number + 1) / 64;
  }

  /** One step. */
  protected abstract take(message: Message): void;
  protected abstract readonly tick: Message;
  /** No tick before this instant has any effect. */
  protected abstract dueAt(): number;

  get isPaused(): boolean {
    return this.#pausedUntil > this.world.at;
  }

  /** Something arrives from outside: handled now, or when the process goes on. */
  reach(life: number, handle: () => void): void {
    if (!this.isUp || life !== this.life) return;
    if (this.isPaused || this.#waiting.length > 0) this.#waiting.push(handle);
    else handle();
  }

  /** A message from outside. */
  post(message: Message, life = this.life): void {
    this.reach(life, () => this.takeNow(message));
  }

  /** A message that the shell has at hand. */
  protected takeNow(message: Message): void {
    this.take(message);
    this.planTick();
  }

  pause(ms: number): void {
    this.#pausedUntil = Math.ceil(this.world.at + ms);
    this.world.trace(`${this.name} stands still until ${this.#pausedUntil}`);
    const { life } = this;
    this.world.exactlyAt(this.#pausedUntil, () => this.#wakeUp(life));
  }

  /** Everything that this process knew is gone. */
  protected die(): void {
    this.isUp = false;
    this.life++;
    this.#waiting = [];
    this.#pausedUntil = 0;
    this.#tickAt = Number.POSITIVE_INFINITY;
  }

  protected planTick(): void {
    if (!this.isUp) return;
    const { at } = this.world;
    const due = this.#hasAllTicks ? at : Math.max(at, this.dueAt());
    if (due === Number.POSITIVE_INFINITY) return;
    const every = this.#tickEveryMs;
    const phase = this.#phaseMs;
    let next = Math.ceil((due - phase) / every) * every + phase;
    if (next <= at) next += every;
    if (next >= this.#tickAt) return;
    this.#tickAt = next;
    const { life } = this;
    this.world.exactlyAt(next, () => {
      if (life !== this.life || next !== this.#tickAt) return;
      this.#tickAt = Number.POSITIVE_INFINITY;
      if (!this.isPaused) this.#tickNow();
    });
  }

  #tickNow(): void {
    if (this.#hasAllTicks || this.dueAt() <= this.world.at) this.take(this.tick);
    this.planTick();
  }

  /** Timers are served first, then what came meanwhile. */
  #wakeUp(life: number): void {
    if (life !== this.life || this.isPaused) return;
    this.#tickNow();
    while (this.isUp && life === this.life && !this.isPaused) {
      const handle = this.#waiting.shift();
      if (handle === undefined) break;
      handle();
    }
    this.planTick();
  }
}
