/** Which old images of a stage QEMU had open still when their disks had left them, as its records say. It only reads. */
import { member } from '../../journal/body.ts';
import type { OfflinePart } from './offline-parts.ts';

/** Their files. */
export function keptOpen({ plan, records }: Pick<OfflinePart, 'plan' | 'records'>): readonly string[] {
  const closed = records.findLast(({ kind, step }) => kind === 'outcome' && step === 'closeOldNodes');
  const kept = member(member(closed?.body ?? null, 'value'), 'kept');
  if (!Array.isArray(kept)) return [];
  return plan.disks.filter(({ node }) => kept.includes(node)).map(({ file }) => file);
}
