/**
 * Writes down on which side each disk is before an undo lets the guest write there: an offline recovery, which cannot ask
 * QEMU any more, believes the journal's last word. It only looks and writes.
 */
import { definedOnly } from '../../errors.ts';
import { readGraph } from '../../guest/graph.ts';
import type { Journal, Lease } from '../../journal/journal.ts';
import type { Plan } from '../../plan/plan.ts';
import type { QmpClient } from '../../qmp/client.ts';
import { sides } from './history.ts';

/** Durable on return; gives whether it was written. */
export async function recordSides(
  {
    journal,
    lease,
    plan,
    withinMs,
  }: {
    readonly journal: Pick<Journal, 'appendSync'>;
    readonly lease: Lease;
    readonly plan: Plan;
    /** What is left of the guest's pause. */
    readonly withinMs?: number;
  },
  step: string,
  qmp: QmpClient,
  isStillTrue: () => boolean,
): Promise<boolean> {
  const graph = await readGraph(qmp);
  if (!isStillTrue()) return false;
  const onImage = plan.disks.filter(disk => graph.showsImage(disk)).map(disk => disk.index);
  journal.appendSync(lease, [sides(step, onImage)], definedOnly({ withinMs }));
  return true;
}
