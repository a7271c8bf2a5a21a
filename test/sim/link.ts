/**
 * One Attach stream between an executor and a coordinator: in order, delayed, and broken at any time. What is on the
 * way when it breaks is lost; each end hears of the break by itself.
 */
import type { World } from "./world.ts";

export class Link<Up, Down> {
  readonly connection: number;
  isOpen = true;
  readonly #world: World;
  #upAt = 0;
  #downAt = 0;

  constructor(world: World, connection: number) {
    this.#world = world;
    this.connection = connection;
  }

  /** Towards the coordinator. */
  up(message: Up, arrive: (message: Up) => void): void {
    this.#upAt = this.#later(this.#upAt, () => arrive(message));
  }

  /** Towards the executor. */
  down(message: Down, arrive: (message: Down) => void): void {
    this.#downAt = this.#later(this.#downAt, () => arrive(message));
  }

  close(heard: () => void): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#world.after(this.#world.between(1, 300), heard);
  }

  #later(notBefore: number, run: () => void): number {
    const world = this.#world;
    const at = Math.max(notBefore, world.at + world.between(1, 20));
    world.after(at - world.at, () => {
      if (this.isOpen) run();
    });
    return at;
  }
}
