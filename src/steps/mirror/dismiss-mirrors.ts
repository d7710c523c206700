/**
 * Clears QEMU's table of the mirrors, whose verdicts have been read. It takes its time, so it waits until the guest runs
 * again, unless the guest has iothreads: letting it run then moves its disks to them, and the ended jobs stay behind in
 * the main loop, which QEMU 5.2 does not survive (`qemu_mutex_unlock_impl: Operation not permitted` on job-dismiss).
 */
import { BlocksagaError } from '../../errors.ts';
import type { SwitchPlan } from '../../plan/plan.ts';
import { withinPause } from '../jobs/await-jobs.ts';
import { dismissJobs } from '../jobs/dismiss-jobs.ts';
import { probeDisks, type Step, type StepContext } from '../step/step.ts';

/** What the step comes to where QEMU still refused in the pause: it is asked again once the guest runs. */
export const LEFT = 'left';
/** For how long it is asked in the pause, in milliseconds. */
const IN_PAUSE_MS = 50;
/** Since then an ended job may be dismissed from another thread than that of its disks. */
const SAFE_SINCE_MAJOR = 6;

export const dismissMirrors: Step<SwitchPlan> = {
  name: 'dismissMirrors',
  irreversible: 'only cleans up after the decision',

  async probe(context) {
    const { jobs, plan } = context;
    const table = await jobs.list(idsOf(plan));
    return probeDisks(plan.disks, disk => (table.has(disk.names.job) ? 'absent' : 'present'));
  },

  async do(context, todo) {
    const ids = todo.map(disk => disk.names.job);
    const inPause = context.plan.iothreads && !context.outcomes.has('resumeGuest');
    if (inPause) return await dismissInPause(context, ids);
    // What an old QEMU would not survive stays, and the result names it.
    if (!context.plan.iothreads || context.qmp.version.major >= SAFE_SINCE_MAJOR) {
      await dismissJobs(context, ids);
    }
    return null;
  },
};

/** The guest waits: what QEMU refuses is put off, since the pause need not wait for it. */
async function dismissInPause(
  context: StepContext<SwitchPlan>,
  ids: readonly string[],
): Promise<typeof LEFT | null> {
  try {
    await dismissJobs(context, ids, withinPause(IN_PAUSE_MS));
  } catch (error) {
    if (!(error instanceof BlocksagaError) || error.code !== 'DEADLINE') throw error;
    return LEFT;
  }
  return null;
}

function idsOf({ disks }: SwitchPlan): readonly string[] {
  return disks.map(disk => disk.names.job);
}
