/**
 * Reads what stands in QEMU now: the node in front of each guest disk and what is known of a node. Steps decide on
 * this, never on what a reply's text said or on what they believe to have done.
 */
import { BlocksagaError } from '../errors.ts';
import type { Command, QmpClient, Reply } from '../qmp/client.ts';
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
  const [fronts, nodes] = await qmp.pipeline([{ execute: 'query-block' }, listNodes(qmp)]);
  if (!fronts.ok) throw fronts.error;
  const byName = new Map((valueIfKnown(nodes) ?? []).map(node => [node['node-name'] ?? '', node]));
  const front = (disk: DiskPlan) => frontOf(fronts.value, disk);
  return {
    front,
    node: name => byName.get(name),
    showsImage: disk => {
      if (front(disk) === disk.goal) return true;
      if (front(disk) !== disk.names.filter) return false;
      // QEMU describes the child of a filter where an image has its backing image, but in no flat list of nodes
      // (`bdrv_block_device_info`, block/qapi.c); the filter's own file name is a json: one, made of its options.
      const [, child] = chainFiles(fronts.value, disk);
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

/** QEMU before 5.0 does not know `flat`, and then tells each chain with each of its nodes. */
const FLAT_SINCE = 5;

/** Asks for all nodes, without the chain below each where QEMU can leave it out. */
export function listNodes({ version }: QmpClient): Command<'query-named-block-nodes'> {
  const execute = 'query-named-block-nodes';
  return version.major < FLAT_SINCE ? { execute } : { execute, arguments: { flat: true } };
}

/** The value, or undefined where this QEMU does not have the command. */
export function valueIfKnown<T>(reply: Reply<T>): T | undefined {
  if (reply.ok) return reply.value;
  if (reply.error.qmp?.class === 'CommandNotFound') return undefined;
  throw reply.error;
}

/**
 * The root node of a disk's device in a `query-block` reply. Before QEMU 2.5 a node that nobody named has no name: its
 * file says which one of the saga's two it is.
 */
export function frontOf(blocks: readonly BlockInfo[], disk: DiskPlan): string | undefined {
  const inserted = blockOf(blocks, disk)?.inserted;
  if (inserted === undefined || inserted['node-name'] !== undefined) return inserted?.['node-name'];
  if (inserted.file === disk.image.file) return disk.names.image;
  return inserted.file === disk.file ? disk.node : inserted.file;
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

/**
 * The image behind the name that QEMU makes up for one opened on another backing image than its header names
 * (`json:{"driver": "qcow2", "file": {...}, ...}`; bdrv_refresh_filename, block.c).
 */
export function plainName(name: string): string {
  if (!name.startsWith('json:')) return name;
  const { file } = JSON.parse(name.slice('json:'.length)) as {
    readonly file?: { readonly filename?: unknown };
  };
  return typeof file?.filename === 'string' ? file.filename : name;
}
