/**
 * Where disks go when the filters of a switch are moved or leave, as a third party has left the nodes by then: with an overlay or an
 * image of its own in between, or with a filter moved. It decides for no side.
 */
import { Edges } from '../../guest/edges.ts';
import type { Graph } from '../../guest/graph.ts';
import { reviveSource } from '../../guest/revive-source.ts';
import { setDrive } from '../../guest/set-drive.ts';
import { hasFilter } from '../../plan/filters.ts';
import type { DiskPlan, SwitchPlan } from '../../plan/plan.ts';
import type { Command, QmpClient } from '../../qmp/client.ts';
import { closedImages, expectOldNames } from '../prepare/expect-names.ts';
import { standOn } from '../prepare/reopen-image.ts';
import { throwFirst } from '../step/replies.ts';
import type { StepContext } from '../step/step.ts';
import { deleteNode } from './filter-commands.ts';

/**
 * The node that a disk ends on, with the filter away: below that a third party may have put an overlay on the image. One that has moved
 * the filter back to the old image has changed nothing that the guest reads while it is paused.
 */
export function endOf({ pausedThroughout }: StepContext<SwitchPlan>, edges: Edges, disk: DiskPlan): string {
  const child = edges.child(disk.names.filter, 'file') ?? disk.goal;
  return edges.below([child]).has(disk.goal) || !pausedThroughout() ? child : disk.goal;
}

/**
 * A third party may have put an image on the filter that is above its source: without the filter it stands on that. Gives where the
 * filters lead by then.
 */
export async function takeOffFilters(
  qmp: QmpClient,
  disks: readonly DiskPlan[],
  graph: Graph,
): Promise<Edges | undefined> {
  const filtered = disks.filter(disk => graph.node(disk.names.filter) !== undefined);
  if (filtered.length === 0) return undefined;
  const edges = new Edges(await qmp.execute('x-debug-query-block-graph'));
  const covering = filtered.filter(({ names }) => edges.child(names.image, 'backing') === names.filter);
  const commands = covering.map(disk => standOn(disk, edges.child(disk.names.filter, 'file') ?? disk.node));
  throwFirst(covering, await qmp.pipeline(commands));
  return edges;
}

/** Puts each disk that is on a filter of the saga's on what is below that. */
export async function leaveFilters(context: StepContext<SwitchPlan>, graph: Graph): Promise<void> {
  const { qmp, plan } = context;
  const onFilter = plan.disks.filter(disk => graph.front(disk) === disk.names.filter);
  await expectOldNames(context, onFilter, closedImages(graph));
  if (onFilter.length === 0) return;
  // A `-drive`'s node is gone after a reopen, also after one that was undone.
  const edges = new Edges(await qmp.execute('x-debug-query-block-graph'));
  const commands: Command<'qom-set'>[] = [];
  for (const disk of onFilter) {
    // A third party may have put an overlay between the filter and the image; what it left there stays the active image.
    const below = edges.child(disk.names.filter, 'file');
    const isSource = below === undefined || below === disk.node;
    commands.push(setDrive(disk, isSource ? await reviveSource(qmp, graph, disk) : below));
  }
  throwFirst(onFilter, await qmp.pipeline(commands));
}

/** Those that were put in within the pause. */
export async function deleteFilters(qmp: QmpClient, disks: readonly DiskPlan[], graph: Graph): Promise<void> {
  const filters = disks.filter(disk => !hasFilter(disk) && graph.node(disk.names.filter) !== undefined);
  throwFirst(filters, await qmp.pipeline(filters.map(deleteNode)));
}
