/**
 * Tells the saga's `onCommit` which disks the VM has now. It runs as soon as the guest is on the new side: from then on
 * a record that still names the old images is a VM that would start without what it wrote last. The publisher must bear
 * being told twice; nothing that it does rolls the saga back.
 */

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
  irreversible: 'the decision has been taken, and a record of it stays true',
  insists: true,

  /** A publisher cannot be asked whether it was told. */
  async probe({ plan }) {
    return probeDisks(plan.disks, () => 'absent');
  },

  async do({ plan, publish, expectHeld }) {
    expectHeld();
    await publish(definedDisks(plan));
    return null;
  },
};

/**
 * Tells of the overlays of a snapshot that its saga may still roll back: it may wait days for their mirrors, and a VM
 * that was started on the images below meanwhile would miss what it wrote last.
 */
export const publishOverlays: Step = {
  name: 'publishOverlays',
  insists: true,
  probe: publishDefinitions.probe,
  do: publishDefinitions.do,

  /** When the disks are off the overlays. */
  async undo({ plan, publish, expectHeld }) {
    expectHeld();
    await publish(formerDisks(plan));
  },
};

/** The disks of a plan that has been rolled back after `onCommit` was told of it. */
export function formerDisks({ disks }: Pick<Plan, 'disks'>): readonly DefinedDisk[] {
  return disks.map(disk => ({
    disk: disk.disk,
    qdev: disk.qdev,
    file: disk.file,
    format: disk.driver,
    chain: disk.chain.map(({ file, driver }) => ({ file, format: driver })),
    before: { file: disk.image.file, format: disk.image.driver },
  }));
}

/** The disks of a plan that has been carried out. */
export function definedDisks({ disks }: Plan): readonly DefinedDisk[] {
  return disks.map(defined);
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
