/**
 * How far the mirrors are behind the guest: one look at all of them, to be sent alone or behind other commands. It says
 * what is so and decides nothing.
 */

import { Edges } from '../../guest/edges.ts';
import { blockOf, frontOf, listNodes } from '../../guest/graph.ts';
import { rootAbove } from '../../guest/jobs-of-plan.ts';
import type { DiskPlan, Plan } from '../../plan/plan.ts';
import type { QmpClient, Reply } from '../../qmp/client.ts';
import type { JobInfo, JobTable } from '../../qmp/jobs.ts';
import { valueIfKnown, valueIn } from '../../qmp/reply-values.ts';
import type { BlockDeviceInfo, BlockInfo } from '../../qmp/schema.generated.ts';
import type { StepContext } from './step.ts';

/** What the mirrors' jobs are doing, and how many bytes are still to copy on all disks together. */
export interface Lag {
  readonly jobs: JobTable;
  readonly bytes: number;
  /** Whether every source node itself has the bitmap that tells, so that looking at the disks' front nodes is enough. */
  readonly isOnSources: boolean;
  /** The guest's devices at the same time. */
  readonly blocks: readonly BlockInfo[];
  /** All nodes at the same time, with their bitmaps. */
  readonly nodes: readonly BlockDeviceInfo[];
  /** The disks of which a third party writes to the source below the mirror, where that is not noticed by the mirror. */
  readonly unseen: readonly DiskPlan[];
}

/** The commands whose replies tell the lag. */
function lagLook(qmp: QmpClient) {
  return [{ execute: 'query-jobs' }, listNodes(qmp), { execute: 'query-block' }] as const;
}

/** One round trip, or two where jobs pass; throws as `execute`. */
export async function readLag(
  { qmp, jobs, plan }: Pick<StepContext, 'qmp' | 'jobs' | 'plan'>,
  disks: readonly DiskPlan[],
): Promise<Lag> {
  if (plan.jobsVanishOnEnd !== undefined) {
    const table = await jobs.list(disks.map(disk => disk.names.job));
    const [blocks, nodes] = await qmp.pipeline([{ execute: 'query-block' }, listNodes(qmp)]);
    const found = valueIn(blocks);
    const known = valueIfKnown(nodes) ?? [];
    const bytes = olderBytes(disks, found, known);
    return { jobs: table, bytes, isOnSources: false, blocks: found, nodes: known, unseen: [] };
  }
  const tells = qmp.version.major >= NODES_TELL_SINCE;
  const isBlocking = plan.operation === 'copy' && plan.mirror.copyMode === 'write-blocking';
  const [jobsNow, listed, devices, graph] =
    isBlocking || qmp.version.major >= FILTERS_SEE_SINCE
      ? await qmp.pipeline([...lagLook(qmp), { execute: 'x-debug-query-block-graph' }])
      : await qmp.pipeline(lagLook(qmp));
  const [table, nodes, blocks] = [valueIn(jobsNow), valueIn(listed), valueIn(devices)];
  const read = lagOf(disks, table, nodes);
  const isOnSources = read.isOnSources && !isBlocking;
  const drawn = graph === undefined || isOnSources ? undefined : valueIfKnown(graph);
  const unseen = drawn === undefined ? [] : passedBy(plan, disks, new Edges(drawn), nodes);
  const lag = { ...read, isOnSources, blocks, nodes, unseen };
  if (tells) return lag;
  return { ...lag, bytes: olderBytes(disks, blocks, nodes) };
}

/**
 * A mirror sees what goes through its filter, which stands above the source. Where the source has its bitmap, and no write waits
 * for the target, what passes by the filter is noticed too.
 */
function passedBy(
  { operation }: Pick<Plan, 'operation'>,
  disks: readonly DiskPlan[],
  edges: Edges,
  nodes: readonly BlockDeviceInfo[],
): readonly DiskPlan[] {
  const filters = new Set<string | undefined>();
  for (const { drv, 'node-name': name } of nodes) if (drv === 'mirror_top') filters.add(name);
  return disks.filter(({ node, filters: own = [] }) => {
    const known = new Set<string | undefined>([...filters, ...own.map(filter => filter.node)]);
    // A commit's mirror is below the filters of the user's: what is written through these it sees.
    const passable = operation === 'copy' ? [node, ...own.map(filter => filter.node)] : [node];
    return passable.some(each => edges.writers(each).some(writer => !known.has(writer)));
  });
}

/** Up to 7.2 a mirror has its bitmap on its source; from 10.0 on on its filter, and of those between it is not known. */
const FILTERS_SEE_SINCE = 8;

/** QEMU before 4.2 tells of bitmaps with devices only. */
const NODES_TELL_SINCE = 5;

/** By disk, from where it is told: the nodes, or the device itself, in a list (from QEMU 1.7 on) or as `dirty` (from 1.3 on). */
function olderBytes(
  disks: readonly DiskPlan[],
  blocks: readonly BlockInfo[],
  nodes: readonly BlockDeviceInfo[],
): number {
  return disks.reduce((sum, disk) => {
    const block: OlderBlockInfo | undefined = blockOf(blocks, disk);
    const bitmaps = block?.['dirty-bitmaps']?.filter(({ name }) => name === undefined);
    const told = bitmaps?.reduce((count, bitmap) => count + bitmap.count, 0) ?? block?.dirty?.count;
    return sum + (told ?? (disk.node === '' ? 0 : dirtyBytesOf(sourcesOf(disk), nodes)));
  }, 0);
}

/** What a device said of its bitmaps itself; the list was there until 5.2. */
type OlderBlockInfo = BlockInfo & {
  readonly dirty?: { readonly count: number };
  readonly 'dirty-bitmaps'?: readonly { readonly name?: string; readonly count: number }[];
};

/** The commands of a look that costs QEMU half as much, for a paused guest; only where `isOnSources`. */
export const FRONT_LOOK = [{ execute: 'query-jobs' }, { execute: 'query-block' }] as const;

/** Whether the replies to `FRONT_LOOK` show every mirror ready with nothing left to copy; false where they do not say. */
export function isClean(
  disks: readonly DiskPlan[],
  jobs: Reply<readonly JobInfo[]>,
  blocks: Reply<readonly BlockInfo[]>,
): boolean {
  if (!jobs.ok || !blocks.ok) return false;
  const fronts = blocks.value.flatMap(({ inserted }) => (inserted === undefined ? [] : [inserted]));
  const lag = lagOf(disks, jobs.value, fronts);
  const isReady = (disk: DiskPlan) => lag.jobs.get(disk.names.job)?.status === 'ready';
  const isInFront = (disk: DiskPlan) => frontOf(blocks.value, disk) === disk.node;
  return lag.isOnSources && lag.bytes === 0 && disks.every(disk => isReady(disk) && isInFront(disk));
}

function lagOf(
  disks: readonly DiskPlan[],
  jobs: readonly JobInfo[],
  nodes: readonly BlockDeviceInfo[],
): Omit<Lag, 'blocks' | 'nodes' | 'unseen'> {
  const bytes = dirtyBytesOf(disks.flatMap(sourcesOf), nodes);
  const isOnSources = disks.every(disk =>
    nodes
      .find(node => node['node-name'] === rootAbove(disk, disk.node))
      ?.['dirty-bitmaps']?.some(bitmap => bitmap.name === undefined),
  );
  return { jobs: new Map(jobs.map(job => [job.id, job])), bytes, isOnSources };
}

/** Where a mirror may have its bitmap: a copy's on the uppermost filter of the user's, a commit's on the image below. */
function sourcesOf(disk: DiskPlan): readonly string[] {
  return disk.filters === undefined ? [disk.node] : [rootAbove(disk, disk.node), disk.node];
}

/** What the mirrors of these source nodes have left to copy, all together. */
export function dirtyBytesOf(sourceNodes: readonly string[], nodes: readonly BlockDeviceInfo[]): number {
  const sources = new Set(sourceNodes);
  const files = new Set(nodes.filter(node => sources.has(node['node-name'] ?? '')).map(node => node.file));
  // The bitmap without a name that a mirror keeps: on its source until 7.2, on its filter, which says the file of the
  // source, in 10.0 and later (block/mirror.c; seen on the real binaries).
  return nodes
    .filter(
      node => sources.has(node['node-name'] ?? '') || (node.drv === 'mirror_top' && files.has(node.file)),
    )
    .flatMap(node => node['dirty-bitmaps'] ?? [])
    .filter(bitmap => bitmap.name === undefined)
    .reduce((sum, bitmap) => sum + bitmap.count, 0);
}
