/**
 * The commands on the filter above a disk by which it is switched: the saga's own, or the throttle that the user has right
 * above the image. Asks nothing.
 */

import { ownFilter } from '../../plan/filters.ts';
import { groupName } from '../../plan/names.ts';
import type { DiskPlan, SwitchPlan } from '../../plan/plan.ts';
import type { Command } from '../../qmp/client.ts';

/** One command for all disks: QEMU prepares all, then commits all or none (`qmp_blockdev_reopen`, blockdev.c). */
export function reopenCommand(
  plan: SwitchPlan,
  child: (disk: DiskPlan) => string,
): Command<'blockdev-reopen'> {
  const options = plan.disks.map(disk => {
    const lowest = disk.filters?.at(-1);
    return {
      driver: 'throttle' as const,
      'node-name': lowest?.node ?? disk.names.filter,
      ...(lowest?.options ?? { 'throttle-group': groupName(plan.token) }),
      file: child(disk),
    };
  });
  return { execute: 'blockdev-reopen', arguments: { options } };
}

export function addFilter(plan: SwitchPlan, disk: DiskPlan): Command<'blockdev-add'> {
  return {
    execute: 'blockdev-add',
    arguments: {
      driver: 'throttle',
      'node-name': disk.names.filter,
      ...(ownFilter(disk)?.options ?? { 'throttle-group': groupName(plan.token) }),
      discard: 'unmap', // a reopen leaves that as it is
      file: disk.node,
    },
  };
}

export function deleteNode(disk: DiskPlan): Command<'blockdev-del'> {
  return { execute: 'blockdev-del', arguments: { 'node-name': disk.names.filter } };
}
