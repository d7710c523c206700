/**
 * Reads what stands in QEMU now: the node in front of each guest disk and what is known of a node. Steps decide on
 * this, never on what a reply's text said or on what they believe to have done.
 */
import { BlocksagaError } from '../errors.ts';
import type { QmpClient } from '../qmp/client.ts';
import type { BlockDeviceInfo, BlockInfo, ImageInfo } from '../qmp/schema.generated.ts';
import type { DiskPlan } from './plan.ts';

/** QEMU's block graph as far as steps look at it. */
export interface Graph {
  /** The root node under the guest's device; undefined when the device is gone or empty. */
  front(disk: DiskPlan): string | undefined;
  node(name: string): BlockDeviceInfo | undefined;
  /** Whether the guest's disk is on the image that it is to end on, directly or through the saga's filter. */
  showsImage(disk: DiskPlan): boolean;
}

/** One round trip: `query-block` and `query-named-block-nodes`. */
export async function readGraph(qmp: QmpClient): Promise<Graph> {
  const [fronts, nodes] = await qmp.pipeline([
    { execute: 'query-block' },
    { execute: 'query-named-block-nodes', arguments: { flat: true } },
  ]);
  if (!fronts.ok) throw fronts.error;
  if (!nodes.ok) throw nodes.error;
  const byName = new Map(nodes.value.map(node => [node['node-name'] ?? '', node]));
  const front = (disk: DiskPlan) => frontOf(fronts.value, disk);
  return {
    front,
    node: name => byName.get(name),
    showsImage: disk => {
      if (front(disk) === disk.goal) return true;
      // QEMU describes the child of a filter where an image has its backing image (`bdrv_query_image_info`, block/qapi.c);
      // the filter's own file name is a json: one, made of its options.
      const filter = front(disk) === disk.names.filter ? byName.get(disk.names.filter) : undefined;
      const child = filter?.image['backing-image']?.filename;
      return child !== undefined && child === byName.get(disk.goal)?.image.filename;
    },
  };
}

/** The file names of the images that a disk is on in a `query-block` reply, front first. */
export function chainFiles(blocks: readonly BlockInfo[], disk: DiskPlan): readonly string[] {
  const files: string[] = [];
  let image: ImageInfo | undefined = blockOf(blocks, disk)?.inserted?.image;
  for (; image !== undefined; image = image['backing-image']) files.push(image.filename);
  return files;
}

/** The root node of a disk's device in a `query-block` reply. */
export function frontOf(blocks: readonly BlockInfo[], disk: DiskPlan): string | undefined {
  return blockOf(blocks, disk)?.inserted?.['node-name'];
}

/** The entry of a disk's device in a `query-block` reply. */
export function blockOf(blocks: readonly BlockInfo[], disk: DiskPlan): BlockInfo | undefined {
  return blocks.find(block =>
    disk.qdev === null ? block.device === disk.drive : qomPath(block.qdev) === disk.qdev,
  );
}

/** Throws unless every disk has the expected node in front. */
export function expectFronts(
  blocks: readonly BlockInfo[],
  disks: readonly DiskPlan[],
  expected: (disk: DiskPlan) => string,
): void {
  for (const disk of disks) {
    const front = frontOf(blocks, disk);
    if (front !== expected(disk)) {
      throw new BlocksagaError(
        'VERIFY_FAILED',
        `disk ${disk.disk} should be on node ${expected(disk)} now, but QEMU says ${front ?? 'nothing'}`,
        { disk: disk.disk },
      );
    }
  }
}

/**
 * The QOM path of a device as `query-block` names it: without a leading slash it is the id of a device that the user
 * named, which QEMU keeps under /machine/peripheral (system/qdev-monitor.c).
 */
export function qomPath(qdev: string | undefined): string | null {
  if (qdev === undefined || qdev === '') return null;
  return qdev.startsWith('/') ? qdev : `/machine/peripheral/${qdev}`;
}
