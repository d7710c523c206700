/** Which steps of a switch work in the pause of the guest, for what cannot ask the records of it. Knows no order. */

import type { RevertStrategy, Strategy } from '../plan/plan.ts';
import type { StepName } from '../steps/all-steps.ts';

/** What an undo has to look for even when no record tells of it. */
export const SWITCH_STEPS: Readonly<Record<Strategy | RevertStrategy, readonly StepName[]>> = {
  reopen: ['insertFilters', 'reopenFilters'],
  finalize: ['parkMirrors', 'finalizeMirrors'],
  complete: ['completeMirrors'],
  rebase: ['rebaseOverlays'],
};
