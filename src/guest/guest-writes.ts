/**
 * What the guest's devices have written, by QEMU's own count. While a guest is paused it does not rise, so that a guest that was resumed
 * and stopped again, while nothing looked, is known by it. Devices that QEMU does not count for (`sd-card`) show nothing here.
 *
 * It is asked in the pause, and `query-blockstats` tells of each node below each disk, of those below a filter twice: 5 ms for eight disks
 * with six images each. The human monitor tells of the disks alone. Its text is read for this one number, which is held against what the
 * same QEMU has written before; a text of another form tells nothing.
 */
import type { Reply } from '../qmp/client.ts';

export const WRITES = {
  execute: 'human-monitor-command',
  arguments: { 'command-line': 'info blockstats' },
} as const;

/** One for each disk, in each form. */
const DISK = /\bidle_time_ns=/g;
/** A line for each disk, and the table of 11.1, whose second column it is (hmp_info_blockstats()). */
const FORMS = [/(?<= )wr_operations=(\d+)/g, /^Write: +\d+ +(\d+)/gm];

/** Of all disks: a guest that only wrote to others has run as well. Undefined where QEMU does not say. */
export function writesIn(reply: Reply<string>): number | undefined {
  if (!reply.ok) return undefined;
  const { value: text } = reply;
  const disks = [...text.matchAll(DISK)].length;
  const counts = FORMS.map(form => [...text.matchAll(form)]).find(({ length }) => length === disks);
  if (disks === 0 || counts === undefined) return undefined;
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}
