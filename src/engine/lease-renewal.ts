/**
 * Renews the leases of the sagas and groups that one engine runs, all in one transaction, and says with them how far each is. A guest's pause
 * puts it off, since a transaction holds up the event loop, but not for so long that a lease would run out.
 */
import { BlocksagaError } from '../errors.ts';
import type { Journal, Lease } from '../journal/journal.ts';
import { RENEW_MS } from '../journal/lease.ts';
import type { Clock } from '../qmp/clock.ts';
import type { Json } from '../qmp/transport.ts';

/** What runs with a lease. */
export interface Renewed {
  readonly lease: Lease;
  readonly holdsGuest: boolean;
  readonly progress: object;
}

const PUT_OFF_MS = 250;
const PUT_OFF_MAX_MS = 2 * RENEW_MS;

export class LeaseRenewal {
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #sagas: () => readonly Renewed[];
  #cancel: (() => void) | undefined;
  #putOffMs = 0;

  constructor(journal: Journal, clock: Clock, sagas: () => readonly Renewed[]) {
    this.#journal = journal;
    this.#clock = clock;
    this.#sagas = sagas;
  }

  /** A saga has begun here, or ended. */
  changed(): void {
    const isNeeded = this.#sagas().length > 0 && this.#journal.renew !== undefined;
    if (isNeeded) this.#cancel ??= this.#clock.after(RENEW_MS, () => this.#renew());
    else this.#stop();
  }

  #stop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #renew(): void {
    const sagas = this.#sagas();
    const isLate = this.#putOffMs >= PUT_OFF_MAX_MS;
    if (!isLate && sagas.some(({ holdsGuest }) => holdsGuest)) {
      this.#putOffMs += PUT_OFF_MS;
      this.#cancel = this.#clock.after(PUT_OFF_MS, () => this.#renew());
      return;
    }
    this.#putOffMs = 0;
    this.#cancel = undefined;
    const renewals = sagas.map(({ lease, progress }) => ({ lease, progress: progress as Json }));
    this.#journal
      .renew?.(renewals)
      // A journal that cannot be written is told by the sagas' own records.
      .catch(error => {
        if (!(error instanceof BlocksagaError)) throw error;
      });
    this.changed();
  }
}
