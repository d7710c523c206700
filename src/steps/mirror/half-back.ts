/**
 * Disks of a commit of active images that are rolled back in part: QEMU has put back a lower one of the overlays, one after the other,
 * and not yet those above it. What these held is merged below it, where it hides that: a guest that ran there would read what is older.
 * It only looks.
 */
import { BlocksagaError } from '../../errors.ts';
import { type Graph, readGraph } from '../../guest/graph.ts';
import { isLive, lookAtGuest } from '../../guest/migration.ts';
import { revivedName } from '../../guest/revive-source.ts';
import { leavingImages } from '../../plan/chain-of-image.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import type { StepContext } from '../step/step.ts';

export function isHalfBack(graph: Graph, disk: DiskPlan): boolean {
  const front = graph.front(disk);
  return leavingImages(disk).some(
    ({ file }, place) => place > 0 && front === (disk.identifiedBy ? file : revivedName(disk, place)),
  );
}

/** Whether an undo that died, or was given up, has left a disk there and its guest paused: both sides held the same when it began. */
export async function isHeldHalfBack(context: Pick<StepContext, 'plan' | 'qmp'>): Promise<boolean> {
  return (await findHalfBack(context)) !== undefined && !isLive(await lookAtGuest(context.qmp));
}

/** What puts disks back; where that leaves one rolled back in part, the guest stays paused, and the failure says so. */
export async function toldHalfBack(
  context: Pick<StepContext, 'plan' | 'qmp'>,
  act: () => Promise<void>,
): Promise<void> {
  try {
    await act();
  } catch (error) {
    const halfBack = error instanceof BlocksagaError ? await findHalfBack(context) : undefined;
    if (halfBack === undefined || !(error instanceof BlocksagaError)) throw error;
    const message = `${error.message}; ${halfBack.message}`;
    throw BlocksagaError.fromRecord({ ...error.toJSON(), message });
  }
}

/** What to say of a disk there, for the sake of which the guest is not to be resumed. */
export async function findHalfBack({
  plan,
  qmp,
}: Pick<StepContext, 'plan' | 'qmp'>): Promise<BlocksagaError | undefined> {
  if (plan.operation !== 'commit' || plan.disks.every(disk => leavingImages(disk).length < 2))
    return undefined;
  const graph = await readGraph(qmp);
  const disk = plan.disks.find(each => isHalfBack(graph, each));
  if (disk === undefined) return undefined;
  return new BlocksagaError(
    'VERIFY_FAILED',
    `disk ${disk.disk} is rolled back to ${disk.file} in part: an image below it hides what was merged beneath it, so the guest stays paused, for it ` +
      'to read nothing older. Mend what was refused, then run "blocksaga resume"; or end QEMU, then "blocksaga resume --offline"',
    { disk: disk.disk, effect: 'notApplied' },
  );
}
