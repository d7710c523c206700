/** Which steps of a plan work in the pause of the guest, for what cannot ask the records of it. Knows no order. */

import type { Plan, Strategy } from '../plan/plan.ts';
import type { StepName } from '../steps/all-steps.ts';
import { keyOf, type StepKey } from '../steps/stages.ts';

/** The steps that change something between stopping the guest and letting it run. */
export function windowSteps(plan: Plan): readonly StepKey[] {
  if (plan.operation === 'snapshotMirror')
    return windowSteps(plan.mirror).map(step => keyOf('mirror', step) as StepKey);
  if (plan.operation === 'snapshot') return ['takeSnapshotsOneByOne'];
  return 'strategy' in plan && plan.strategy !== null ? SWITCH_STEPS[plan.strategy] : [];
}

const SWITCH_STEPS: Readonly<Record<Strategy, readonly StepName[]>> = {
  reopen: ['insertFilters', 'reopenFilters'],
  finalize: ['parkMirrors', 'finalizeMirrors'],
  complete: ['completeMirrors'],
};
