/**
 * A mark in QEMU itself, put there right before the mirrors are ended: the guest stands still, and each of them followed it
 * to the last byte. A mirror that has ended well without it was ended earlier by somebody else, and its target may lack what
 * the guest has written since. The journal cannot say so: while the guest stands still its records are not waited for.
 */
import type { Reply } from '../qmp/client.ts';
import { settlingName } from './names.ts';
import type { StepContext } from './step.ts';

type Settling = Pick<StepContext, 'qmp' | 'plan'>;

/**
 * Sends the mark and gives what waits for the answer. A refusal is of no consequence: without the mark an end that nobody
 * saw counts as somebody else's.
 */
export function markSettling({ qmp, plan }: Settling): Promise<readonly Reply[]> {
  if (!plan.marksQemu) return Promise.resolve([]);
  return qmp.pipeline([
    { execute: 'object-add', arguments: { 'qom-type': 'throttle-group', id: settlingName(plan.token) } },
  ]);
}

export async function isSettling({ qmp, plan }: Settling): Promise<boolean> {
  if (!plan.marksQemu) return false;
  const objects = await qmp.execute('qom-list', { path: '/objects' });
  return objects.some(object => object.name === settlingName(plan.token));
}

export async function unmarkSettling(context: Settling): Promise<void> {
  if (!(await isSettling(context))) return;
  await context.qmp.execute('object-del', { id: settlingName(context.plan.token) });
}
