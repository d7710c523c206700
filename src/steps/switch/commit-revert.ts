/**
 * Keeps the disks on the images of a revert when a third party has resumed the guest on them before the decision: what
 * it has written there is nowhere else. Changes nothing.
 */
import { BlocksagaError } from '../../errors.ts';
import type { RevertPlan } from '../../plan/plan.ts';
import type { Step } from '../step/step.ts';
import { probeImages } from './switch-by-reopen.ts';

export const commitRevert: Step<RevertPlan> = {
  name: 'commitRevert',
  decision: 'afterwards',
  rollsBack: 'never',
  irreversible: 'nothing else holds what the guest has written since',

  probe: probeImages,

  async do(context) {
    const { absent } = await probeImages(context);
    const [away] = absent;
    if (away === undefined) return null;
    throw new BlocksagaError('VERIFY_FAILED', `disk ${away.disk} is not on ${away.image.file} any more`, {
      disk: away.disk,
    });
  },
};
