/**
 * How far the mirrors are behind the guest: one look at all of them, to be sent alone or behind other commands. It says
 * what is so and decides nothing.
 */
import type { QmpClient, Reply } from '../qmp/client.ts';
import type { JobInfo, JobTable } from '../qmp/jobs.ts';
import type { BlockDeviceInfo } from '../qmp/schema.generated.ts';
import { listNodes } from './graph.ts';
import type { DiskPlan } from './plan.ts';

/** What the mirrors' jobs are doing, and how many bytes are still to copy on all disks together. */
export interface Lag {
  readonly jobs: JobTable;
  readonly bytes: number;
}

/** The commands whose replies tell the lag. */
export function lagLook(qmp: QmpClient) {
  return [{ execute: 'query-jobs' }, listNodes(qmp)] as const;
}

/** One round trip; throws as `execute`. */
export async function readLag(qmp: QmpClient, disks: readonly DiskPlan[]): Promise<Lag> {
  const [jobs, nodes] = await qmp.pipeline(lagLook(qmp));
  if (!jobs.ok) throw jobs.error;
  if (!nodes.ok) throw nodes.error;
  return lagOf(disks, jobs.value, nodes.value);
}

/** Whether the replies to `lagLook` show every mirror ready with nothing left to copy. */
export function isClean(
  disks: readonly DiskPlan[],
  jobs: Reply<readonly JobInfo[]>,
  nodes: Reply<readonly BlockDeviceInfo[]>,
): boolean {
  if (!jobs.ok || !nodes.ok) return false;
  const lag = lagOf(disks, jobs.value, nodes.value);
  return lag.bytes === 0 && disks.every(disk => lag.jobs.get(disk.names.mirrorJob)?.status === 'ready');
}

function lagOf(disks: readonly DiskPlan[], jobs: readonly JobInfo[], nodes: readonly BlockDeviceInfo[]): Lag {
  const bytes = dirtyBytesOf(
    disks.map(disk => disk.node),
    nodes,
  );
  return { jobs: new Map(jobs.map(job => [job.id, job])), bytes };
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
