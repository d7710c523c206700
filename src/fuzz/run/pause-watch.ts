/**
 * Notices when a simulated guest was stopped and resumed. It looks only when it is asked to; a stop counts from when it
 * was sent.
 */
import type { Sim } from '../../sim/create-sim.ts';
import type { Pause } from '../account/account.ts';
import { MIGRATED_AWAY } from '../account/migration-watch.ts';

export class PauseWatch {
  readonly pauses: Pause[] = [];
  readonly #sim: Sim;
  /** Whether it was paused before anything was asked for. */
  #wasPaused: boolean | undefined;
  #stopSentMs: number | undefined;
  #stillSinceMs: number | undefined;

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  /** Work on the guest begins. */
  begin(): void {
    this.#wasPaused ??= !this.#sim.world.running;
  }

  stopSent(): void {
    this.#stopSentMs = this.#sim.clock.now();
  }

  look(): void {
    const { world, clock } = this.#sim;
    // Such a guest is in no pause of a saga's any more.
    const isMigratedAway = MIGRATED_AWAY.has(world.qemu?.runState ?? '');
    const still = world.alive && !world.running && !this.#wasPaused && !isMigratedAway;
    if (isMigratedAway) this.#stopSentMs = undefined; // it did not stop that guest
    const nowMs = clock.now();
    if (still && this.#stillSinceMs === undefined) this.#stillSinceMs = this.#stopSentMs ?? nowMs;
    if (!still && this.#stillSinceMs !== undefined) {
      // A guest that died while it was paused has no end of its pause to be told.
      if (world.alive) this.pauses.push({ fromMs: this.#stillSinceMs, toMs: nowMs });
      this.#stillSinceMs = undefined;
      this.#stopSentMs = undefined;
    }
  }
}
