/**
 * What the guest's devices have been asked to write, by QEMU's own count. While a guest is paused it does not rise, so that a guest
 * that was resumed and stopped again, while nothing looked, is known by it. Devices that QEMU does not count for (`sd-card`) show
 * nothing here.
 */
import type { BlockDeviceStats, BlockStats } from '../qmp/schema.generated.ts';

export const STATS = { execute: 'query-blockstats' } as const;

/** Of all devices: one that only wrote to others has run as well. */
export function writesIn(stats: readonly BlockStats[]): number {
  return stats.reduce((sum, each) => sum + writesOf(each.stats), 0);
}

/** QEMUs of other versions lack some of these. */
function writesOf(stats: Partial<BlockDeviceStats>): number {
  const { wr_operations = 0, failed_wr_operations = 0, unmap_operations = 0 } = stats;
  return wr_operations + failed_wr_operations + unmap_operations;
}
