/** A member of a group whose mirrors follow its guest meets the others: it waits for as long as they copy, and watches its mirrors. */
import type { SwitchPlan } from '../../plan/plan.ts';
import { abortedBy } from '../../qmp/until.ts';
import type { StepContext } from '../step/step.ts';
import { watchMirrors } from './watch-mirrors.ts';

/** Throws GROUP where the group is rolled back, ABORTED where this saga is asked to, and for a mirror that has ended. */
export async function meetBesideMirrors(
  context: StepContext<SwitchPlan>,
  meeting: Promise<void>,
): Promise<void> {
  const { abort } = context.signals;
  const what = 'the other members of the group';
  const met = new AbortController();
  const end = () => met.abort();
  meeting.then(end, end);
  await watchMirrors(context, what, AbortSignal.any([abort, met.signal]));
  if (abort.aborted) throw abortedBy(abort, what);
  await meeting;
}
