/**
 * What a saga can be asked while it waits at READY: to switch, or to keep its copies without a switch, whichever is asked
 * first. It only looks at the plan and the records.
 */

import { BlocksagaError } from '../../errors.ts';
import type { JournalRecord } from '../../journal/journal.ts';
import type { Plan } from '../../plan/plan.ts';
import { EXCLUDES, type SignalName } from './signals.ts';

interface Asked {
  readonly id: string;
  readonly plan: Plan;
  readonly records: readonly JournalRecord[];
  readonly signal: SignalName | undefined;
}

/** Throws SAGA_STATE for copies that cannot be kept, and for the other end of a wait than was asked for first. */
export function expectAskable({ id, plan, records, signal }: Asked): void {
  const other = signal === undefined ? undefined : EXCLUDES[signal];
  if (other === undefined) return;
  const refuse = (why: string): never => {
    throw new BlocksagaError('SAGA_STATE', `saga ${id} ${why}`, { saga: id });
  };
  if (signal === 'keepCopies' && !(plan.operation === 'copy' && plan.finish === 'leave')) {
    refuse('is no copy that waits at READY (--finish leave), so that there are no copies to keep');
  }
  const first = records.find(({ kind, step }) => kind === 'signal' && (step === signal || step === other));
  if (first?.step !== other) return;
  refuse(
    other === 'pivot'
      ? 'was asked to switch to its copies already'
      : 'was asked to keep its copies without a switch already',
  );
}
