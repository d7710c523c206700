/**
 * Reading and writing through the graph: what a guest sees at a node, and where its writes land. Does not decide who may.
 */

import {
  copyRange,
  covered,
  EMPTY,
  type Extents,
  granules,
  minus,
  over,
  patternValue,
  put,
} from '../host/contents.ts';
import { BLANK, fileLength, type Host, type Image } from '../host/host.ts';
import { type Context, nodeOf, type Track } from '../state/context.ts';
import { BACKUP_FILTERS, type BlockNode, type Qemu } from '../state/state.ts';
import { below, childOf } from './graph.ts';

/** What a backup copies at once; the cluster of its target. */
export const BACKUP_CLUSTER_BYTES = 65_536;

/** What data passes through: the graph, the files and the dirty bitmaps, of mirrors and of clients. */
export interface DataPlane {
  readonly q: Qemu;
  readonly host: Host;
  readonly tracks: ReadonlyMap<string, Track>;
  /** What clients' bitmaps have recorded, by their serial numbers. */
  readonly recorded: Map<number, Extents>;
  /** Where the highest write to a node ended, by the node's serial number (`wr_highest_offset`). */
  readonly highest: Map<number, number>;
}

/** The name by which the file below a node was opened. */
export function pathOf(q: Qemu, name: string): string | undefined {
  return protocolOf(q, name)?.path;
}

function protocolOf(q: Qemu, name: string): BlockNode | undefined {
  for (let next: string | undefined = name; next !== undefined; ) {
    const node: BlockNode | undefined = q.nodes.get(next);
    if (node === undefined) return undefined;
    if (node.path !== undefined) return node;
    next = childOf(node, 'file') ?? (node.isFilter ? childOf(node, 'backing') : undefined);
  }
  return undefined;
}

/** The birth of the file that is open below a node. */
export function openedBelow(q: Qemu, name: string): number | undefined {
  return protocolOf(q, name)?.opened;
}

export function imageOf(plane: DataPlane, name: string): Image {
  return imageIn(plane, name) ?? BLANK;
}

function imageIn({ q, host }: DataPlane, name: string): Image | undefined {
  const opened = openedBelow(q, name);
  return opened === undefined ? undefined : host.file(opened)?.written;
}

/** Writes into the file that is open below a node, wherever its name leads by now. */
export function putImage({ q, host }: DataPlane, name: string, image: Image): void {
  const opened = openedBelow(q, name);
  if (opened !== undefined) host.writeTo(opened, image);
}

const SECTOR_BYTES = 512;

/** Drivers that show a file's bytes as they are. */
const SHOWS_FILE: ReadonlySet<string> = new Set(['file', 'host_device', 'raw']);

/** The size that a guest sees. */
export function sizeOf(plane: DataPlane, node: BlockNode): number {
  if (node.sizeAtOpen !== undefined) return node.sizeAtOpen;
  if (node.isFilter) {
    const child = below(node);
    const under = child === undefined ? undefined : plane.q.nodes.get(child);
    return under === undefined ? 0 : sizeOf(plane, under);
  }
  const file = node.driver === 'raw' ? childOf(node, 'file') : undefined;
  const under = file === undefined ? undefined : plane.q.nodes.get(file);
  if (under !== undefined) return sizeOf(plane, under);
  const image = imageOf(plane, node.name);
  if (!SHOWS_FILE.has(node.driver)) return image.sizeBytes;
  // QEMU counts in sectors.
  return Math.ceil(fileLength(image) / SECTOR_BYTES) * SECTOR_BYTES;
}

/** What this node's own image holds, without its backing chain. */
export function ownContents(plane: DataPlane, node: BlockNode): Extents {
  if (node.isFilter) {
    const child = below(node);
    const under = child === undefined ? undefined : plane.q.nodes.get(child);
    return under === undefined ? EMPTY : ownContents(plane, under);
  }
  return imageOf(plane, node.name).contents;
}

/** What a read of the whole disk through this node gives. */
export function readNode(plane: DataPlane, name: string): Extents {
  const node = plane.q.nodes.get(name);
  if (node === undefined) return EMPTY;
  if (node.isFilter) {
    const child = below(node);
    return child === undefined ? EMPTY : readNode(plane, child);
  }
  if (node.driver.startsWith('null-')) return node.given['read-zeroes'] === true ? EMPTY : garbage(node);
  const own = imageOf(plane, name).contents;
  const backing = childOf(node, 'backing');
  return backing === undefined ? own : over(readNode(plane, backing), own);
}

/** What takes room in the image at a node, in whole clusters; of a raw one all. */
export function allocatedIn(ctx: Context, name: string): Extents {
  const node = nodeOf(ctx.q, name);
  const child = node.isFilter ? below(node) : undefined;
  if (child !== undefined) return allocatedIn(ctx, child);
  const size = sizeOf(ctx, node);
  if (SHOWS_FILE.has(node.driver)) return [0, size, 1];
  return granules(imageOf(ctx, name).contents, BACKUP_CLUSTER_BYTES, size);
}

/** A null node fills nothing in: a reader finds what its buffer held, that of qemu-io 0xab. */
function garbage({ sizeAtOpen = 0 }: BlockNode): Extents {
  return put(EMPTY, 0, sizeAtOpen, patternValue(0xab));
}

/** What is allocated in the images from `top` down to, and without, `base`. */
export function allocatedAbove(ctx: Context, top: string, base: string | undefined): Extents {
  let result: Extents = EMPTY;
  for (let next: string | undefined = top; next !== undefined && next !== base; ) {
    const node: BlockNode = nodeOf(ctx.q, next);
    if (!node.isFilter) result = over(imageOf(ctx, next).contents, result);
    next = below(node);
  }
  return result;
}

/** Writes at a node, to places that do not overlap: through filters, past mirrors' bitmaps, into the image below. */
export function writeNode(plane: DataPlane, name: string, written: Extents): void {
  for (let next: string | undefined = name; next !== undefined; ) {
    const node: BlockNode | undefined = plane.q.nodes.get(next);
    if (node === undefined) return;
    if (node.job !== undefined && node.driver === 'mirror_top') forward(plane, node, written);
    if (node.job !== undefined && BACKUP_FILTERS.has(node.driver)) copyBefore(plane, node.job, written);
    record(plane, node, written);
    reach(plane, node, written);
    for (const job of node.trackedBy) markDirty(plane, job, written, sizeOf(plane, node));
    if (node.isFilter) {
      next = below(node);
      continue;
    }
    if (node.driver === 'raw') recordBelow(plane, node, written);
    const image = imageIn(plane, next);
    if (image !== undefined) putImage(plane, next, { ...image, contents: over(image.contents, written) });
    return;
  }
}

function reach({ highest }: DataPlane, { serial }: BlockNode, written: Extents): void {
  const end = written.at(-2);
  if (end !== undefined && end > (highest.get(serial) ?? 0)) highest.set(serial, end);
}

/** The bitmaps of a node note what is written to it, by whomever. */
function record(plane: DataPlane, node: BlockNode, written: Extents): void {
  for (const { serial, granularity, recording, heldBy } of node.bitmaps) {
    if (!recording || heldBy !== undefined) continue;
    const before = plane.recorded.get(serial) ?? EMPTY;
    plane.recorded.set(serial, over(before, granules(written, granularity, sizeOf(plane, node))));
  }
}

/** What is written to a raw image is written to its file as it is. */
function recordBelow(plane: DataPlane, node: BlockNode, written: Extents): void {
  const name = childOf(node, 'file');
  const file = name === undefined ? undefined : plane.q.nodes.get(name);
  if (file !== undefined && file.bitmaps.length > 0) record(plane, file, written);
}

/** What is there goes to a backup's target before it is written over, where it has not been copied yet. */
function copyBefore(plane: DataPlane, jobId: string, written: Extents): void {
  const work = plane.q.jobs.get(jobId)?.work;
  const track = plane.tracks.get(jobId);
  const source = work?.kind === 'backup' ? plane.q.nodes.get(work.source) : undefined;
  if (work?.kind !== 'backup' || track === undefined || source === undefined) return;
  const touched = granules(written, BACKUP_CLUSTER_BYTES, sizeOf(plane, source));
  const ranges = minus(touched, minus(touched, track.dirty));
  copyRanges(plane, work.source, work.target, ranges);
  track.dirty = minus(track.dirty, ranges);
  track.offset += covered(ranges);
  track.written = over(track.written ?? EMPTY, touched);
}

/** copy-mode write-blocking: the write completes on both sides. */
function forward(plane: DataPlane, filter: BlockNode, written: Extents): void {
  const job = filter.job === undefined ? undefined : plane.q.jobs.get(filter.job);
  if (job?.work.kind === 'mirror' && job.work.writeBlocking && !filter.stopped) {
    writeNode(plane, job.work.target, written);
  }
}

function markDirty(plane: DataPlane, jobId: string, written: Extents, size: number): void {
  const job = plane.q.jobs.get(jobId);
  const track = plane.tracks.get(jobId);
  if (job?.work.kind !== 'mirror' || track === undefined || job.work.writeBlocking) return;
  const before = covered(track.dirty);
  track.dirty = over(track.dirty, granules(written, job.work.granularity, size));
  track.len += covered(track.dirty) - before;
}

/** Copies ranges from one node, as read through its chain, into another node's own image. */
export function copyRanges(plane: DataPlane, from: string, to: string, ranges: Extents): void {
  const image = imageIn(plane, to);
  if (ranges.length === 0) return;
  const node = plane.q.nodes.get(to);
  // What is drawn up into an image changes nothing of what it shows.
  if (node !== undefined && from !== to) {
    record(plane, node, ranges);
    reach(plane, node, ranges);
  }
  if (image === undefined) return;
  const source = readNode(plane, from);
  let contents = image.contents;
  for (let i = 0; i < ranges.length; i += 3) {
    contents = copyRange(contents, source, ranges[i] as number, ranges[i + 1] as number, 0);
  }
  putImage(plane, to, { ...image, contents });
}

export function flushNode(plane: DataPlane, name: string): void {
  const opened = openedBelow(plane.q, name);
  if (opened !== undefined) plane.host.flushFile(opened);
}
