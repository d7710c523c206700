/**
 * Closes the new images that are open as nodes of the saga's own names; their files are `claimFiles`'s. One that holds what a guest wrote is
 * kept open, since only QEMU tells that it does.
 */
import { readGraph } from '../../guest/graph.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import { createJobs } from '../../qmp/jobs.ts';
import { throwFirst } from '../step/replies.ts';
import type { StepContext } from '../step/step.ts';
import { holdsWrites, touchedAtUndo } from './expect-untouched.ts';
import { proofNodes } from './prove-headers.ts';
import { takeOutImages } from './take-out-image.ts';

const CREATE_DEADLINE_MS = 10 * 60_000;

/** Format before protocol; dismisses the jobs, too, that were to create them and were left. Throws the first refusal. */
export async function closeImages(
  { qmp }: Pick<StepContext, 'qmp'>,
  disks: readonly DiskPlan[],
): Promise<void> {
  const ids = disks.map(disk => disk.names.createJob);
  // These jobs are kept by every QEMU that has them, also where block jobs pass.
  await createJobs(qmp).remove(ids, { deadlineMs: CREATE_DEADLINE_MS });
  const open = await openNodes(qmp, disks);
  const replies = await qmp.pipeline(open.map(({ node }) => close(node)));
  throwFirst(
    open.map(({ disk }) => disk),
    replies,
  );
}

/** Before the undo of `createImages` does: those that nothing uses, and no guest has written to. What is refused is left to that. */
export async function closeUnusedImages(context: StepContext): Promise<void> {
  const { qmp, plan } = context;
  if (plan.operation !== 'copy' || (await touchedAtUndo(context)).length > 0) return;
  const open = await openNodes(qmp, plan.disks);
  await qmp.pipeline(open.map(({ node }) => close(node)));
}

/** Throws FOREIGN where a new image holds what the guest wrote, and nothing else does: in the chain of its disk it is committed. */
export async function keepTouched(context: StepContext): Promise<void> {
  const touched = await touchedAtUndo(context);
  if (touched.length === 0) return;
  const takenOut = await takeOutImages(context);
  const left = touched.find(disk => !takenOut.includes(disk));
  if (left !== undefined) throw holdsWrites(left);
}

async function openNodes(qmp: StepContext['qmp'], disks: readonly DiskPlan[]) {
  const graph = await readGraph(qmp);
  return disks
    .flatMap(disk =>
      [disk.names.image, ...proofNodes(disk), disk.names.imageFile].map(node => ({ disk, node })),
    )
    .filter(({ node }) => graph.node(node) !== undefined);
}

function close(node: string) {
  return { execute: 'blockdev-del', arguments: { 'node-name': node } } as const;
}
