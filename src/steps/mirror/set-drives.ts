/** Sets the drives of devices that are in use back to the images that their disks left. It waits for no job, and decides for no side. */
import { Edges } from '../../guest/edges.ts';
import { setDrive } from '../../guest/set-drive.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import type { QmpClient } from '../../qmp/client.ts';
import { throwFirst } from '../step/replies.ts';

/** The node, by disk, on which the guest is to be again. */
export type Sources = ReadonlyMap<number, string>;

export async function setDrives(qmp: QmpClient, disks: readonly DiskPlan[], sources: Sources): Promise<void> {
  throwFirst(disks, await qmp.pipeline(toSources(disks, sources)));
}

function toSources(disks: readonly DiskPlan[], sources: Sources) {
  return disks.map(disk => setDrive(disk, sources.get(disk.index) ?? disk.node));
}

/**
 * The same where a third party may put an overlay on a source at that very instant, to which no device writes any more: the disk goes to that
 * overlay, which reads the same. Gives where each disk is.
 */
export async function setDrivesOrAbove(
  qmp: QmpClient,
  disks: readonly DiskPlan[],
  sources: Sources,
): Promise<Sources> {
  const replies = await qmp.pipeline(toSources(disks, sources));
  const refused = disks.filter((_, at) => replies[at]?.ok === false);
  if (refused.length === 0) return sources;
  const edges = new Edges(await qmp.execute('x-debug-query-block-graph'));
  const tops = refused.map(({ index, node }) => [index, edges.top(sources.get(index) ?? node)] as const);
  if (tops.every(([index, top]) => top === sources.get(index))) throwFirst(disks, replies);
  const above = new Map([...sources, ...tops]);
  await setDrives(qmp, refused, above);
  return above;
}
