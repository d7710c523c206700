/**
 * Whether new images are what the saga has made of them, right before their mirrors begin: a third party may have set a drive to one, and
 * set it back, or the saga itself may have, by the filter that it put above the disk at that very instant. What the guest wrote to
 * such an image is there alone, the mirror would write over it, and a rollback would remove it. It only looks.
 */
import { BlocksagaError } from '../../errors.ts';
import { readGraph } from '../../guest/graph.ts';
import { writtenNodes } from '../../guest/written-nodes.ts';
import { filledDisks } from '../../plan/filled-disks.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import type { Json } from '../../qmp/transport.ts';
import type { StepContext } from '../step/step.ts';

type Touching = Pick<StepContext, 'qmp' | 'plan' | 'outcomes'>;

/** Throws FOREIGN for the first of these whose new image holds what the guest wrote. */
export async function expectUntouched(context: Touching, disks: readonly DiskPlan[]): Promise<void> {
  const [first] = await touchedOf(context, disks);
  if (first !== undefined) throw holdsWrites(first);
}

/** For the undo that closes and removes the new images: the disks whose one holds what the guest wrote, while it is open. */
export async function touchedAtUndo(context: StepContext): Promise<readonly DiskPlan[]> {
  const undone = context.outcomes.get('undo.mirrorDisks');
  const touched = readTouched(undone);
  const { disks } = context.plan;
  return touchedOf(
    context,
    undone === undefined ? disks : disks.filter(({ index }) => touched?.includes(index)),
  );
}

/** The disks among these whose new image a guest has written to; no mirror of theirs may have begun. */
async function touchedOf(
  { qmp, plan, outcomes }: Touching,
  disks: readonly DiskPlan[],
): Promise<readonly DiskPlan[]> {
  if (plan.operation !== 'copy' || plan.mirror.by === 'drive-mirror') return [];
  // A stream of the saga's own writes to these; when it has ended they are opened anew.
  const filled = outcomes.has('streamIntoTargets') ? [] : filledDisks(plan);
  const ours = disks.filter(disk => !filled.includes(disk));
  const written = await writtenNodes(
    qmp,
    ours.map(({ names }) => names.image),
  );
  return ours.filter(({ names }) => written.has(names.image));
}

/**
 * The same by index, for the undo of the mirrors: of disks whose one has not begun. What the guest is on now that undo brings back by
 * itself, or asks to have brought back.
 */
export async function observeTouched(context: StepContext): Promise<readonly number[]> {
  const { qmp, jobs, plan, wasReady } = context;
  const table = await jobs.list(plan.disks.map(({ names }) => names.job));
  const graph = await readGraph(qmp);
  const isLeft = (disk: DiskPlan) => !graph.coversSource(disk) && !graph.isAlone(disk);
  const isBegun = (disk: DiskPlan) => table.has(disk.names.job) || wasReady(disk);
  const touched = await touchedOf(
    context,
    plan.disks.filter(disk => isLeft(disk) && !isBegun(disk)),
  );
  return touched.map(({ index }) => index);
}

/** What such an undo leaves word of; undefined where it was not looked for. */
export function readTouched(record: Json | undefined): readonly number[] | undefined {
  if (typeof record !== 'object' || record === null || !('touched' in record)) return undefined;
  const { touched } = record;
  return Array.isArray(touched) ? touched.filter(each => typeof each === 'number') : undefined;
}

export function holdsWrites({ disk, file, image, names }: DiskPlan): BlocksagaError {
  return new BlocksagaError(
    'FOREIGN',
    `disk ${disk}: a third party had it on the new image ${image.file} before its mirror began (qom-set): what the guest wrote meanwhile is ` +
      `there alone and not in ${file}; take from it what is needed, close it (blockdev-del "${names.image}"), then resume the saga`,
    { disk, effect: 'notApplied' },
  );
}
