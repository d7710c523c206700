/** Which leases running sagas of this process write with, so that their journal is not closed under them. */
import { BlocksagaError } from '../errors.ts';
import type { Lease } from './journal.ts';

const inUse = new WeakSet<Lease>();

/** A saga runs with it; gives what ends that. */
export function useLease(lease: Lease): () => void {
  inUse.add(lease);
  return () => void inUse.delete(lease);
}

/** The leases that one journal has given. A lease whose holder has let go of it is not kept alive by this. */
export class GivenLeases {
  readonly #given = new Map<string, WeakRef<Lease>>();

  given(lease: Lease): Lease {
    this.#given.set(lease.saga, new WeakRef(lease));
    return lease;
  }

  ended(lease: Lease): void {
    this.#given.delete(lease.saga);
  }

  /** Throws JOURNAL while a saga of this process runs with one of them. */
  expectUnused(): void {
    const used = [...this.#given.values()].map(given => given.deref()).filter(lease => isInUse(lease));
    if (used.length === 0) return;
    const ids = used.slice(0, 5).map(lease => lease?.saga);
    const more = used.length > ids.length ? `, and ${used.length - ids.length} more` : '';
    throw new BlocksagaError(
      'JOURNAL',
      `this journal is not closed: sagas of this process run with it (${ids.join(', ')}${more}). Close their engine first: await engine.close()`,
      { effect: 'notApplied' },
    );
  }
}

function isInUse(lease: Lease | undefined): boolean {
  return lease !== undefined && inUse.has(lease);
}
