/** Which targets are filled before they are mirrored to: those that do not stand on what their mirror leaves out. Pure. */
import type { DiskPlan, Plan } from './plan.ts';

export function filledDisks({ disks }: Pick<Plan, 'disks'>): readonly DiskPlan[] {
  return disks.filter(({ image }) => image.openedOn !== undefined);
}
