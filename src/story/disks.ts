/** The disks of a saga with their chains of images: as found, as planned, and as QEMU told them at the end. Pure. */
import type { DiskResult, SagaResult } from '../engine/running/result.ts';
import { chainOfImage } from '../plan/chain-of-image.ts';
import { type DiskPlan, hasMirrors, type Plan } from '../plan/plan.ts';
import type { Disk } from './story.ts';

export function disksOf(plan: Plan, result: SagaResult | null): readonly Disk[] {
  const isSwitched = !(hasMirrors(plan) && (plan.finish === 'clone' || plan.finish === 'abort'));
  return plan.disks.map((disk, at) =>
    diskOf(disk, result?.disks[at], isSwitched && result?.strategy !== null),
  );
}

function diskOf(plan: DiskPlan, told: DiskResult | undefined, isSwitched: boolean): Disk {
  return {
    disk: plan.disk,
    sizeBytes: Number(plan.sizeBytes),
    before: plan.chain.map(({ file }) => file).toReversed(),
    planned: chainOfImage(plan)
      .map(({ file }) => file)
      .toReversed(),
    image: plan.image.file,
    isMade: plan.image.create,
    isSwitched,
    after: told?.after?.chain.toReversed() ?? null,
  };
}
