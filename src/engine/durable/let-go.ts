/** How a process gives a saga up that has not ended, for any other one to take. */
import { BlocksagaError } from '../../errors.ts';
import type { Journal, Lease } from '../../journal/journal.ts';

/** Writes what is queued with the lease. What cannot be written is known to the next process by what was written before. */
export async function letGo(journal: Journal, lease: Lease): Promise<void> {
  try {
    if (journal.release === undefined) await journal.append(lease, [], { durable: true });
    else await journal.release(lease);
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
  }
}

/** What a process does with a lease; where that fails it lets go, so that it can be asked again in the same process, too. */
export async function orLetGo<T>(journal: Journal, lease: Lease, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    await letGo(journal, lease);
    throw error;
  }
}
