/**
 * A mark in QEMU itself, put there right before the mirrors are ended: the guest is paused, and each of them followed
 * it to the last byte. A mirror found ended without this mark was ended earlier by a third party, and one of its sides
 * may lack what the guest has written since. The journal cannot tell: during the pause its records are not waited for.
 */

import { settlingName } from '../../plan/names.ts';
import type { Command } from '../../qmp/client.ts';
import type { StepContext } from '../step/step.ts';

type Settling = Pick<StepContext, 'qmp' | 'plan'>;

/** Whether both sides of every disk hold the same, as far as this process saw it or an earlier one has left word of it. */
export async function holdTheSame(context: Settling & Pick<StepContext, 'likeness'>): Promise<boolean> {
  const likeness = context.likeness();
  return likeness === 'alike' || (likeness === 'unknown' && (await isSettling(context)));
}

/**
 * Whether disks that are found on their other side were switched by this saga in its pause. A QEMU that cannot be marked
 * does not tell, after the death of a process; it is then taken to be so while the guest stays paused.
 */
export async function areOurs(
  context: Settling & Pick<StepContext, 'likeness' | 'decided'>,
): Promise<boolean> {
  if (context.decided) return true;
  return context.plan.marksQemu ? holdTheSame(context) : context.likeness() !== 'apart';
}

/**
 * The mark, to be sent in front of what ends the mirrors. A refusal does no harm: without the mark an end that was not seen
 * counts as a third party's. So it does of a member of a group, which rolls back in a later process and lets its guest write before
 * the group decides.
 */
export function settlingMark({ plan }: Pick<Settling, 'plan'>): readonly Command[] {
  if (!plan.marksQemu || plan.group !== undefined) return [];
  const mark = { 'qom-type': 'throttle-group', id: settlingName(plan.token) } as const;
  return [{ execute: 'object-add', arguments: mark }];
}

async function isSettling({ qmp, plan }: Settling): Promise<boolean> {
  if (!plan.marksQemu) return false;
  const objects = await qmp.execute('qom-list', { path: '/objects' });
  return objects.some(object => object.name === settlingName(plan.token));
}

export async function unmarkSettling(context: Settling): Promise<void> {
  if (!(await isSettling(context))) return;
  await context.qmp.execute('object-del', { id: settlingName(context.plan.token) });
}

/**
 * Takes the mark away, where it is there, of a pause from which a third party has resumed the guest. A refusal does no more harm than
 * the death of this process would: what it has seen itself counts for it.
 */
export async function retractSettling({ qmp, plan }: Settling): Promise<void> {
  if (!plan.marksQemu) return;
  await qmp.pipeline([{ execute: 'object-del', arguments: { id: settlingName(plan.token) } }]);
}
