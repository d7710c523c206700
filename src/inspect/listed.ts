/** The list of sagas: those that need a person first, with the command to type. Reads what the journal knows. */
import { expectReadable, planOf } from '../engine/durable/checked-journal.ts';
import type { SagaResult } from '../engine/running/result.ts';
import { isWaiting, reasonOf } from '../engine/running/waiting.ts';
import { BlocksagaError } from '../errors.ts';
import type { JournalRecord, SagaRow } from '../journal/journal.ts';
import { whatNext } from '../story/what-next.ts';
import type { Listed } from './listed-saga.ts';

/** Those that need a person on top; else the newest first. */
export function inOrder(sagas: readonly Listed[]): readonly Listed[] {
  return [...sagas].sort((a, b) => urgencyOf(b) - urgencyOf(a) || b.createdAtMs - a.createdAtMs);
}

function urgencyOf({ needs, label }: Listed): number {
  if (!needs) return 0;
  return label === 'waits' ? 1 : 2;
}

export function listed(row: SagaRow, records: readonly JournalRecord[], isRunning: boolean): Listed {
  const { id: saga, vm, operation, createdAtMs, endedAtMs } = row;
  const told = { saga, of: null, vm, operation, createdAtMs, endedAtMs };
  try {
    expectReadable(row);
    const waits = isWaiting(row, records);
    const label = labelOf(row, waits, isRunning);
    const needs = label === 'needs recovery' || label === 'interrupted' || label === 'waits';
    const result = row.result as object | null as SagaResult | null;
    const advice = needs ? whatNext({ row, result, isWaiting: waits, isRunning }) : [];
    const [first, ...rest] = advice.filter(each => each.command !== null);
    const typed = { command: first?.command ?? null, purpose: first?.words ?? null, others: rest.length };
    return { ...told, disks: planOf(row).disks.length, label, needs, why: reasonOf(row), ...typed };
  } catch (error) {
    if (!(error instanceof BlocksagaError) || error.saga !== saga) throw error;
    const none = { command: null, purpose: null, others: 0 };
    return { ...told, disks: 0, label: 'damaged', needs: true, why: error.message, ...none };
  }
}

function labelOf({ state }: SagaRow, waits: boolean, isRunning: boolean): Listed['label'] {
  if (state === 'committed') return 'committed';
  if (state === 'rolledBack') return 'rolled back';
  if (state === 'needsRecovery') return 'needs recovery';
  if (waits) return 'waits';
  return isRunning ? 'under way' : 'interrupted';
}
