/** What the journal of a run holds. Changes nothing. */
import { planOf } from '../../engine/durable/checked-journal.ts';
import type { SagaResult } from '../../engine/running/result.ts';
import type { SagaRow } from '../../journal/journal.ts';
import type { MemoryJournal, MemoryJournalState } from '../../journal/memory.ts';
import { type Clock, sleep } from '../../qmp/clock.ts';
import type { Signal } from '../scenario/scenario.ts';
import { SAGA } from '../scenario/wish-request.ts';

const LOOKS_MAX = 10_000;
const LOOK_EVERY_MS = 20;

/** The result of a saga that had ended by itself while it waited; it is written a moment after the end. */
export async function recordedResult(journal: MemoryJournal, clock: Clock): Promise<SagaResult> {
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    const result = journal.saga(SAGA)?.result ?? null;
    if (result !== null) return result as object as SagaResult;
    await sleep(clock, LOOK_EVERY_MS);
  }
  throw new Error('a saga has ended, and its result is not recorded');
}

/** Whether the journal has it that the saga was asked this, so that the next process hears it as well. */
export function wasHeard(journal: MemoryJournalState | undefined, { signal }: Signal): boolean {
  const records = journal?.sagas.find(({ row }) => row.id === SAGA)?.records ?? [];
  return records.some(({ kind, step }) => kind === 'signal' && step === signal);
}

/** Those of the covered disks whose plan begins with the overlay that covers them. */
export function countedFrom(
  covered: ReadonlyMap<number, string> | undefined,
  row: SagaRow | undefined,
): readonly number[] {
  if (row === undefined || covered === undefined || covered.size === 0) return [];
  const fronts = planOf(row).disks.map(({ file }) => file);
  return [...covered].filter(([, path]) => fronts.includes(path)).map(([index]) => index);
}
