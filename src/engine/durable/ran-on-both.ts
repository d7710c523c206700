/**
 * The verdict that a guest has run on both sides of its disks, neither of which holds all that it wrote, as the journal keeps it: for good,
 * so that no later process of the saga, and no recovery without QEMU, removes an image of them or writes over one. Pure.
 */
import { member } from '../../journal/body.ts';
import type { JournalRecord, NewRecord } from '../../journal/journal.ts';

/** What it stands under: no step of a machine. */
export const RAN_ON_BOTH = 'ranOnBoth';

export const ranOnBoth = (disks: readonly number[]): NewRecord => ({
  kind: 'outcome',
  step: RAN_ON_BOTH,
  body: { value: { disks } },
});

/** The disks, by index. */
export function ranOnBothIn(records: readonly JournalRecord[]): ReadonlySet<number> {
  const found = new Set<number>();
  for (const { kind, step, body } of records) {
    const disks = kind === 'outcome' && step === RAN_ON_BOTH ? member(member(body, 'value'), 'disks') : null;
    if (Array.isArray(disks)) for (const index of disks) found.add(Number(index));
  }
  return found;
}
