/** The disks of a saga with their chains of images: as found, as planned, and as QEMU told them at the end. Pure. */
import type { DiskResult, SagaResult } from '../engine/running/result.ts';
import { jobName } from '../guest/jobs-of-plan.ts';
import { chainOfImage } from '../plan/chain-of-image.ts';
import { type DiskPlan, hasMirrors, type Plan } from '../plan/plan.ts';
import { stagesOf } from '../steps/stages.ts';
import type { Disk } from './story.ts';

export function disksOf(plan: Plan, result: SagaResult | null): readonly Disk[] {
  const isSwitched = !(hasMirrors(plan) && (plan.finish === 'clone' || plan.finish === 'abort'));
  return plan.disks.map((disk, at) =>
    diskOf(disk, result?.disks[at], isSwitched && result?.strategy !== null, jobsOf(plan, at)),
  );
}

function diskOf(
  plan: DiskPlan,
  told: DiskResult | undefined,
  isSwitched: boolean,
  jobs: readonly string[],
): Disk {
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
    jobs,
    after: told?.after?.chain.toReversed() ?? null,
  };
}

function jobsOf(plan: Plan, at: number): readonly string[] {
  return stagesOf(plan).flatMap(stage => {
    const disk = stage.plan.disks[at];
    return disk === undefined ? [] : [jobName(stage.plan, disk), disk.names.undoJob];
  });
}
