/**
 * One look at the simulated world behind everybody's back: what the laws judge. Taken from the simulator's own state and
 * files, never from what the engine says.
 */

import type { Sim } from '../../sim/create-sim.ts';
import { type Extents, valueAt } from '../../sim/host/contents.ts';
import type { Image } from '../../sim/host/host.ts';
import type { Departed } from '../../sim/machine/departed.ts';
import type { Misread } from '../../sim/machine/read-back.ts';
import { RING } from '../../sim/machine/ring.ts';
import type { BlockNode, Qemu } from '../../sim/state/state.ts';
import type { Front } from '../../sim/world.ts';
import { isTheirs } from '../scenario/wish-files.ts';
import { headersFrom, namedBelow, overlaysIn, putBackIn } from './file-headers.ts';

/** One image of a guest disk's chain as it is open, front first. */
interface OpenImage {
  readonly path: string;
  readonly driver: string;
  readonly readOnly: boolean;
}

/** One disk of the guest; one that has left, as it was then, but for what a reader of its file gets now. */
export interface DiskSight {
  readonly device: string;
  readonly node: string;
  /** The node of the disk's own image, below filters and what third parties have put above. */
  readonly own: string;
  /** The file that the guest's next write goes to, or the one below a third party's overlay. */
  readonly path: string;
  /** The third party's overlay that is in front of it. */
  readonly cover: string | undefined;
  /** Filters above the front image, and the images below it. */
  readonly filters: readonly string[];
  readonly chain: readonly OpenImage[];
  /** What the guest would read. */
  readonly contents: Extents;
  /** What a reader gets who opens the front file anew, by the headers. */
  readonly rebooted: Extents;
  /** The files of its chain as the headers say it, front first, without those of third parties. */
  readonly headers: readonly string[];
  /** It is not in the guest any more. */
  readonly left?: LeftDisk;
}

/** What is known of a disk that has left its guest. */
export interface LeftDisk {
  /** The file that the guest's last write went to, a third party's overlay too. */
  readonly front: string;
  /** The guest's last write by then, to whichever of its disks. */
  readonly acknowledged: number;
  readonly atMs: number;
  /** The nodes below its device that are open still. */
  readonly open: ReadonlySet<string>;
  /** Those below filters of its administrator's. */
  readonly filtered: ReadonlySet<string>;
}

export interface Sight {
  /** When the process before it asked QEMU for its disks for the last time and was answered; milliseconds of virtual time. */
  readonly lookedAtMs?: number;
  readonly alive: boolean;
  readonly runState: Qemu['runState'] | 'gone';
  /** All that the guest was started with, each in its place; none once QEMU is gone. */
  readonly disks: readonly DiskSight[];
  /** Those that have left the guest, by their places; once QEMU is gone too. */
  readonly left: ReadonlyMap<number, DiskSight & { readonly left: LeftDisk }>;
  /** Nodes by name, with the names of those below; nothing in here that QEMU named by itself. */
  readonly nodes: readonly string[];
  /** Nodes that can be reached from a guest's disk, or from an export, which is always a third party's. */
  readonly inUse: ReadonlySet<string>;
  /** Those that can be reached from a guest's disk. */
  readonly ofGuest: ReadonlySet<string>;
  readonly jobs: readonly string[];
  readonly throttleGroups: readonly string[];
  readonly exports: readonly string[];
  /** Named bitmaps, as node/name. */
  readonly bitmaps: readonly string[];
  /** Nodes that are kept quiesced. */
  readonly drained: readonly string[];
  readonly files: ReadonlyMap<string, Extents>;
  /** The same as they are read once all have their first names again, for those that have one. */
  readonly putBack: ReadonlyMap<string, Extents>;
  /** The same of the last file that was taken from each name. */
  readonly lastPutBack: ReadonlyMap<string, Extents>;
  /** Third parties' overlays, with the image that the header of each names. */
  readonly overlays: ReadonlyMap<string, string>;
  /** The images below third parties' overlays, as the headers say. */
  readonly underTheirs: ReadonlySet<string>;
  /** What each file is an image of; undefined where it is none, but a claim. */
  readonly formats: ReadonlyMap<string, string | undefined>;
  /** Those that are encrypted. */
  readonly encrypted: ReadonlySet<string>;
  /** Its agent has frozen the guest. */
  readonly frozen: boolean;
  /** Writes that completed. */
  readonly acknowledged: number;
  /** What the guest has read by then, whenever it ran, that was not what it had written. */
  readonly misreads: readonly Misread[];
}

/** Looks at everything now. */
export function takeSight(sim: Sim): Sight {
  const { world } = sim;
  const { acknowledged, misreads } = world.guest;
  const { qemu, host } = world;
  const nodes = qemu?.nodes ?? NO_NODES;
  const each = [...nodes.values()];
  const exports = [...(qemu?.exports.values() ?? [])];
  const left = new Map(world.departed.map(each => [world.devices.indexOf(each.device), leftDisk(sim, each)]));
  const present = new Map(world.fronts().map(front => [front.device, front]));
  const disks = (qemu === undefined ? [] : world.devices).flatMap((device, index): DiskSight[] => {
    const front = present.get(device);
    const gone = left.get(index);
    if (front === undefined) return gone === undefined ? [] : [gone];
    return [{ ...lookAt(sim, front, nodes), contents: world.readFront(device) }];
  });
  const guests = disks.filter(disk => disk.left === undefined);
  const files = new Map([...host.files.keys()].map(path => [path, world.readFile(path)]));
  return {
    alive: qemu !== undefined,
    runState: qemu?.runState ?? 'gone',
    disks,
    left,
    nodes: each.flatMap(({ name }) => (name.startsWith('#') ? [] : [name])),
    ofGuest: new Set(guests.flatMap(({ node }) => reachable(nodes, node))),
    inUse: new Set([...guests, ...exports].flatMap(({ node }) => reachable(nodes, node))),
    jobs: [...(qemu?.jobs.keys() ?? [])],
    throttleGroups: [...(qemu?.throttleGroups.keys() ?? [])],
    exports: [...(qemu?.exports.keys() ?? [])],
    bitmaps: each.flatMap(node => node.bitmaps.map(bitmap => `${node.name}/${bitmap.name}`)),
    drained: each.flatMap(node => (node.drainedBy.length > 0 ? [node.name] : [])),
    files,
    putBack: world.moved.length === 0 ? files : putBackIn(world, 'first'),
    lastPutBack: world.moved.length < 2 ? files : putBackIn(world, 'last'),
    overlays: overlaysIn(world),
    underTheirs: new Set([...host.files.keys()].filter(isTheirs).flatMap(path => headersFrom(host, path))),
    formats: new Map([...host.files].map(([path, { written }]) => [path, formatOf(written)])),
    encrypted: new Set(
      [...host.files].flatMap(([path, { written }]) => (written.passphrase === undefined ? [] : [path])),
    ),
    frozen: world.frozen,
    ...{ acknowledged, misreads: [...misreads] },
  };
}

function formatOf({ claim, format }: Image): string | undefined {
  return claim === undefined ? format : undefined;
}

function lookAt({ world }: Sim, { device, node, path }: Front, nodes: Nodes) {
  const seen = withoutTheirs(node, path, chainOf(nodes, node));
  const headers = headersFrom(world.host, seen.path);
  return {
    device,
    node,
    ...seen,
    cover: isTheirs(path) ? path : undefined,
    rebooted: world.readFile(path),
    headers,
  };
}

function leftDisk(sim: Sim, departed: Departed) {
  const { acknowledged, atMs, contents, nodes, node, path } = departed;
  const seen = lookAt(sim, departed, nodes);
  const still = sim.world.qemu?.nodes ?? NO_NODES;
  const openBelow = (names: readonly string[]) => new Set(names.flatMap(name => reachable(still, name)));
  const filtered = openBelow(seen.filters.filter(name => !/^(#|bs-)/.test(name)));
  const open = openBelow([node, ...seen.filters]);
  return { ...seen, contents, left: { front: path, acknowledged, atMs, open, filtered } };
}

/** What each disk is on, in its place; undefined for one that has left the guest. */
export function frontsInPlace({ world }: Sim): readonly (Front | undefined)[] {
  const present = new Map(world.fronts().map(front => [front.device, front]));
  return world.devices.map(device => present.get(device));
}

/** The file that each disk is on, or the one below a third party's overlay, in its place. */
export function ownFronts(sim: Sim): readonly (string | undefined)[] {
  const nodes = sim.world.qemu?.nodes ?? NO_NODES;
  return frontsInPlace(sim).map(front => {
    if (front === undefined || !isTheirs(front.path)) return front?.path;
    return withoutTheirs(front.node, front.path, chainOf(nodes, front.node)).path;
  });
}

/** The disk as it is below what third parties have put above it. */
function withoutTheirs(front: string, path: string, { filters, chain: all, names }: Seen) {
  const below = all.filter(image => !isTheirs(image.path));
  // QEMU opens the base of an overlay read-only, so that says nothing about what the saga did.
  const isCovered = isTheirs(all[0]?.path ?? '');
  const chain = below.map((image, at) => (isCovered && at === 0 ? { ...image, readOnly: false } : image));
  const own = isCovered ? names[all.findIndex(image => !isTheirs(image.path))] : undefined;
  return {
    filters,
    own: own ?? names[0] ?? front,
    path: isTheirs(path) ? (chain[0]?.path ?? path) : path,
    chain,
  };
}

/** What is open from a front on, and the names of the chain's nodes. */
interface Seen extends Pick<DiskSight, 'filters' | 'chain'> {
  readonly names: readonly string[];
}

type Nodes = Qemu['nodes'];
const NO_NODES: Nodes = new Map();
const DEPTH_MAX = 64;

function chainOf(nodes: Nodes, front: string): Seen {
  const filters: string[] = [];
  const chain: OpenImage[] = [];
  const names: string[] = [];
  let next: string | undefined = front;
  for (let depth = 0; next !== undefined && depth < DEPTH_MAX; depth += 1) {
    const node: BlockNode | undefined = nodes.get(next);
    if (node === undefined) break;
    if (node.isFilter) {
      filters.push(node.name);
      next = node.children[0]?.child;
      continue;
    }
    chain.push({ path: fileBelow(nodes, node), driver: node.driver, readOnly: node.readOnly });
    names.push(node.name);
    next = node.children.find(child => child.role === 'backing')?.child;
  }
  return { filters, chain, names };
}

function fileBelow(nodes: Nodes, node: BlockNode): string {
  if (node.path !== undefined) return node.path;
  const child = node.children.find(each => each.role === 'file')?.child;
  return (child === undefined ? undefined : nodes.get(child)?.path) ?? '';
}

function reachable(nodes: Nodes, name: string, depth = 0): readonly string[] {
  const node = nodes.get(name);
  if (node === undefined || depth > DEPTH_MAX) return [];
  return [name, ...node.children.flatMap(({ child }) => reachable(nodes, child, depth + 1))];
}

/** Whether a file is open, or below one that is there; a closed overlay of a third party's is one that no QEMU tells of. */
export function isNeeded({ world: { qemu, host } }: Sim, path: string): boolean {
  if (!host.files.has(path)) return false;
  const birth = host.files.get(path)?.birth;
  const isOpen = [...(qemu?.nodes ?? NO_NODES).values()].some(node => node.opened === birth);
  return (
    isOpen || [...host.files].some(([name, { written }]) => namedBelow(written) === path && !isTheirs(name))
  );
}

/** What the guest has written and what a power cut could not take any more, on the images that its disks are on now, or were. */
export function flushedWrites(sim: Sim): readonly FlushedWrite[] {
  const { world } = sim;
  const departed = new Map(world.departed.map(each => [each.device, each]));
  return frontsInPlace(sim).flatMap((front, disk) => {
    const path = (front ?? departed.get(world.devices[disk] ?? ''))?.path ?? '';
    const file = world.host.files.get(path);
    const kept = world.host.isLinked(path) ? (file?.flushed?.contents ?? []) : [];
    return Array.from({ length: RING.sectors }, (_, slot) => {
      const offset = RING.offset + slot * RING.sectorBytes;
      return { disk, file: path, offset, value: valueAt(kept, offset) ?? 0 };
    }).filter(({ value }) => value > 0);
  });
}

/** A guest write that was on the host's disk for good when the power failed. */
export interface FlushedWrite {
  readonly disk: number;
  /** The image that its disk was on. */
  readonly file: string;
  readonly offset: number;
  readonly value: number;
}
