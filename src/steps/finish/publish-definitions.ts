/**
 * Tells the saga's `onCommit` which disks the VM has now. It runs as soon as the guest is on the new side: from then on
 * a record that still names the old images is a VM that would start without what it wrote last. The publisher must bear
 * being told twice; nothing that it does rolls the saga back.
 */

import { plainName } from '../../guest/graph.ts';
import type { UnpluggedDisk } from '../../guest/unplugged.ts';
import { chainOfImage } from '../../plan/chain-of-image.ts';
import type { DefinedDisk } from '../../plan/definition.ts';
import type { DiskPlan, Plan } from '../../plan/plan.ts';
import { probeDisks, type Step } from '../step/step.ts';

/** The disks of a saga after its decision. What stands in `before` may still be open: remove it after the saga's end. */
export interface Definition {
  readonly saga: string;
  readonly vm: string;
  readonly operation: string;
  readonly metadata?: Readonly<Record<string, string>>;
  readonly disks: readonly DefinedDisk[];
}

export const publishDefinitions: Step = {
  name: 'publishDefinitions',
  withoutDevices: true,
  irreversible: 'the decision has been taken, and a record of it stays true',
  insists: true,

  /** A publisher cannot be asked whether it was told. */
  async probe({ plan }) {
    return probeDisks(plan.disks, () => 'absent');
  },

  async do({ plan, publish, expectHeld, unplugged }) {
    expectHeld();
    await publish(definedDisks(plan, unplugged));
    return null;
  },
};

/**
 * Tells of the overlays of a snapshot that its saga may still roll back: it may wait days for their mirrors, and a VM
 * that was started on the images below meanwhile would miss what it wrote last.
 */
export const publishOverlays: Step = {
  name: 'publishOverlays',
  withoutDevices: true,
  insists: true,
  probe: publishDefinitions.probe,
  do: publishDefinitions.do,

  /** When the disks are off the overlays. */
  async undo({ plan, publish, expectHeld, unplugged }) {
    expectHeld();
    await publish(formerDisks(plan, unplugged));
  },
};

/** Whether a disk is on that side: there, or as it left the guest. */
function isOn(file: string, { index }: DiskPlan, unplugged: readonly UnpluggedDisk[]): boolean {
  const left = unplugged.find(each => each.index === index);
  return left === undefined || left.file === plainName(file);
}

/** The disks of a plan that has been rolled back after `onCommit` was told of it; of those that have left, which had been on these images. */
export function formerDisks(
  { disks }: Pick<Plan, 'disks'>,
  unplugged: readonly UnpluggedDisk[],
): readonly DefinedDisk[] {
  const back = disks.filter(disk => isOn(disk.file, disk, unplugged));
  return back.map(disk => ({
    disk: disk.disk,
    qdev: disk.qdev,
    file: disk.file,
    format: disk.driver,
    chain: disk.chain.map(({ file, driver }) => ({ file, format: driver })),
    before: { file: disk.image.file, format: disk.image.driver },
  }));
}

/** The disks of a plan that has been carried out; of those that have left the guest, which were on their new images then. */
export function definedDisks(
  { disks }: Pick<Plan, 'disks'>,
  unplugged: readonly UnpluggedDisk[],
): readonly DefinedDisk[] {
  return disks.filter(disk => isOn(disk.image.file, disk, unplugged)).map(defined);
}

function defined(disk: DiskPlan): DefinedDisk {
  return {
    disk: disk.disk,
    qdev: disk.qdev,
    file: disk.image.file,
    format: disk.image.driver,
    ...(disk.image.holderBytes === undefined ? {} : { sizeBytes: disk.sizeBytes }),
    chain: chainOfImage(disk).map(({ file, driver }) => ({ file, format: driver })),
    before: { file: disk.file, format: disk.driver },
  };
}
