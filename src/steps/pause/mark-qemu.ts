/**
 * Marks the QEMU process in which the saga works: a throttle group without limits, named for the saga. After a broken
 * connection the mark tells that process from another one behind the same socket, whose disks are none of the saga's
 * business. The filter nodes of a switch belong to the same group.
 */
import { BlocksagaError } from '../../errors.ts';
import { allJobs } from '../../guest/all-jobs.ts';
import { endedStream } from '../../guest/ended-stream.ts';
import { listNodes } from '../../guest/graph.ts';
import { addCount } from '../../guest/told-count.ts';
import { countName, groupName, isOurs, settlingName, takingName } from '../../plan/names.ts';
import type { Plan } from '../../plan/plan.ts';
import type { Command, QmpClient } from '../../qmp/client.ts';
import { valueIfKnown } from '../../qmp/reply-values.ts';
import { probeDisks, type Step } from '../step/step.ts';

export const markQemu: Step = {
  name: 'markQemu',
  withoutDevices: true,

  async probe({ qmp, plan }) {
    const marked = await hasMark(qmp, plan);
    return probeDisks(plan.disks, () => (marked ? 'present' : 'absent'));
  },

  async do({ qmp, plan }) {
    const [mark] = await qmp.pipeline([markOf(plan), addCount(plan.token)]);
    if (!mark.ok) throw mark.error;
    return null;
  },

  async undo({ qmp, plan }) {
    const left = await marksLeft(qmp, plan);
    for (const id of [groupName(plan.token), countName(plan.token)])
      if (left.includes(id)) await qmp.execute('object-del', { id });
  },
};

/** What puts the mark. */
export function markOf({ token }: Plan): Command<'object-add'> {
  return { execute: 'object-add', arguments: { 'qom-type': 'throttle-group', id: groupName(token) } };
}

/** Takes the mark away when the saga is done. */
export const unmarkQemu: Step = {
  name: 'unmarkQemu',
  withoutDevices: true,
  irreversible: 'only cleans up after the decision',

  async probe({ qmp, plan }) {
    const isMarked = (await marksLeft(qmp, plan)).length > 0;
    return probeDisks(plan.disks, () => (isMarked ? 'absent' : 'present'));
  },

  async do({ qmp, plan }) {
    for (const id of await marksLeft(qmp, plan)) await qmp.execute('object-del', { id });
    return null;
  },
};

/** The saga's own mark behind the others, which without it would be those of a saga that has ended; what a third party leaves is as good. */
async function marksLeft(qmp: QmpClient, { token }: Plan): Promise<readonly string[]> {
  const objects = await qmp.execute('qom-list', { path: '/objects' });
  const ids = [settlingName(token), takingName(token), groupName(token), countName(token)];
  return ids.filter(id => objects.some(({ name }) => name === id));
}

/**
 * Throws QEMU_REPLACED unless this is the process that the saga has marked. Where a third party has taken the mark away, the
 * saga's other marks, its jobs and its nodes are as good.
 */
export async function expectMark(qmp: QmpClient, plan: Plan): Promise<void> {
  if ((await marksLeft(qmp, plan)).length > 0 || (await hasOurs(qmp, plan))) return;
  const { status } = await qmp.execute('query-status');
  const paused =
    status === 'paused'
      ? '. Its guest is paused: if this is the same QEMU, and a third party has taken the mark of the saga away, resume it (QMP: cont)'
      : '';
  throw new BlocksagaError(
    'QEMU_REPLACED',
    'another QEMU answers at this address now: the one in which this saga worked is gone, and its jobs and nodes with it. ' +
      `Which images are the right ones, \`blocksaga resume --offline\` says: stop this QEMU first, unless it runs on them${paused}`,
  );
}

async function hasOurs(qmp: QmpClient, plan: Plan): Promise<boolean> {
  if ((await allJobs(qmp)).some(({ id }) => isOurs(id, plan.token))) return true;
  // Some QEMUs die of listing their nodes while an ended stream has not been dismissed.
  if ((await endedStream(qmp)) !== undefined) return false;
  const nodes = valueIfKnown((await qmp.pipeline([listNodes(qmp)]))[0]) ?? [];
  return nodes.some(node => isOurs(node['node-name'] ?? '', plan.token));
}

export async function hasMark(qmp: QmpClient, plan: Plan): Promise<boolean> {
  const objects = await qmp.execute('qom-list', { path: '/objects' });
  return objects.some(object => object.name === groupName(plan.token));
}
