/**
 * What a storage daemon exports, told as QEMU tells of a guest's disks (`query-block`): each export is a disk, called by its id,
 * on the node that it serves now. Asks nothing.
 */
import type { BlockDeviceInfo, BlockExportInfo, BlockInfo } from '../qmp/schema.generated.ts';

/** `nodes` with the images below each: a flat list does not tell of them. */
export function exportedDisks(
  exports: readonly BlockExportInfo[],
  nodes: readonly BlockDeviceInfo[],
): readonly BlockInfo[] {
  return exports.flatMap(({ id, 'node-name': name, 'shutting-down': isLeaving }) => {
    const inserted = nodes.find(node => node['node-name'] === name);
    if (isLeaving || inserted === undefined) return [];
    return [{ device: id, type: 'unknown', removable: false, locked: false, inserted }];
  });
}
