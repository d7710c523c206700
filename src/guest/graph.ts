/**
 * Reads what stands in QEMU now: the node in front of each guest disk and what is known of a node. Steps decide on
 * this, never on what a reply's text said or on what they believe to have done.
 */
import { BlocksagaError } from '../errors.ts';
import { isBare, isFilter, readImageName } from '../plan/image-ref.ts';
import type { DiskPlan } from '../plan/plan.ts';
import type { Command, QmpClient } from '../qmp/client.ts';
import { valueIfKnown, valueIn } from '../qmp/reply-values.ts';
import type { BlockDeviceInfo, BlockInfo, ImageInfo } from '../qmp/schema.generated.ts';
import { Edges } from './edges.ts';

/** QEMU's block graph as far as steps look at it. */
export interface Graph {
  /** The root node under the guest's device; undefined when the device is gone or empty. */
  front(disk: DiskPlan): string | undefined;
  /** What QEMU itself calls that node; undefined also for one without a name. */
  frontName(disk: DiskPlan): string | undefined;
  node(name: string): BlockDeviceInfo | undefined;
  /**
   * Whether the guest's disk is on the image that it is to end on, also through the saga's filter or below a third party's overlays.
   * An image that is still to be rebased is not there yet.
   */
  showsImage(disk: DiskPlan): boolean;
  /** Whether a third party has put the disk's new image as an overlay on the image that the disk was on. */
  coversSource(disk: DiskPlan): boolean;
  /** Whether the disk is on its new image, and that does not stand on the image that the disk was on. */
  isAlone(disk: DiskPlan): boolean;
  /** Whether the new image of a revert is in front, or below a third party's overlays, and on the old one still. */
  isToBeRebased(disk: DiskPlan): boolean;
  /** Whether the disk's new image is below the one in front, as an overlay of a third party leaves it. */
  hasImageBelow(disk: DiskPlan): boolean;
}

/** One round trip: `query-block` and `query-named-block-nodes`. */
export async function readGraph(qmp: QmpClient): Promise<Graph> {
  const [blocks, nodes] = await qmp.pipeline([{ execute: 'query-block' }, listNodes(qmp)]);
  const fronts = valueIn(blocks);
  const byName = new Map((valueIfKnown(nodes) ?? []).map(node => [node['node-name'] ?? '', node]));
  const front = (disk: DiskPlan) => openAs(frontOf(fronts, disk), disk, byName);
  // Where names are cut short, those of two images may be equal.
  const edges = hasCutNames(fronts) ? await readEdges(qmp) : undefined;
  const coversSource = (disk: DiskPlan) => {
    const onTop = front(disk);
    if (onTop !== disk.goal && onTop !== disk.names.filter) return false;
    const [first, ...below] = chainFiles(fronts, disk).map(plainName);
    const source = plainName(disk.file);
    if (onTop === disk.goal) return below.includes(source);
    // Below the filter, whose own name is made of its options and may be an older one.
    const [child, ...rest] = below;
    return first !== undefined && child === plainName(disk.image.file) && rest.includes(source);
  };
  return {
    front,
    frontName: disk => blockOf(fronts, disk)?.inserted?.['node-name'],
    node: name => byName.get(name),
    coversSource,
    isAlone: disk => front(disk) === disk.goal && !coversSource(disk),
    isToBeRebased: disk => isToBeRebased(fronts, disk),
    hasImageBelow: disk => isBelow(fronts, disk, disk.image.file),
    showsImage: disk => {
      if (isOnGoal(fronts, disk)) return true;
      if (front(disk) !== disk.names.filter) return false;
      if (edges !== undefined) return edges.child(disk.names.filter, 'file') === disk.goal;
      // QEMU describes the child of a filter where an image has its backing image, but in no flat list of nodes
      // (`bdrv_block_device_info`, block/qapi.c); the filter's own file name is a json: one, made of its options.
      const [, child, ...below] = chainFiles(fronts, disk);
      const [first] = child === undefined ? [] : withoutForeignImages([child, ...below], disk);
      if (first !== undefined && first !== child) return plainName(first) === plainName(disk.image.file);
      return child !== undefined && child === byName.get(disk.goal)?.image.filename;
    },
  };
}

/** Below filters an image is known by its file, which may be open under another name than the plan's, or not be in it at all. */
function openAs(
  front: string | undefined,
  { filters, node, goal, file, image }: DiskPlan,
  nodes: ReadonlyMap<string, BlockDeviceInfo>,
): string | undefined {
  if (front === undefined || filters === undefined || nodes.has(front)) return front;
  const shown = plainName(front === goal ? image.file : front === node ? file : front);
  const showing = [...nodes].filter(
    ([, told]) => !isFilter(told.drv) && plainName(told.image.filename) === shown,
  );
  const [name] = showing.find(([, { drv }]) => !isBare(drv)) ?? showing[0] ?? [];
  return name ?? front;
}

/** Whether an image is below the one in front of a disk. */
export function isBelow(blocks: readonly BlockInfo[], disk: DiskPlan, image: string): boolean {
  const [, ...below] = chainFiles(blocks, disk);
  return below.some(file => plainName(file) === plainName(image));
}

async function readEdges(qmp: QmpClient): Promise<Edges> {
  return new Edges(await qmp.execute('x-debug-query-block-graph'));
}

/** The file names of the images that a disk is on in a `query-block` reply, front first. */
export function chainFiles(blocks: readonly BlockInfo[], disk: DiskPlan): readonly string[] {
  const inserted: OlderDeviceInfo | undefined = blockOf(blocks, disk)?.inserted;
  if (inserted === undefined) return [];
  if (inserted.image === undefined) return olderChain(inserted, disk);
  // QEMU lists a filter where an image has its backing image (`bdrv_block_device_info`, block/qapi.c).
  return filesOf(inserted.image).slice(filtersAbove(inserted, disk));
}

/** A chain from its first image on that the plan knows: what a third party has put above is left out. As it is where none is. */
export function withoutForeignImages(
  files: readonly string[],
  { chain, image }: DiskPlan,
): readonly string[] {
  const known = new Set([...chain, image].map(({ file }) => plainName(file)));
  const at = files.findIndex(file => known.has(plainName(file)));
  return at === -1 ? files : files.slice(at);
}

/** Whether a disk is on the image that it is to end on, as it is or below overlays of a third party. */
export function isOnGoal(blocks: readonly BlockInfo[], disk: DiskPlan): boolean {
  const front = frontOf(blocks, disk);
  if (isToBeRebased(blocks, disk)) return false;
  if (front === disk.goal) return true;
  if (front === undefined || front === disk.node || front === disk.names.filter) return false;
  const files = chainFiles(blocks, disk);
  const [first] = withoutForeignImages(files, disk);
  return first !== undefined && first !== files[0] && plainName(first) === plainName(disk.image.file);
}

/** Whether the new image of a revert stands on the old one still, also below overlays of a third party. */
function isToBeRebased(blocks: readonly BlockInfo[], disk: DiskPlan): boolean {
  if (!disk.image.rebased) return false;
  const files = chainFiles(blocks, disk).map(plainName);
  const at = files.indexOf(plainName(disk.image.file));
  return at !== -1 && files.includes(plainName(disk.file), at + 1);
}

/** What QEMU before 1.6 (`image`) and 1.2 (`backing_file_depth`) did not tell. */
type OlderDeviceInfo = Omit<BlockDeviceInfo, 'image' | 'backing_file_depth'> &
  Partial<Pick<BlockDeviceInfo, 'image' | 'backing_file_depth'>>;

/** Before QEMU 1.6 only the next image is named: the plan knows what was below that, and from 1.2 on QEMU how many there are. */
function olderChain(inserted: OlderDeviceInfo, { chain }: DiskPlan): readonly string[] {
  const { file, backing_file: next, backing_file_depth: depth } = inserted;
  if (next === undefined) return [file];
  const known = chain.map(image => image.file);
  const below = known.includes(next) ? known.slice(known.indexOf(next)) : [next];
  if (depth === undefined || depth >= below.length) return [file, ...below];
  return [file, ...below.slice(0, 1), ...below.slice(below.length - depth + 1)];
}

/** QEMU before 5.0 does not know `flat`, and then tells each chain with each of its nodes. */
const FLAT_SINCE = 5;

/** The files of all images that QEMU says it has open; before 1.6 it names only the two uppermost of each disk. */
export async function openFiles(qmp: QmpClient): Promise<ReadonlySet<string>> {
  const [blocks, nodes] = await qmp.pipeline([{ execute: 'query-block' }, listNodes(qmp)]);
  const devices: readonly OlderDeviceInfo[] = valueIn(blocks).flatMap(({ inserted }) => inserted ?? []);
  const shown = devices.flatMap(({ file, backing_file: next, image }) => [
    file,
    ...(next === undefined ? [] : [next]),
    ...filesOf(image),
  ]);
  const named = (valueIfKnown(nodes) ?? []).map(node => node.image.filename);
  return new Set([...shown, ...named].map(plainName));
}

function filesOf(front: ImageInfo | undefined): readonly string[] {
  const files: string[] = [];
  for (let image = front; image !== undefined; image = image['backing-image']) files.push(image.filename);
  return files;
}

/** Asks for all nodes, without the chain below each where QEMU can leave it out. */
export function listNodes({ version }: QmpClient): Command<'query-named-block-nodes'> {
  const execute = 'query-named-block-nodes';
  return version.major < FLAT_SINCE ? { execute } : { execute, arguments: { flat: true } };
}

/**
 * The root node of a disk's device in a `query-block` reply. Where QEMU opens the saga's images, and before 2.5, where
 * a node without a given name has none, the file says which one of the saga's two it is.
 */
export function frontOf(blocks: readonly BlockInfo[], disk: DiskPlan): string | undefined {
  const inserted = blockOf(blocks, disk)?.inserted;
  const node = inserted?.['node-name'];
  if (inserted !== undefined && filtersAbove(inserted, disk) > 0) return belowFilters(blocks, disk);
  if (inserted === undefined || (node !== undefined && disk.identifiedBy !== 'file')) return node;
  const file = plainName(inserted.file);
  if (file === disk.image.file) return disk.goal;
  return file === disk.file ? disk.node : file;
}

/** How many of the user's filters that were found are still between a disk's device and its image: a third party may take some out. */
function filtersAbove(
  { 'node-name': node }: Pick<BlockDeviceInfo, 'node-name'>,
  { filters = [] }: DiskPlan,
): number {
  const at = node === undefined ? -1 : filters.findIndex(filter => filter.node === node);
  return at === -1 ? 0 : filters.length - at;
}

/** What the filters are above: `query-block` names no node below a filter, but the file of each image. */
function belowFilters(blocks: readonly BlockInfo[], disk: DiskPlan): string | undefined {
  const [first] = chainFiles(blocks, disk).map(plainName);
  if (first === plainName(disk.image.file)) return disk.goal;
  return first === plainName(disk.file) ? disk.node : first;
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
    const isThere = expected(disk) === disk.goal ? isOnGoal(blocks, disk) : front === expected(disk);
    if (!isThere) {
      throw new BlocksagaError(
        'VERIFY_FAILED',
        `disk ${disk.disk} should be on node ${expected(disk)} now, but QEMU says ${front ?? 'nothing'}`,
        { disk: disk.disk },
      );
    }
  }
}

/** Throws FOREIGN where a third party has put something else in front of a disk whose mirror follows its source. */
export function expectSources(blocks: readonly BlockInfo[], disks: readonly DiskPlan[]): void {
  for (const disk of disks) {
    const front = frontOf(blocks, disk);
    expectFilters(blocks, disk);
    if (front === disk.node) continue;
    throw new BlocksagaError(
      'FOREIGN',
      `disk ${disk.disk} is mirrored from node ${disk.node}, but a third party has moved the guest to ${front ?? 'nothing'}`,
      { disk: disk.disk },
    );
  }
}

/** A copy is mirrored from the uppermost filter of the user's, and `reopen` moves the lowest: the guest has to be on both. */
function expectFilters(blocks: readonly BlockInfo[], disk: DiskPlan): void {
  const [uppermost] = disk.filters ?? [];
  const node = blockOf(blocks, disk)?.inserted?.['node-name'];
  if (uppermost === undefined || node === uppermost.node) return;
  const away = `disk ${disk.disk}: a third party has taken its device off the filter ${uppermost.node}, to ${node ?? 'nothing'}`;
  throw new BlocksagaError(
    'FOREIGN',
    uppermost.own
      ? `${away}, below which its mirror does not see what the guest writes: the copy has to be begun anew`
      : `${away}: set its drive back to that (QMP: qom-set), or ask again without it`,
    { disk: disk.disk },
  );
}

/**
 * The QOM path of a device as `query-block` names it: without a leading slash it is the id of a device that the user
 * named, which QEMU keeps under /machine/peripheral (system/qdev-monitor.c).
 */
export function qomPath(qdev: string | undefined): string | null {
  if (qdev === undefined || qdev === '') return null;
  return qdev.startsWith('/') ? qdev : `/machine/peripheral/${qdev}`;
}

/** The file of an image by the name that QEMU makes up for it; a name that is cut short comes back as it is. */
export function plainName(name: string): string {
  return readImageName(name).file;
}

/** Whether any disk is on an image whose name is cut short. */
export function hasCutNames(blocks: readonly BlockInfo[]): boolean {
  return blocks.some(({ inserted }) => filesOf(inserted?.image).some(name => readImageName(name).isCutShort));
}
