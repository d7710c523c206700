/** Waits until little, or nothing, is left to copy of what the guest writes: near the pause, and in it. It ends no mirror. */
import { BlocksagaError, definedOnly } from '../../errors.ts';
import { expectSources } from '../../guest/graph.ts';
import type { DiskPlan, SwitchPlan } from '../../plan/plan.ts';
import type { JobWaitOptions } from '../../qmp/jobs.ts';
import { withinPause } from '../jobs/await-jobs.ts';
import { jobAlive } from '../jobs/run-jobs.ts';
import { wasClean } from '../pause/pause-guest.ts';
import { type Lag, readLag } from '../step/mirror-lag.ts';
import type { StepContext } from '../step/step.ts';

/** The part of the permitted blackout that may go into the last bytes; the rest is for the switch. */
export const SETTLE_SHARE = 0.5;
const SETTLE_POLL_MS = 2;

/**
 * With the guest stopped: waits until nothing is left to copy, or throws NOT_CONVERGING with nothing lost. The speed
 * limit does not hold meanwhile. Lifting it also wakes the mirrors: one that had nothing to copy rests for 100 ms in
 * QEMU 5.2, also when there is something again (block/mirror.c).
 */
export async function awaitClean(
  context: StepContext<SwitchPlan>,
  disks: readonly DiskPlan[],
): Promise<void> {
  const { jobs, plan, nothingSentYet, outcomes } = context;
  const isEach = disks.length === plan.disks.length;
  if (nothingSentYet && context.pausedThroughout() && wasClean(outcomes.get('pauseGuest') ?? null)) {
    context.sawAlike();
    return;
  }
  const ids = disks.map(disk => disk.names.job);
  let hurried = false;
  const hurry = async () => {
    if (!hurried) await jobs.setSpeed(ids, 0); // a job that refuses has ended, which the next look tells
    hurried = true;
  };
  try {
    await awaitDirty(context, disks, 0, withinPause(plan.maxBlackoutMs * SETTLE_SHARE, SETTLE_POLL_MS), {
      hurry,
    });
    if (isEach) context.sawAlike();
  } catch (error) {
    if (hurried && context.speed() > 0) await jobs.setSpeed(ids, context.speed());
    throw error;
  }
}

/** Throws FOREIGN where a mirror does not see what is written to its source: it would hold less than that, and say that it is ready. */
function expectSeen({ unseen: [passed] }: Lag): void {
  if (passed === undefined) return;
  const { disk, node } = passed;
  throw new BlocksagaError(
    'FOREIGN',
    `disk ${disk}: a third party has put a writer of its own on node ${node}, below the filter of its mirror, which does not see what is written there (QMP: x-debug-query-block-graph)`,
    { disk },
  );
}

export async function awaitDirty(
  context: StepContext<SwitchPlan>,
  disks: readonly DiskPlan[],
  limitBytes: number,
  within: JobWaitOptions,
  { signal, hurry }: { readonly signal?: AbortSignal; readonly hurry?: () => Promise<void> },
): Promise<Lag> {
  let left = 0;
  try {
    return await context.qmp.until(
      'the mirrors to come close to the guest',
      async () => {
        const lag = await readLag(context, disks);
        // Not in standby, where a job that a third party has paused stays, and which QEMU 5.2 does not complete.
        const ready = disks.every(disk => jobAlive(lag.jobs, disk).status === 'ready');
        expectSources(lag.blocks, disks);
        expectSeen(lag);
        left = lag.bytes;
        if (ready && left <= limitBytes) return lag;
        await hurry?.();
        return undefined;
      },
      { wakeOn: [], steady: true, ...within, ...definedOnly({ signal }) },
    );
  } catch (error) {
    if (!(error instanceof BlocksagaError) || error.code !== 'DEADLINE') throw error;
    throw new BlocksagaError(
      'NOT_CONVERGING',
      `the guest writes faster than the mirrors follow: ${left} bytes are left to copy. ` +
        'Try synchronous writes, a longer permitted blackout, or a quieter hour.',
    );
  }
}
