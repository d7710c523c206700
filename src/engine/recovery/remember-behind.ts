/**
 * Keeps with a saga what a recovery without QEMU has found in one that lives: that its journal is an older copy. Nothing tells that once
 * QEMU has been shut down. It takes no saga from a process that runs it, and changes nothing else.
 */
import { BlocksagaError } from '../../errors.ts';
import type { Journal } from '../../journal/journal.ts';
import type { Plan } from '../../plan/plan.ts';
import type { Clock } from '../../qmp/clock.ts';
import { seize } from '../connection/fence.ts';
import { resultAsJson, unansweredResult } from '../running/result.ts';

/** The saga of an administrator who asks for a recovery while its QEMU lives. */
interface Asked {
  readonly id: string;
  readonly plan: Plan;
  readonly journal: Journal;
  readonly clock: Clock;
}

/** Throws what `ask` throws. */
export async function rememberBehind(asked: Asked, ask: () => Promise<void>): Promise<void> {
  try {
    await ask();
  } catch (error) {
    if (error instanceof BlocksagaError && error.code === 'JOURNAL_BEHIND') await keep(asked, error);
    throw error;
  }
}

/** Whatever hinders that, another process that has the saga or a journal that takes nothing, the refusal says more. */
async function keep({ id, plan, journal, clock }: Asked, found: BlocksagaError): Promise<void> {
  try {
    const lease = await seize(journal, id, false, clock);
    await journal.end(lease, 'needsRecovery', resultAsJson(unansweredResult(id, plan, found)));
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
  }
}
