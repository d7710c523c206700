/** What an administrator asks of a saga that waits at READY: to switch, or, where a migration or a third party's overlay is in the way, to roll back. */
import type { Saga } from '../../engine/running/saga.ts';
import { BlocksagaError } from '../../errors.ts';
import type { MemoryJournal } from '../../journal/memory.ts';
import type { Clock } from '../../qmp/clock.ts';
import type { End } from '../account/process.ts';
import { recordedResult } from '../account/recorded.ts';

export async function pivotReady(saga: Saga, journal: MemoryJournal, clock: Clock): Promise<End> {
  try {
    return { result: await saga.pivot() };
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    if (error.code !== 'MIGRATING' && error.code !== 'SAGA_STATE') throw error;
    // A migration may be never over, and an overlay stay; and the saga may have rolled back for it by itself.
    const aborted = await saga.abort().catch(ifEnded);
    return { result: aborted ?? (await recordedResult(journal, clock)) };
  }
}

function ifEnded(error: unknown): undefined {
  if (!(error instanceof BlocksagaError && error.code === 'SAGA_STATE')) throw error;
}
