/**
 * A mark in QEMU itself, put there right before the mirrors are ended: the guest is paused, and each of them followed
 * it to the last byte. A mirror found ended without this mark was ended earlier by a third party, and one of its sides
 * may lack what the guest has written since. It keeps how much the guest had written by then, by which a later process knows one that
 * was resumed and stopped again meanwhile. The journal cannot tell: during the pause its records are not waited for.
 */

import { WRITES, writesIn } from '../../guest/guest-writes.ts';
import { askNumber, countIn, markWith } from '../../guest/told-count.ts';
import { settlingName } from '../../plan/names.ts';
import type { Plan } from '../../plan/plan.ts';
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
export function settlingMark({
  plan,
  writesAtStop,
}: Pick<StepContext, 'plan' | 'writesAtStop'>): readonly Command[] {
  if (!isMarkedSettling(plan)) return [];
  return [markWith(settlingName(plan.token), numberOf(writesAtStop()))];
}

/** Whether such a mark is put, which is to tell what the guest had written by then. */
export function isMarkedSettling({ marksQemu, group }: Plan): boolean {
  return marksQemu && group === undefined;
}

/** How much the guest had written when it was stopped is not in the mark, or QEMU does not say how much it has by now. */
const UNKNOWN = 0;

function numberOf(writes: number | undefined): number {
  return writes === undefined ? UNKNOWN : writes + 1;
}

async function isThere({ qmp, plan }: Settling): Promise<boolean> {
  if (!plan.marksQemu) return false;
  const objects = await qmp.execute('qom-list', { path: '/objects' });
  return objects.some(object => object.name === settlingName(plan.token));
}

/**
 * It is there, and the guest has written nothing since: one may have been resumed and stopped again while nothing looked. Where that
 * cannot be told it proves nothing, but for a storage daemon, which has no guest.
 */
async function isSettling(context: Settling): Promise<boolean> {
  if (!(await isThere(context))) return false;
  if (context.plan.withoutGuest) return true;
  const { atStop, byNow } = await lookAtWrites(context);
  return atStop !== UNKNOWN && atStop === byNow;
}

/** For a process that comes back into a pause: what the guest has written by now, and whether the mark says less of its `stop`. */
export async function writtenSince({ qmp, plan }: Settling): Promise<Written> {
  if (!isMarkedSettling(plan) || plan.withoutGuest) return { writes: undefined, hasRun: false };
  const { atStop, byNow } = await lookAtWrites({ qmp, plan });
  return {
    writes: byNow === UNKNOWN ? undefined : byNow - 1,
    hasRun: atStop !== UNKNOWN && atStop !== byNow,
  };
}

interface Written {
  /** For the mark of this process, where an earlier one has left none. */
  readonly writes: number | undefined;
  /** Also where QEMU does not say by now. */
  readonly hasRun: boolean;
}

async function lookAtWrites({ qmp, plan }: Settling): Promise<{ atStop: number; byNow: number }> {
  const [told, writes] = await qmp.pipeline([askNumber(settlingName(plan.token)), WRITES]);
  return { atStop: countIn(told), byNow: numberOf(writesIn(writes)) };
}

export async function unmarkSettling(context: Settling): Promise<void> {
  if (!(await isThere(context))) return;
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
