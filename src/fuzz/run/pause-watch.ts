/** Notices when a simulated guest stopped and went on. It looks only when it is asked to; a stop counts from when it was sent. */
import type { Sim } from '../../sim/create-sim.ts';
import type { Pause } from '../account/account.ts';

export class PauseWatch {
  readonly pauses: Pause[] = [];
  readonly #sim: Sim;
  /** Whether it stood still before anything was asked for. */
  #wasPaused: boolean | undefined;
  #stopSentMs: number | undefined;
  #stillSinceMs: number | undefined;

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  /** Somebody begins to work on the guest. */
  begin(): void {
    this.#wasPaused ??= !this.#sim.world.running;
  }

  stopSent(): void {
    this.#stopSentMs = this.#sim.clock.now();
  }

  look(): void {
    const { world, clock } = this.#sim;
    const still = world.alive && !world.running && !this.#wasPaused;
    const nowMs = clock.now();
    if (still && this.#stillSinceMs === undefined) this.#stillSinceMs = this.#stopSentMs ?? nowMs;
    if (!still && this.#stillSinceMs !== undefined) {
      // A guest that died while it stood still has no end of its pause that anybody could be asked for.
      if (world.alive) this.pauses.push({ fromMs: this.#stillSinceMs, toMs: nowMs });
      this.#stillSinceMs = undefined;
      this.#stopSentMs = undefined;
    }
  }
}
