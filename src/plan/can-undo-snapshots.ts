/** What a version of QEMU can do about the overlays of a snapshot that are to go again: from the plan alone. */
import type { PlanBase } from './plan.ts';

/** Whether this QEMU can put disks back on what is below their overlays while the guest runs. */
export function canUndoSnapshots({ jobsVanishOnEnd, capabilities, disks }: PlanBase): boolean {
  if (jobsVanishOnEnd === undefined) return true;
  const callable = jobsVanishOnEnd === 'byId' || disks.every(({ drive }) => drive !== '');
  return callable && capabilities.includes('active-commit');
}
