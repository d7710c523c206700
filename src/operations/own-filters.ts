/**
 * Which disks of a switch by `reopen` get their filter before the mirrors start, outside the pause: what is known of the guest and of
 * QEMU's names decides it, here and nowhere else. The others get theirs within the pause. Asks nothing.
 */

import type { FilterNode } from '../plan/filters.ts';
import { groupName } from '../plan/names.ts';
import type { DiskPlan, Strategy } from '../plan/plan.ts';
import type { GuestDisk, Survey } from './survey.ts';

/**
 * Every kind of device outside iothreads takes a filter while its guest runs (virtio-blk, scsi-hd, nvme, ide-hd, usb-storage, sd-card,
 * on QEMU 7.2, 10.0 and 11.1); QEMU 7.2 dies of one above a disk that is in an iothread.
 */
export function withOwnFilters(
  disks: readonly DiskPlan[],
  sources: readonly GuestDisk[],
  { survey, strategy, token }: { survey: Survey; strategy: Strategy | null; token: string },
): readonly DiskPlan[] {
  if (strategy !== 'reopen' || survey.iothreads) return disks;
  return disks.map((disk, at) =>
    disk.filters === undefined && !sources[at]?.isCutShort && isShortBelow(disk)
      ? { ...disk, filters: [filterOf(disk, token)] }
      : disk,
  );
}

/**
 * All that passes through it does so as without it; zeroes are detected by the image's own node. Restated is only what is not QEMU's
 * default: in a paused guest each option of eight disks takes QEMU 0.3 to 0.5 ms to read.
 */
function filterOf({ names, cache }: DiskPlan, token: string): FilterNode {
  const flags = { ...(cache.direct ? { direct: true } : {}), ...(cache.noFlush ? { 'no-flush': true } : {}) };
  return {
    node: names.filter,
    driver: 'throttle',
    own: true,
    options: {
      'throttle-group': groupName(token),
      ...(Object.keys(flags).length > 0 ? { cache: flags } : {}),
    },
  };
}

/** QEMU keeps 4095 bytes of a name (PATH_MAX), in which a chain that no header says stands as JSON. */
const NAME_BYTES_MAX = 3_500;
const OPTIONS_BYTES = 200;

/** Below a filter an image is known by its name alone, which must not be cut short. */
function isShortBelow({ image, chain }: DiskPlan): boolean {
  const named = [image, ...(image.backing === null ? [] : [image.backing]), ...image.below];
  return [named, chain].every(images => {
    const bytes = images.map(({ file }) => JSON.stringify(escaped(file)).length + OPTIONS_BYTES);
    return bytes.reduce((sum, each) => sum + each, 0) <= NAME_BYTES_MAX;
  });
}

/** As QEMU writes text in JSON. */
function escaped(text: string): string {
  return text.replaceAll(/[^ -~]/g, '\\u0000');
}
