/**
 * Keeps a copy at READY until it is asked to switch or to go back, and watches its mirrors meanwhile: one that ends by
 * itself ends the wait.
 */
import { BlocksagaError } from '../errors.ts';
import { inspectMirrors } from './mirror-disks.ts';
import type { SwitchPlan } from './plan.ts';
import { probeDisks, type Step } from './step.ts';

const SIGNAL_DEADLINE_MS = 366 * 24 * 60 * 60_000;
const POLL_MS = 2_000;

export const awaitSignal: Step<SwitchPlan> = {
  name: 'awaitSignal',
  irreversible: 'only waits',

  async probe({ plan }) {
    return probeDisks(plan.disks, () => 'absent');
  },

  async do(context) {
    const { qmp, abort, pivot } = context;
    try {
      await qmp.until(
        'a signal to switch or to go back',
        async () => {
          await inspectMirrors(context);
          return undefined;
        },
        {
          wakeOn: ['JOB_STATUS_CHANGE', 'BLOCK_JOB_COMPLETED', 'BLOCK_JOB_CANCELLED'],
          deadlineMs: SIGNAL_DEADLINE_MS,
          pollMs: POLL_MS,
          signal: AbortSignal.any([abort, pivot]),
        },
      );
    } catch (error) {
      const asked = pivot.aborted && error instanceof BlocksagaError && error.code === 'ABORTED';
      if (!asked || abort.aborted) throw error;
    }
    return null;
  },
};
