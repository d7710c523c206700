/** What a plan says is done to one disk's chain. Pure. */
import { BlocksagaError } from '../../errors.ts';
import type { DiskPlan, Rewrite, RewritePlan } from '../../plan/plan.ts';

/** What is done to this disk. Throws JOURNAL for a plan that does not say. */
export function rewriteOf(plan: RewritePlan, disk: DiskPlan): Rewrite {
  const rewrite = plan.rewrites[disk.index];
  if (rewrite === undefined)
    throw new BlocksagaError('JOURNAL', `the plan lacks what is done to disk ${disk.disk}`);
  return rewrite;
}
