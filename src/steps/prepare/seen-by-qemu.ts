/**
 * Asks QEMU itself which file it has under a name, where neither a shared file system nor /proc can tell: it opens the name
 * read-only, past all locks, says how large the file is, and closes it again. It also closes what undos have opened by such names.
 */

import { listNodes, plainName, readGraph } from '../../guest/graph.ts';
import { tokenOf } from '../../plan/names.ts';
import type { DiskPlan, Plan } from '../../plan/plan.ts';
import type { Command, QmpClient } from '../../qmp/client.ts';
import { valueIfKnown } from '../../qmp/reply-values.ts';
import { throwFirst } from '../step/replies.ts';

/** Whether QEMU can be asked so: before 2.9 it opens no file alone. */
export function canLook({ capabilities }: Plan): boolean {
  return capabilities.includes('blockdev-add');
}

/** By the index of each disk whose new image's name leads QEMU to a file, the size that it has there, in bytes. */
export async function sizesInQemu(
  qmp: QmpClient,
  disks: readonly DiskPlan[],
): Promise<ReadonlyMap<number, number>> {
  if (disks.length === 0) return new Map();
  await closeLooks(qmp, disks);
  const opened = await qmp.pipeline(disks.map(openAlone));
  const nodes = valueIfKnown((await qmp.pipeline([listNodes(qmp)]))[0]) ?? [];
  await closeLooks(qmp, disks);
  const sizes = new Map<number, number>();
  for (const [at, disk] of disks.entries()) {
    // What it refuses to open is not there, or not to be opened by it at all.
    if (opened[at]?.ok !== true) continue;
    const node = nodes.find(each => each['node-name'] === disk.names.imageFile);
    sizes.set(disk.index, node?.image['virtual-size'] ?? 0);
  }
  return sizes;
}

/** Closes what such a look has left open when its process died. */
export async function closeLooks(qmp: QmpClient, disks: readonly DiskPlan[]): Promise<void> {
  const graph = await readGraph(qmp);
  const open = disks.filter(disk => graph.node(disk.names.imageFile) !== undefined);
  const closed = await qmp.pipeline(
    open.map(
      disk => ({ execute: 'blockdev-del', arguments: { 'node-name': disk.names.imageFile } }) as const,
    ),
  );
  throwFirst(open, closed);
}

function openAlone({ names, image }: DiskPlan): Command<'blockdev-add'> {
  const look = { 'read-only': true, 'force-share': true } as const;
  return {
    execute: 'blockdev-add',
    arguments: { driver: 'file', 'node-name': names.imageFile, filename: image.file, ...look },
  };
}

/** Closes the nodes of the saga's own on these images that an undo before has opened; QEMU refuses those in use. */
export async function closeOurs(qmp: QmpClient, disks: readonly DiskPlan[]): Promise<void> {
  const [nodes] = await qmp.pipeline([listNodes(qmp)]);
  const names = (valueIfKnown(nodes) ?? []).flatMap(node => {
    const name = node['node-name'] ?? '';
    const isOurs = disks.some(
      ({ image, names: own }) =>
        plainName(node.image.filename) === image.file && tokenOf(name) === tokenOf(own.image),
    );
    return isOurs && tokenOf(name) !== undefined ? [name] : [];
  });
  await qmp.pipeline(
    names.map(name => ({ execute: 'blockdev-del', arguments: { 'node-name': name } }) as const),
  );
}
