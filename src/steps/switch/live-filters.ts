/**
 * The saga's filters above disks of a guest that may run: put in before the mirrors start, and taken out when the guest is on its
 * new images, so that the pause holds neither. What the guest reads and writes is the same with a filter and without. A disk in
 * an iothread gets its filter within the pause instead (`switch-by-reopen.ts`): QEMU dies otherwise. Setting `drive` to what it is
 * already kills 7.2, so each attempt looks first.
 */
import { BlocksagaError } from '../../errors.ts';
import { Edges } from '../../guest/edges.ts';
import { blockOf, readGraph } from '../../guest/graph.ts';
import { setDrive } from '../../guest/set-drive.ts';
import { ownFilter } from '../../plan/filters.ts';
import type { DiskPlan, SwitchPlan } from '../../plan/plan.ts';
import type { QmpClient } from '../../qmp/client.ts';
import { valueIn } from '../../qmp/reply-values.ts';
import type { BlockInfo } from '../../qmp/schema.generated.ts';
import { keepsCopies } from '../mirror/await-signal.ts';
import { closeUnneeded, closeUnusedImages, leaving } from '../prepare/close-images.ts';
import { openedAs } from '../prepare/create-images.ts';
import { throwFirst } from '../step/replies.ts';
import { probeDisks, type Step, type StepContext } from '../step/step.ts';
import { addFilter, deleteNode } from './filter-commands.ts';
import { takeOffFilters } from './where-filters-lead.ts';

export const insertFiltersLive: Step<SwitchPlan> = {
  name: 'insertFiltersLive',

  async probe({ qmp, plan }) {
    const blocks = await qmp.execute('query-block');
    return probeDisks(plan.disks, disk => (isOn(blocks, disk) || !ownFilter(disk) ? 'present' : 'absent'));
  },

  async do({ qmp, plan }, todo) {
    const disks = todo.filter(ownFilter);
    const graph = await readGraph(qmp);
    const missing = disks.filter(disk => graph.node(disk.names.filter) === undefined);
    throwFirst(missing, await qmp.pipeline(missing.map(disk => addFilter(plan, disk))));
    const { blocks, edges } = await look(qmp);
    for (const disk of disks) expectFound(disk, blocks, edges);
    throwFirst(disks, await qmp.pipeline(disks.map(disk => setDrive(disk, disk.names.filter))));
    return null;
  },

  /** Without a record of it nothing was begun; what a third party has put below a filter stays in front. */
  async undo(context) {
    // While a disk is taken off its filter a third party could set it to one of these, unseen.
    await closeUnusedImages(context);
    await takeOut(context);
  },
};

export const removeFiltersLive: Step<SwitchPlan> = {
  name: 'removeFiltersLive',
  irreversible: 'only cleans up after the decision',

  async probe({ qmp, plan }) {
    const graph = await readGraph(qmp);
    return probeDisks(plan.disks, disk =>
      ownFilter(disk) && graph.node(disk.names.filter) !== undefined ? 'absent' : 'present',
    );
  },

  async do(context) {
    const { plan, outcomes } = context;
    await closeUnneeded(context, keepsCopies(plan, outcomes) ? openedAs : leaving);
    await takeOut(context);
    return null;
  },
};

interface Seen {
  readonly blocks: readonly BlockInfo[];
  readonly edges: Edges;
}

async function look(qmp: QmpClient): Promise<Seen> {
  const [blocks, drawn] = await qmp.pipeline([
    { execute: 'query-block' },
    { execute: 'x-debug-query-block-graph' },
  ]);
  return { blocks: valueIn(blocks), edges: new Edges(valueIn(drawn)) };
}

function isOn(blocks: readonly BlockInfo[], disk: DiskPlan): boolean {
  return frontOf(blocks, disk) === disk.names.filter;
}

function frontOf(blocks: readonly BlockInfo[], disk: DiskPlan): string | undefined {
  return blockOf(blocks, disk)?.inserted?.['node-name'];
}

/** Throws FOREIGN where the device is not right on its image any more: a filter above that would hide what is in between. */
function expectFound(disk: DiskPlan, blocks: readonly BlockInfo[], edges: Edges): void {
  const { node, names } = disk;
  const front = frontOf(blocks, disk);
  const [between] = edges.nodesAbove(node).filter(name => name !== names.filter);
  const isAsFound = front === node && between === undefined && edges.child(names.filter, 'file') === node;
  if (isAsFound) return;
  throw new BlocksagaError(
    'FOREIGN',
    `disk ${disk.disk} was on node ${node} when this saga was planned, and a third party has changed that: ` +
      `its device is on ${between ?? front ?? 'nothing'} now`,
    { disk: disk.disk },
  );
}

/**
 * Puts each device right on what its filter is above, whatever that is by now: the guest reads the same. A device that a third party has
 * taken off its filter stays where it is.
 */
async function takeOut(context: StepContext<SwitchPlan>): Promise<void> {
  const { qmp, plan, outcomes } = context;
  const graph = await readGraph(qmp);
  const there = plan.disks.filter(disk => ownFilter(disk) && graph.node(disk.names.filter) !== undefined);
  if (there.length === 0) return;
  const { blocks, edges } = await look(qmp);
  const onFilter = there.filter(disk => isOn(blocks, disk));
  for (const disk of onFilter) expectNothingBetween(disk, edges);
  const below = (disk: DiskPlan) => edges.child(disk.names.filter, 'file') ?? disk.goal;
  throwFirst(onFilter, await qmp.pipeline(onFilter.map(disk => setDrive(disk, below(disk)))));
  const leading = await takeOffFilters(qmp, there, graph);
  // The end of a mirror, too, takes a disk off its filter, which then stays where it was.
  const wasReopened = outcomes.has('reopenFilters');
  const endOf = (disk: DiskPlan) => {
    if (onFilter.includes(disk)) return below(disk);
    return wasReopened ? frontOf(blocks, disk) : undefined;
  };
  const moved = (disk: DiskPlan) => movedFrom(disk, endOf(disk), leading);
  const free = there.filter(disk => overlayOn(disk, edges) === undefined && moved(disk) === undefined);
  throwFirst(free, await qmp.pipeline(free.map(deleteNode)));
  for (const disk of there) {
    expectNoOverlay(disk, blocks, edges);
    expectNotMoved(disk, moved(disk));
  }
}

/** The node below a filter that its device has left for another one: a third party has moved it at that very instant. */
function movedFrom(
  { names, goal, node }: DiskPlan,
  end: string | undefined,
  edges: Edges | undefined,
): string | undefined {
  const child = edges?.child(names.filter, 'file');
  return child !== end && (end === goal || end === node) ? child : undefined;
}

/** The guest ran on that node for an instant, and the filter, which stays, is all that tells of it. */
function expectNotMoved({ disk, names }: DiskPlan, node: string | undefined): void {
  if (node === undefined) return;
  throw new BlocksagaError(
    'FOREIGN',
    `disk ${disk}: a third party has put the saga's filter ${names.filter} on node ${node} right before the guest left it: what the ` +
      `guest wrote in between is on ${node} alone; take from that what is needed, remove the filter (blockdev-del ${names.filter}), ` +
      'then resume the saga',
    { disk },
  );
}

/** A job of a third party may have put a filter of its own in between, which would not see any more what the guest writes. */
function expectNothingBetween({ disk, names }: DiskPlan, edges: Edges): void {
  const [between] = edges.nodesAbove(names.filter);
  if (between === undefined) return;
  throw new BlocksagaError(
    'DISK_BUSY',
    `disk ${disk}: node ${between} of a third party stands on the saga's filter ${names.filter}, as the filter of a job does: ` +
      'the saga takes its own out when that job has ended',
    { disk, retryable: true, effect: 'notApplied' },
  );
}

/** An overlay that a third party has put above a filter, rather than below it. */
function overlayOn({ names }: DiskPlan, edges: Edges): string | undefined {
  const above = edges.nodesAbove(names.filter);
  return above.find(name => name !== names.image && edges.child(name, 'backing') === names.filter);
}

function expectNoOverlay(disk: DiskPlan, blocks: readonly BlockInfo[], edges: Edges): void {
  const overlay = overlayOn(disk, edges);
  if (overlay === undefined) return;
  const { filter } = disk.names;
  const front = frontOf(blocks, disk) ?? overlay;
  const below = edges.child(filter, 'file') ?? disk.goal;
  throw new BlocksagaError(
    'FOREIGN',
    `disk ${disk.disk}: a third party has put ${overlay} above the saga's filter ${filter}, which QEMU cannot take out from under it; ` +
      `commit it (block-commit with device ${front} and base-node ${below}, then job-complete), then resume the saga`,
    { disk: disk.disk },
  );
}
