/**
 * Puts a new image on another image, or on none, while it is open: a third party may have put it on the disk that it is to replace
 * (`blockdev-snapshot`), and no header says so. What is read from it must be the same before and after.
 */
import { Edges } from '../../guest/edges.ts';
import type { CopyPlan, DiskPlan } from '../../plan/plan.ts';
import type { Command } from '../../qmp/client.ts';
import { throwFirst } from '../step/replies.ts';
import type { StepContext } from '../step/step.ts';
import { openFormat } from './create-images.ts';

/** All that the image was opened with, but for what it stands on. */
export function standOn(disk: DiskPlan, backing: string | null): Command<'blockdev-reopen'> {
  return rebased([disk], () => backing);
}

/** The same of several: QEMU prepares all, then commits all or none. */
export function rebased(
  disks: readonly DiskPlan[],
  backingOf: (disk: DiskPlan) => string | null,
): Command<'blockdev-reopen'> {
  const options = disks.map(disk => ({ ...openFormat(disk).arguments, backing: backingOf(disk) }));
  return {
    execute: 'blockdev-reopen',
    arguments: { options: options as Command<'blockdev-reopen'>['arguments']['options'] },
  };
}

/** Takes images that hold all of their disks off what a third party has put them on. */
export async function standAlone({ qmp, plan }: StepContext<CopyPlan>): Promise<void> {
  const whole = plan.disks.filter(({ image }) => image.backing === null && image.driver === 'qcow2');
  if (whole.length === 0 || !plan.capabilities.includes('blockdev-reopen')) return;
  const edges = new Edges(await qmp.execute('x-debug-query-block-graph'));
  const covering = whole.filter(({ names }) => edges.child(names.image, 'backing') !== undefined);
  throwFirst(covering, await qmp.pipeline(covering.map(disk => standOn(disk, null))));
}
