/** Asks a fleet for its hosts while a page looks at it, and no more often than it can answer. It changes nothing there. */
import type { Clock } from '../qmp/clock.ts';
import type { FleetHost, FleetTold } from './fleet-told.ts';

/** Each look asks every agent. */
const LOOK_MS = 3_000;

export class FleetSight {
  readonly #ask: () => Promise<readonly FleetHost[]>;
  readonly #clock: Pick<Clock, 'now'>;
  #told: FleetTold = { hosts: null, trouble: null };
  #askedMs = Number.NEGATIVE_INFINITY;
  #isAsking = false;

  constructor(ask: () => Promise<readonly FleetHost[]>, clock: Pick<Clock, 'now'>) {
    this.#ask = ask;
    this.#clock = clock;
  }

  /** What was told last; asks again where that is old. */
  now(): FleetTold {
    if (!this.#isAsking && this.#clock.now() - this.#askedMs >= LOOK_MS) this.#look();
    return this.#told;
  }

  #look(): void {
    this.#isAsking = true;
    this.#askedMs = this.#clock.now();
    this.#ask()
      .then(
        hosts => {
          this.#told = { hosts, trouble: null };
        },
        error => {
          const trouble = error instanceof Error ? error.message : String(error);
          this.#told = { ...this.#told, trouble };
        },
      )
      .finally(() => {
        this.#isAsking = false;
      });
  }
}
