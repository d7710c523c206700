/** The law about filters that are not the saga's: they stay above their disks, in their order. */
import type { DiskSight } from '../account/sight.ts';
import type { EndCheck } from './each-end.ts';

const PREFIX = 'bs-';

/** At committed and rolledBack each disk is below the filters of its administrator that it was below before. */
export const filtersStay: EndCheck = ({ pardon, outcome, result, before, now }) => {
  if (!now.alive || (outcome !== 'committed' && outcome !== 'rolledBack')) return undefined;
  if (pardon.excuses('filters stay', { outcome, result, now })) return undefined;
  for (const [index, disk] of now.disks.entries()) {
    if (disk.left !== undefined) continue;
    const [was, is] = [theirs(before.disks[index]), theirs(disk)];
    if (was !== is) return `${disk.device} was below ${was || 'no filter'} and is below ${is || 'none'}`;
  }
  return undefined;
};

/** Jobs' filters have names of QEMU's own making, a saga's begin as all of its names do. */
function theirs(disk: DiskSight | undefined): string {
  const names = disk?.filters ?? [];
  return names.filter(name => !name.startsWith('#') && !name.startsWith(PREFIX)).join(', ');
}
