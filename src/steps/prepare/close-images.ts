/**
 * Closes the images that are not needed any more: the new ones of a rollback, the old ones behind a switch. Only nodes are closed; the files
 * are others' business. A new image that holds what a guest wrote is kept open, since only QEMU tells that it does.
 */
import { namedBitmaps } from '../../guest/bitmaps.ts';
import { readGraph } from '../../guest/graph.ts';
import { revivedNames } from '../../guest/revive-source.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import { createJobs } from '../../qmp/jobs.ts';
import { throwFirst } from '../step/replies.ts';
import type { StepContext } from '../step/step.ts';
import { holdsWrites, touchedAtUndo } from './expect-untouched.ts';
import { proofNodes } from './prove-headers.ts';
import { takeOutImages } from './take-out-image.ts';

/** Of a job that creates an image: where QEMU makes keys, or fills a large one, it takes long. */
export const CREATE_DEADLINE_MS = 10 * 60_000;

/** Format before protocol; dismisses the jobs, too, that were to create them and were left. Throws the first refusal. */
export async function closeImages(
  { qmp }: Pick<StepContext, 'qmp'>,
  disks: readonly DiskPlan[],
): Promise<void> {
  const ids = disks.map(disk => disk.names.createJob);
  // These jobs are kept by every QEMU that has them, also where block jobs pass.
  await createJobs(qmp).remove(ids, { deadlineMs: CREATE_DEADLINE_MS });
  const open = await openNodes(qmp, disks);
  const replies = await qmp.pipeline(open.map(({ node }) => closeNode(node)));
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
  await qmp.pipeline(open.map(({ node }) => closeNode(node)));
}

/** Throws FOREIGN where a new image holds what the guest wrote, and nothing else does: in the chain of its disk it is committed. */
export async function keepTouched(context: StepContext): Promise<void> {
  const touched = await touchedAtUndo(context);
  if (touched.length === 0) return;
  const takenOut = await takeOutImages(context);
  const left = touched.find(disk => !takenOut.includes(disk));
  if (left !== undefined) throw holdsWrites(left);
}

/**
 * What `closeOldNodes`, or `closeCopies`, will close, before the disks leave the saga's filters: a third party could set a drive to one of
 * these in between, and nothing would tell of that. A node with bitmaps, which are told of when it is closed, and what QEMU refuses are left
 * to that step.
 */
export async function closeUnneeded(
  { qmp, plan }: StepContext,
  nodesOf: (disk: DiskPlan) => readonly string[],
): Promise<void> {
  const graph = await readGraph(qmp);
  const nodes = plan.disks
    .flatMap(nodesOf)
    .filter(node => graph.node(node) !== undefined && namedBitmaps(graph.node(node)).length === 0);
  await qmp.pipeline(nodes.map(closeNode));
}

/** The nodes of the old images; an undo that ended in rolling forward may have opened those above the goal once more. */
export function leaving(disk: DiskPlan): readonly string[] {
  const { retiring, names, image } = disk;
  // Above the old image of a revert, to keep it open.
  const keeper = image.rebased ? [names.filter] : [];
  return [...keeper, ...retiring, ...revivedNames(disk)];
}

async function openNodes(qmp: StepContext['qmp'], disks: readonly DiskPlan[]) {
  const graph = await readGraph(qmp);
  return disks
    .flatMap(disk =>
      [disk.names.image, ...proofNodes(disk), disk.names.imageFile].map(node => ({ disk, node })),
    )
    .filter(({ node }) => graph.node(node) !== undefined);
}

export function closeNode(node: string) {
  return { execute: 'blockdev-del', arguments: { 'node-name': node } } as const;
}
