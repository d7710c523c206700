/**
 * Keeps a copy at READY until it is asked to switch, to keep its copies as they are, or to roll back, and watches its
 * mirrors meanwhile: one that ends by itself ends the wait.
 */
import type { SwitchPlan } from '../../plan/plan.ts';
import { abortedBy } from '../../qmp/until.ts';
import { probeDisks, type Step, type StepContext } from '../step/step.ts';
import { watchMirrors } from './watch-mirrors.ts';

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
    const { abort, pivot, keepCopies } = context.signals;
    const what = 'a signal to switch, to keep the copies, or to roll back';
    await watchMirrors(context, what, AbortSignal.any([abort, pivot, keepCopies]));
    if (abort.aborted) throw abortedBy(abort, what);
    return keepCopies.aborted ? KEEP_COPIES : null;
  },
};
