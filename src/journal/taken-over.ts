/**
 * The record that a process has taken a saga over, written in the one commit that gives it the saga: it tells how many processes a
 * saga had, and where each began. It is told to people and decides nothing. Pure.
 */

import type { Json } from '../qmp/transport.ts';
import { RELEASED } from './holder.ts';
import type { JournalRecord, NewRecord, SagaRow } from './journal.ts';

/** What it stands under: no step of a machine and no signal that one hears. */
export const TAKEN_OVER = 'takenOver';

/** How the process before had let go of the saga. */
type LetGo = 'died' | 'released' | 'seized' | 'needsRecovery';

export interface Takeover {
  readonly atMs: number;
  readonly after: LetGo;
  /** When the process before was last known to be at work: its last record, or its last renewal of the lease. */
  readonly seenMs: number;
}

export function takenOver({ state, holder, renewedAtMs }: SagaRow, isForced: boolean): NewRecord {
  const after: LetGo =
    state === 'needsRecovery'
      ? 'needsRecovery'
      : holder.pid === RELEASED.pid
        ? 'released'
        : isForced
          ? 'seized'
          : 'died';
  return {
    kind: 'signal',
    step: TAKEN_OVER,
    body: { after, pid: holder.pid, renewedAtMs: renewedAtMs ?? null },
  };
}

/** Each time that a saga was taken over, in order; what another version may have written there is left out. */
export function takeoversIn(records: readonly JournalRecord[]): readonly Takeover[] {
  return records.flatMap((record, at): readonly Takeover[] => {
    const { kind, step, body, atMs } = record;
    if (kind !== 'signal' || step !== TAKEN_OVER) return [];
    const after = LET_GO.find(each => each === member(body, 'after'));
    if (after === undefined) return [];
    const renewedAtMs = member(body, 'renewedAtMs');
    const before = records[at - 1]?.atMs ?? 0;
    return [
      { atMs, after, seenMs: typeof renewedAtMs === 'number' ? Math.max(before, renewedAtMs) : before },
    ];
  });
}

/** What a saga has written of its own work. */
export function ownRecords(records: readonly JournalRecord[]): readonly JournalRecord[] {
  return records.filter(({ kind, step }) => kind !== 'signal' || step !== TAKEN_OVER);
}

const LET_GO: readonly LetGo[] = ['died', 'released', 'seized', 'needsRecovery'];

function member(body: Json, name: string): Json {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return null;
  return (body as { readonly [key: string]: Json })[name] ?? null;
}
