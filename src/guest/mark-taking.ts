/**
 * A mark in QEMU itself, in the same write as the snapshot and right in front of it; of snapshots that are taken one by one, in
 * front of their pause, in which nothing else would be there for a next process to know its own paused guest by. A third party's
 * `blockdev-snapshot` leaves QEMU's graph as the snapshot does; only the mark tells whether a saga has come so far, which an
 * older copy of its journal does not know.
 */
import { takingName } from '../plan/names.ts';
import type { Plan } from '../plan/plan.ts';
import type { Command, QmpClient } from '../qmp/client.ts';

/** What puts the mark, and is of no consequence when it is refused; null for a QEMU that cannot be marked. */
export function takingMark({ marksQemu, token }: Plan): Command<'object-add'> | null {
  if (!marksQemu) return null;
  return { execute: 'object-add', arguments: { 'qom-type': 'throttle-group', id: takingName(token) } };
}

export async function isTaking(qmp: QmpClient, { token }: Plan): Promise<boolean> {
  const objects = await qmp.execute('qom-list', { path: '/objects' });
  return objects.some(({ name }) => name === takingName(token));
}

/** Takes it away, where it is there. */
export async function unmarkTaking(qmp: QmpClient, plan: Plan): Promise<void> {
  if (!plan.marksQemu || !(await isTaking(qmp, plan))) return;
  await qmp.execute('object-del', { id: takingName(plan.token) });
}
