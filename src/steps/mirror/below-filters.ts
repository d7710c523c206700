/**
 * Looks, right in front of a job that begins at a filter of the user's, whether its disk's image is below that filter still. QEMU
 * begins no job at an image on which a third party has put an overlay; at the filter above both it does: a commit then takes the
 * image out of the chain by itself, a mirror of the active image copies the overlay.
 */
import { BlocksagaError } from '../../errors.ts';
import { Edges } from '../../guest/edges.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import type { StepContext } from '../step/step.ts';

/** Throws FOREIGN, with nothing begun. */
export async function expectBelowFilters(
  { qmp }: Pick<StepContext, 'qmp'>,
  disks: readonly DiskPlan[],
): Promise<void> {
  const filtered = disks.filter(({ filters = [] }) => filters.length > 0);
  if (filtered.length === 0) return;
  const edges = new Edges(await qmp.execute('x-debug-query-block-graph'));
  for (const { disk, node, filters = [] } of filtered) {
    const filter = filters.at(-1)?.node ?? '';
    const below = edges.child(filter, 'file');
    if (below === node) continue;
    throw new BlocksagaError(
      'FOREIGN',
      `disk ${disk}: a third party has put ${below ?? 'nothing'} where ${node} was, below the filter ${filter}; ask again for the chain as it is now`,
      { disk, effect: 'notApplied' },
    );
  }
}
