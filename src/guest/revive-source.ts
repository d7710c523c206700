/**
 * Makes sure that a disk's old image is open as a node, for an undo that has to put the guest back on it. A node that
 * `-drive` made is destroyed at the pivot when nothing else refers to it; it is then opened again, from the plan.
 */
import { BlocksagaError, invariant } from '../errors.ts';
import { leavingImages } from '../plan/chain-of-image.ts';
import type { ChainImage, DiskPlan } from '../plan/plan.ts';
import type { QmpClient } from '../qmp/client.ts';
import type { BlockdevOptions, BlockdevRefOrNull } from '../qmp/schema.generated.ts';
import type { Graph } from './graph.ts';
import { refusedByName } from './refused-by-name.ts';

/** The name of the node that the old image is open as. */
export async function reviveSource(qmp: QmpClient, graph: Graph, disk: DiskPlan): Promise<string> {
  for (const node of [disk.node, disk.names.revived]) {
    if (graph.node(node) !== undefined) return node;
  }
  await openAgain(qmp, disk, 0, openChain(disk.chain.slice(1), graph));
  return disk.names.revived;
}

/** The name that an undo gives to the image at a place of the disk's old chain; 0 is the active one. */
export function revivedName({ names }: DiskPlan, place: number): string {
  return place === 0 ? names.revived : `${names.revived}${place}`;
}

/** Those of all images that leave a chain; the one in front first, as they are closed. */
export function revivedNames(disk: DiskPlan): readonly string[] {
  const above = leavingImages(disk).map((_, place) => revivedName(disk, place));
  return [...new Set([disk.names.revived, ...above])];
}

const PROTOCOLS = ['file', 'host_device'] as const;

/** Opens an image of the disk's old chain for writing, under the name that an undo gives it, on this backing image. */
export async function openAgain(
  qmp: QmpClient,
  disk: DiskPlan,
  place: number,
  backing: BlockdevRefOrNull,
): Promise<void> {
  const [asFile, asDevice] = PROTOCOLS;
  const opened = sourceOptions(disk, place, backing, asFile);
  try {
    await qmp.execute('blockdev-add', opened);
  } catch (error) {
    // The name does not tell: /dev/shm has files, and a link elsewhere may lead to a device. QEMU refuses the wrong one.
    if (!(error instanceof BlocksagaError) || error.code !== 'QMP_COMMAND') throw error;
    const [reply] = await qmp.pipeline([
      { execute: 'blockdev-add', arguments: sourceOptions(disk, place, backing, asDevice) },
    ]);
    if (!reply.ok) throw refusedByName(error, disk, filenamesIn(opened));
  }
}

function sourceOptions(
  disk: DiskPlan,
  place: number,
  backing: BlockdevRefOrNull,
  protocol: (typeof PROTOCOLS)[number],
): BlockdevOptions {
  const { direct, noFlush } = disk.cache;
  const cache = { direct, 'no-flush': noFlush };
  const image = disk.chain[place];
  invariant(image !== undefined, `the chain of disk ${disk.disk} has an image at ${place}`);
  const file = { driver: protocol, filename: image.file, cache, discard: 'unmap' } as const;
  const common = { 'node-name': revivedName(disk, place), cache, discard: 'unmap' } as const;
  expectNameable(image);
  if (image.driver === 'raw') return { driver: 'raw', ...common, file };
  if (image.driver === 'luks') return { driver: 'luks', ...common, file, ...luksSecret(image) };
  return { driver: 'qcow2', ...common, file, backing, ...qcow2Secret(image) };
}

/** Of all images that are opened with these. */
function filenamesIn(options: object): readonly string[] {
  return Object.entries(options).flatMap(([key, value]) => {
    if (key === 'filename') return [String(value)];
    return typeof value === 'object' && value !== null ? filenamesIn(value) : [];
  });
}

/**
 * How to open a chain, each image with the format that was found there, never probed. With a graph, from the first image
 * on that is still open in it: no image is to be open twice.
 */
export function openChain(chain: readonly ChainImage[], graph?: Graph): BlockdevRefOrNull {
  const [front, ...below] = chain;
  if (front === undefined) return null;
  if (front.node !== null && graph?.node(front.node) !== undefined) return front.node;
  expectNameable(front);
  const file = { driver: 'file', filename: front.file } as const;
  if (front.driver === 'raw') return { driver: 'raw', file, 'read-only': true };
  if (front.driver === 'qcow2') {
    const backing = openChain(below, graph);
    return { driver: 'qcow2', file, 'read-only': true, backing, ...qcow2Secret(front) };
  }
  if (front.driver === 'luks') return { driver: 'luks', file, 'read-only': true, ...luksSecret(front) };
  throw new BlocksagaError(
    'DISK_UNSUPPORTED',
    `cannot open ${front.file} again: its format is ${front.driver}`,
  );
}

/** Opens no other bytes than those that were meant. */
function expectNameable({ file, unnameable }: ChainImage): void {
  if (unnameable === undefined) return;
  throw new BlocksagaError('DISK_UNSUPPORTED', `cannot open ${file} again: ${unnameable}`);
}

/** What opens an encrypted qcow2 image, beside its other options. */
export function qcow2Secret({ secret }: { readonly secret?: string | null }) {
  return typeof secret === 'string' ? { encrypt: { format: 'luks', 'key-secret': secret } as const } : {};
}

/** What opens a luks image, beside its other options. */
export function luksSecret({ secret }: { readonly secret?: string | null }) {
  return typeof secret === 'string' ? { 'key-secret': secret } : {};
}
