/** What is left to do of a step, asked of QEMU and of the files; never taken from what the saga believes. */
import { BlocksagaError, type Effect } from '../../errors.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import type { Step, StepContext } from '../../steps/step/step.ts';

/** The disks on which the step's effect is absent. Throws FOREIGN where something is that the saga did not make. */
export async function missing(step: Step, context: StepContext): Promise<readonly DiskPlan[]> {
  const { absent, foreign } = await step.probe(context);
  const lost = foreign[0];
  if (lost === undefined) return absent;
  throw new BlocksagaError(
    'FOREIGN',
    `disk ${lost.disk}: what ${step.name} would make is there but was not made by this saga, or was removed by a third party`,
    { disk: lost.disk },
  );
}

/** A failure of what may have taken effect in part, or in an earlier attempt: it must not count as not applied. */
export function inDoubt(error: unknown): never {
  throw having(error, 'unknown');
}

/** A look changes nothing: whatever it failed with, what it went before has not been begun. */
export function notBegun(error: unknown): never {
  throw having(error, 'notApplied');
}

function having(error: unknown, effect: Effect): unknown {
  return error instanceof BlocksagaError ? BlocksagaError.fromRecord({ ...error.toJSON(), effect }) : error;
}
