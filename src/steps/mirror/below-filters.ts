/**
 * Looks, right in front of a job that begins at a filter, whether its disk's image is below that filter still. QEMU begins no job at
 * an image on which a third party has put an overlay; at the filter above both it does: a commit then takes the image out of the
 * chain by itself unless it is finalized by hand, a mirror of the active image copies the overlay.
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
    if (below !== node) throw movedBelow({ disk, node }, filter, below);
  }
}

/**
 * Throws FOREIGN where the job of this error has failed for an overlay that a third party put there between the look and the job:
 * in the place of the job's own filter, which is right above the image of a job that runs as it should.
 */
export async function expectNothingBetween(
  { qmp }: Pick<StepContext, 'qmp'>,
  disks: readonly DiskPlan[],
  error: unknown,
): Promise<void> {
  if (!(error instanceof BlocksagaError) || error.code !== 'JOB_FAILED') return;
  const failed = disks.find(({ disk }) => disk === error.disk);
  const filter = failed?.filters?.at(-1)?.node;
  if (failed === undefined || filter === undefined) return;
  const [drawn] = await qmp.pipeline([{ execute: 'x-debug-query-block-graph' }]);
  if (!drawn.ok) return; // the job's own error says enough
  const edges = new Edges(drawn.value);
  const below = edges.child(filter, 'file');
  if (below === failed.node || edges.child(below ?? '', 'backing') === failed.node) return;
  throw movedBelow(failed, filter, below);
}

function movedBelow(
  { disk, node }: Pick<DiskPlan, 'disk' | 'node'>,
  filter: string,
  below: string | undefined,
): BlocksagaError {
  return new BlocksagaError(
    'FOREIGN',
    `disk ${disk}: a third party has put ${below ?? 'nothing'} where ${node} was, below the filter ${filter}; ask again for the chain as it is now`,
    { disk, effect: 'notApplied' },
  );
}
