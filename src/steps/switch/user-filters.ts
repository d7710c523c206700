/**
 * Whether the guest is on the filters of the user's by which its disks are switched: another client may take it off them at any
 * moment, and a filter without a device on it is moved all the same. Looks only.
 */
import { BlocksagaError } from '../../errors.ts';
import { Edges } from '../../guest/edges.ts';
import { blockOf } from '../../guest/graph.ts';
import { hasFilter } from '../../plan/filters.ts';
import type { DiskPlan, SwitchPlan } from '../../plan/plan.ts';
import type { BlockInfo } from '../../qmp/schema.generated.ts';
import type { StepContext } from '../step/step.ts';

/** Throws VERIFY_FAILED where a filter was moved that the guest is not on: a third party has taken its device off. */
export function expectOnFilters(disks: readonly DiskPlan[], blocks: readonly BlockInfo[]): void {
  for (const disk of disks) {
    const node = blockOf(blocks, disk)?.inserted?.['node-name'];
    const filter = disk.filters?.[0]?.node ?? node;
    if (node === filter) continue;
    throw new BlocksagaError(
      'VERIFY_FAILED',
      `disk ${disk.disk} should be below its filter ${filter} when it is switched, but QEMU says ${node ?? 'nothing'}: a third party has set its drive`,
      { disk: disk.disk },
    );
  }
}

/** Of filters of the user's: which are above the new image, with a device on them or without; a third party may have taken the guest off. */
export async function movedFilters({
  qmp,
  plan,
}: Pick<StepContext<SwitchPlan>, 'qmp' | 'plan'>): Promise<(disk: DiskPlan) => boolean> {
  if (!plan.disks.some(hasFilter)) return () => false;
  const edges = new Edges(await qmp.execute('x-debug-query-block-graph'));
  return ({ filters, goal }) => {
    const lowest = filters?.at(-1)?.node;
    return lowest !== undefined && edges.child(lowest, 'file') === goal;
  };
}
