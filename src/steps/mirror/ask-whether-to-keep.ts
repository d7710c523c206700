/**
 * Asks, when the mirrors of a snapshot are gone again, whether the snapshot is to stay: it does only after
 * `keepSnapshot`, and with no `abort` of everything since.
 */
import { probeDisks, type Step } from '../step/step.ts';

export const askWhetherToKeep: Step = {
  name: 'askWhetherToKeep',
  irreversible: 'only asks',
  /** The saga is rolling back: a look that is refused once must not strand it. */
  insists: true,

  async probe({ plan }) {
    return probeDisks(plan.disks, () => 'absent');
  },

  async do({ signals: { keepSnapshot, abort } }) {
    return keepSnapshot.aborted && !abort.aborted;
  },
};
