/**
 * Notices live migrations of a simulated guest, and in which state the guest is when a saga sends `cont`. It looks only when
 * it is asked to, at the simulator's own state, and judges nothing.
 */
import type { Sim } from '../../sim/create-sim.ts';
import type { Qemu } from '../../sim/state/state.ts';

/** Run states of a guest that is at the end of a migration, or has been migrated away. */
export const MIGRATED_AWAY: ReadonlySet<string> = new Set(['finish-migrate', 'postmigrate']);

/** A live migration of the guest, by when it was first seen to be under way, and to be over; milliseconds since the epoch. */
export interface MigrationSeen {
  readonly fromMs: number;
  readonly toMs: number | undefined;
}

/** A `cont` of the saga's. */
export interface ContSeen {
  readonly atMs: number;
  readonly runState: Qemu['runState'] | 'gone';
  /** Whether the saga had sent `stop` to this guest while it ran, and it has not run since. */
  readonly isOfOwnPause: boolean;
}

const OVER: ReadonlySet<string> = new Set(['none', 'cancelled', 'failed']);

export class MigrationWatch {
  readonly migrations: MigrationSeen[] = [];
  readonly conts: ContSeen[] = [];
  readonly #sim: Sim;
  #serial = 0;
  #pause: 'none' | 'asked' | 'ours' = 'none';

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  look(): void {
    const { world, clock } = this.#sim;
    if (this.#pause === 'asked' && !world.running) this.#pause = 'ours';
    if (this.#pause === 'ours' && world.running) this.#pause = 'none';
    const migration = world.qemu?.migration;
    if (migration === undefined) return;
    if (migration.serial !== this.#serial) {
      this.#end(clock.epochMs());
      this.#serial = migration.serial;
      this.migrations.push({ fromMs: clock.epochMs(), toMs: undefined });
    }
    // What has come to its end has taken the guest with it; it is over here once the guest was resumed here all the same.
    const isOver = migration.status === 'completed' ? world.running : OVER.has(migration.status);
    if (isOver) this.#end(clock.epochMs());
  }

  /** The saga sends these commands. */
  sent(verbs: readonly string[]): void {
    const { world, clock } = this.#sim;
    if (verbs.includes('cont')) {
      const runState = world.qemu?.runState ?? 'gone';
      this.conts.push({ atMs: clock.epochMs(), runState, isOfOwnPause: this.#pause !== 'none' });
    }
    if (verbs.includes('stop') && world.running) this.#pause = 'asked';
  }

  #end(atMs: number): void {
    const last = this.migrations.at(-1);
    if (last === undefined || last.toMs !== undefined) return;
    this.migrations[this.migrations.length - 1] = { ...last, toMs: atMs };
  }
}
