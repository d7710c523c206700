/** The undo of the steps that end mirrors in the pause: the disks go back to their sources, then what was put there for the end goes. */
import type { SwitchPlan } from '../../plan/plan.ts';
import { unmarkSettling } from '../pause/mark-settling.ts';
import type { StepContext } from '../step/step.ts';
import { uncarryBitmaps } from './carry-bitmaps.ts';
import { undoPivots } from './undo-pivots.ts';

export async function undoEndedMirrors(context: StepContext<SwitchPlan>): Promise<void> {
  await undoPivots(context);
  await uncarryBitmaps(context);
  await unmarkSettling(context);
}
