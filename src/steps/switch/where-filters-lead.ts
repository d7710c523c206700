/**
 * Where disks go when the filters of a switch are moved or leave, as a third party has left the nodes by then: with an overlay or an
 * image of its own in between, or with a filter moved. It decides for no side.
 */
import { Edges } from '../../guest/edges.ts';
import type { Graph } from '../../guest/graph.ts';
import type { DiskPlan, SwitchPlan } from '../../plan/plan.ts';
import type { QmpClient } from '../../qmp/client.ts';
import { standOn } from '../prepare/reopen-image.ts';
import { throwFirst } from '../step/replies.ts';
import type { StepContext } from '../step/step.ts';

/**
 * The node that a disk ends on, with the filter away: below that a third party may have put an overlay on the image. One that has moved
 * the filter back to the old image has changed nothing that the guest reads while it is paused.
 */
export function endOf({ pausedThroughout }: StepContext<SwitchPlan>, edges: Edges, disk: DiskPlan): string {
  const child = edges.child(disk.names.filter, 'file') ?? disk.goal;
  return edges.below([child]).has(disk.goal) || !pausedThroughout() ? child : disk.goal;
}

/** A third party may have put an image on the filter that is above its source: without the filter it stands on that. */
export async function takeOffFilters(
  qmp: QmpClient,
  disks: readonly DiskPlan[],
  graph: Graph,
): Promise<void> {
  const filtered = disks.filter(disk => graph.node(disk.names.filter) !== undefined);
  if (filtered.length === 0) return;
  const edges = new Edges(await qmp.execute('x-debug-query-block-graph'));
  const covering = filtered.filter(({ names }) => edges.child(names.image, 'backing') === names.filter);
  const commands = covering.map(disk => standOn(disk, edges.child(disk.names.filter, 'file') ?? disk.node));
  throwFirst(covering, await qmp.pipeline(commands));
}
