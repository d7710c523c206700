/**
 * Keeps a copy at READY until it is asked to switch, to keep its copies as they are, or to roll back, and watches its
 * mirrors meanwhile: one that ends by itself ends the wait.
 */
import { BlocksagaError } from '../../errors.ts';
import { expectPlugged } from '../../guest/unplugged.ts';
import type { SwitchPlan } from '../../plan/plan.ts';
import { probeDisks, type Step, type StepContext } from '../step/step.ts';
import { inspectMirrors } from './mirror-disks.ts';

const SIGNAL_DEADLINE_MS = 366 * 24 * 60 * 60_000;
const POLL_MS = 2_000;

/** What the wait came to when the copies are to be kept; null when they are to be switched to. */
export const KEEP_COPIES = 'keepCopies';

/** Whether the copies are to be one cut beside the guest, which stays where it is: as planned, or as asked meanwhile. */
export function keepsCopies({ finish }: SwitchPlan, outcomes: StepContext['outcomes']): boolean {
  return finish === 'clone' || outcomes.get('awaitSignal') === KEEP_COPIES;
}

export const awaitSignal: Step<SwitchPlan> = {
  name: 'awaitSignal',
  irreversible: 'only waits',

  async probe({ plan }) {
    return probeDisks(plan.disks, () => 'absent');
  },

  async do(context) {
    const { qmp } = context;
    const { abort, pivot, keepCopies } = context.signals;
    try {
      await qmp.until(
        'a signal to switch, to keep the copies, or to roll back',
        async () => {
          await inspectMirrors(context);
          await expectPlugged(context);
          return undefined;
        },
        {
          wakeOn: ['JOB_STATUS_CHANGE', 'BLOCK_JOB_COMPLETED', 'BLOCK_JOB_CANCELLED', 'DEVICE_DELETED'],
          deadlineMs: SIGNAL_DEADLINE_MS,
          pollMs: POLL_MS,
          signal: AbortSignal.any([abort, pivot, keepCopies]),
        },
      );
    } catch (error) {
      const asked =
        (pivot.aborted || keepCopies.aborted) && error instanceof BlocksagaError && error.code === 'ABORTED';
      if (!asked || abort.aborted) throw error;
    }
    return keepCopies.aborted ? KEEP_COPIES : null;
  },
};
