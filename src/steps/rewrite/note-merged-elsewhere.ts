/**
 * Whether other files stood under the names of images while QEMU merged into those: it opens them anew by name, and may have
 * merged into the others. That is noted while it can be seen; it stops nothing.
 */
import { plainName } from '../../guest/graph.ts';
import type { DiskPlan, RewritePlan } from '../../plan/plan.ts';
import { findWrongNames } from '../prepare/expect-names.ts';
import type { StepContext } from '../step/step.ts';

/** Looks, once, at the names of these disks, whose jobs have been begun. The active image is open for writing anyway. */
export async function noteMergedElsewhere(
  context: StepContext<RewritePlan>,
  disks: readonly DiskPlan[],
): Promise<void> {
  const { plan, mergesLookedAt, recordMergedElsewhere } = context;
  const unseen = disks.filter(({ disk }) => !mergesLookedAt.has(disk));
  if (plan.operation !== 'commit' || unseen.length === 0) return;
  const fronts = new Map(unseen.map(({ disk, file }) => [disk, plainName(file)]));
  const wrong = (await findWrongNames(context, 'opened')).filter(
    ({ disk, file }) => fronts.has(disk) && fronts.get(disk) !== file,
  );
  if (wrong.length > 0) await recordMergedElsewhere(wrong.map(({ file }) => file));
  for (const { disk } of unseen) mergesLookedAt.add(disk);
}
