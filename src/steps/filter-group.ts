/**
 * Adds the throttle group without limits that the switch's filter nodes belong to. It also marks this QEMU process as
 * the one in which the saga began: another process behind the same socket does not have it.
 */
import { groupName } from './names.ts';
import type { CopyPlan } from './plan.ts';
import { probeDisks, type Step, type StepContext } from './step.ts';

export const addFilterGroup: Step<CopyPlan> = {
  name: 'addFilterGroup',

  async probe(context) {
    const there = await exists(context);
    return probeDisks(context.plan.disks, () => (there ? 'present' : 'absent'));
  },

  async do({ qmp, plan }) {
    await qmp.execute('object-add', { 'qom-type': 'throttle-group', id: groupName(plan.token) });
    return null;
  },

  async undo(context) {
    if (await exists(context)) await context.qmp.execute('object-del', { id: groupName(context.plan.token) });
  },
};

/** Takes the group away when the filters are gone; its undo would only put it back. */
export const dropFilterGroup: Step<CopyPlan> = {
  name: 'dropFilterGroup',
  irreversible: 'only cleans up after the decision',

  async probe(context) {
    const there = await exists(context);
    return probeDisks(context.plan.disks, () => (there ? 'absent' : 'present'));
  },

  async do({ qmp, plan }) {
    await qmp.execute('object-del', { id: groupName(plan.token) });
    return null;
  },
};

async function exists({ qmp, plan }: StepContext<CopyPlan>): Promise<boolean> {
  const objects = await qmp.execute('qom-list', { path: '/objects' });
  return objects.some(object => object.name === groupName(plan.token));
}
