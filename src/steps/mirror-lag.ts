/**
 * How far the mirrors are behind the guest: one look at all of them, to be sent alone or behind other commands. It says
 * what is so and decides nothing.
 */
import type { QmpClient, Reply } from '../qmp/client.ts';
import type { JobInfo, JobTable } from '../qmp/jobs.ts';
import type { BlockDeviceInfo, BlockInfo } from '../qmp/schema.generated.ts';
import { listNodes } from './graph.ts';
import type { DiskPlan } from './plan.ts';

/** What the mirrors' jobs are doing, and how many bytes are still to copy on all disks together. */
export interface Lag {
  readonly jobs: JobTable;
  readonly bytes: number;
  /** Whether every source node itself has the bitmap that tells, so that looking at the disks' front nodes is enough. */
  readonly isOnSources: boolean;
}

/** The commands whose replies tell the lag. */
function lagLook(qmp: QmpClient) {
  return [{ execute: 'query-jobs' }, listNodes(qmp)] as const;
}

/** One round trip; throws as `execute`. */
export async function readLag(qmp: QmpClient, disks: readonly DiskPlan[]): Promise<Lag> {
  const [jobs, nodes] = await qmp.pipeline(lagLook(qmp));
  if (!jobs.ok) throw jobs.error;
  if (!nodes.ok) throw nodes.error;
  return lagOf(disks, jobs.value, nodes.value);
}

/** The commands of a look that costs QEMU half as much, for a guest that stands still; only where `isOnSources`. */
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
  return lag.isOnSources && lag.bytes === 0 && disks.every(isReady);
}

function lagOf(disks: readonly DiskPlan[], jobs: readonly JobInfo[], nodes: readonly BlockDeviceInfo[]): Lag {
  const bytes = dirtyBytesOf(
    disks.map(disk => disk.node),
    nodes,
  );
  const isOnSources = disks.every(disk =>
    nodes
      .find(node => node['node-name'] === disk.node)
      ?.['dirty-bitmaps']?.some(bitmap => bitmap.name === undefined),
  );
  return { jobs: new Map(jobs.map(job => [job.id, job])), bytes, isOnSources };
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
