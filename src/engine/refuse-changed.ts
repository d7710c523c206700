/** A second look at the guest, once the VM is the saga's: what was planned was planned for the disks as they were before. */
import { BlocksagaError } from '../errors.ts';
import type { Journal, Lease } from '../journal/journal.ts';
import { isSameGraph, type Survey, surveyStaying } from '../operations/survey.ts';
import type { Plan } from '../plan/plan.ts';
import type { Monitor } from './connection/monitor.ts';
import { resultAsJson, untouchedResult } from './running/result.ts';
import { type Ending, unlessEnded } from './unless-ended.ts';

/**
 * Another saga may have changed it since it was looked at, before the VM was the saga's: ends the saga then, untouched. Throws VM_BUSY.
 * One whose engine is closed meanwhile (CLOSED) has not ended: it is the next process's.
 */
export async function refuseChanged(
  journal: Journal,
  lease: Lease,
  plan: Plan,
  monitor: Monitor,
  seen: Survey,
  endings: readonly Ending[],
): Promise<void> {
  try {
    const now = await unlessEnded(endings, async () => surveyStaying(await monitor.client()));
    if (isSameGraph(now, seen)) return;
    throw new BlocksagaError(
      'VM_BUSY',
      'the disks of this guest were changed by someone while this was planned; try again',
      { retryable: true },
    );
  } catch (error) {
    if (error instanceof BlocksagaError && error.code === 'CLOSED') throw error;
    const record = error instanceof BlocksagaError ? error.toJSON() : null;
    await journal.end(lease, 'rolledBack', resultAsJson(untouchedResult(lease.saga, plan, record)));
    throw error;
  }
}
