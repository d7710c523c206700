/** The one QMP `transaction` that takes the snapshots of a plan, as its arguments. Pure. */
import type { DiskPlan, SnapshotPlan } from '../../plan/plan.ts';
import type { Command } from '../../qmp/client.ts';

type Actions = Command<'transaction'>['arguments']['actions'];

/** The whole command. */
export function transactionOf(plan: SnapshotPlan): Command<'transaction'> {
  return { execute: 'transaction', arguments: { actions: actionsOf(plan) } };
}

/** In an opened overlay a bitmap is made before it is in front; one that the transaction makes must be there first. */
function actionsOf(plan: SnapshotPlan): Actions {
  if (plan.method === 'transaction') {
    const actions = plan.disks.map(disk => ({
      type: 'blockdev-snapshot' as const,
      data: { node: disk.node, overlay: disk.names.image },
    }));
    return [...bitmapActions(plan), ...actions];
  }
  const actions = plan.disks.map(disk => ({
    type: 'blockdev-snapshot-sync' as const,
    data: snapshotSync(disk),
  }));
  return [...actions, ...bitmapActions(plan)];
}

/** Empty bitmaps of the same names in the overlays: backups that count on them continue without a gap. */
function bitmapActions({ bitmaps, disks }: SnapshotPlan) {
  return bitmaps.map(({ index, name, granularity, persistent = true }) => ({
    type: 'block-dirty-bitmap-add' as const,
    data: {
      node: disks.find(disk => disk.index === index)?.names.image ?? '',
      name,
      granularity,
      persistent,
    },
  }));
}

export function snapshotSync(disk: DiskPlan): Command<'blockdev-snapshot-sync'>['arguments'] {
  const { file, driver, create } = disk.image;
  const overlay = { 'snapshot-file': file, format: driver };
  // A node without a name is one of an old QEMU, which may not know `mode` either; creating is what it does by itself.
  if (disk.node === '') return { device: disk.drive, ...overlay, ...(create ? {} : { mode: 'existing' }) };
  return {
    'node-name': disk.node,
    'snapshot-node-name': disk.names.image,
    ...overlay,
    mode: create ? 'absolute-paths' : 'existing',
  };
}
