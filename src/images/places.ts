/**
 * Where the bytes of an image are, whatever name leads to them: two nodes of one block device, a loop device and the file
 * behind it, a partition and its disk, a mapped device and those below it, one NBD export by two spellings of its host.
 * Two names are of one image where their places meet. Pure, but for what it asks of `Sysfs`.
 *
 * Not told: which part of a device a mapping uses. Two mapped devices over one disk (two logical volumes) count as apart.
 */
import { readNbdAddress } from './nbd-address.ts';
import type { Sysfs } from './sysfs.ts';

/** A range of bytes of one thing. */
interface Extent {
  readonly of: string;
  readonly startBytes: number;
  readonly endBytes: number;
}

export interface Place {
  /** The bytes themselves, each way in which they can be named. */
  readonly own: readonly Extent[];
  /** What lies below, of which only a part may be used. */
  readonly under: readonly Extent[];
}

/** What a path leads to: a file by its identity, or a block device by its numbers (`8:1`). */
export type Standing =
  | { readonly kind: 'file'; readonly identity: string }
  | { readonly kind: 'device'; readonly numbers: string };

/** How to find out. */
export interface PlaceParts {
  readonly sysfs: Sysfs;
  stand(path: string): Promise<Standing | undefined>;
}

const SECTOR_BYTES = 512;
const DEPTH_MAX = 16;

/** Whether a write to the one may change what the other reads. */
export function meet(one: Place, other: Place): boolean {
  return overlap(one.own, other.own) || overlap(one.own, other.under) || overlap(one.under, other.own);
}

/** Undefined when nothing is there, or nothing that is a file or a block device. */
export async function placeOfPath(path: string, parts: PlaceParts, depth = 0): Promise<Place | undefined> {
  const standing = await parts.stand(path);
  if (standing === undefined) return undefined;
  if (standing.kind === 'file') return placeOfFile(standing.identity);
  return placeOfDevice(standing.numbers, parts, depth);
}

export function placeOfFile(identity: string): Place {
  return { own: [whole(`file ${identity}`)], under: [] };
}

/** A device by its numbers (Documentation/ABI/testing/sysfs-block of the kernel). */
export async function placeOfDevice(numbers: string, parts: PlaceParts, depth = 0): Promise<Place> {
  const self = whole(`device ${numbers}`);
  const alone: Place = { own: [self], under: [] };
  if (depth > DEPTH_MAX) return alone;
  const { sysfs } = parts;
  const directory = `/sys/dev/block/${numbers}`;
  const behind = await sysfs.read(`${directory}/loop/backing_file`);
  if (behind !== undefined) {
    const place = await placeOfPath(behind, parts, depth + 1);
    const startBytes = Number(await sysfs.read(`${directory}/loop/offset`));
    const limitBytes = Number(await sysfs.read(`${directory}/loop/sizelimit`));
    return place === undefined
      ? alone
      : part(self, place, startBytes, limitBytes || Number.POSITIVE_INFINITY);
  }
  if ((await sysfs.read(`${directory}/partition`)) !== undefined) {
    // The link is followed first: what is above a partition's directory is its disk's.
    const disk = await sysfs.read(`${directory}/../dev`);
    const startBytes = Number(await sysfs.read(`${directory}/start`)) * SECTOR_BYTES;
    const sizeBytes = Number(await sysfs.read(`${directory}/size`)) * SECTOR_BYTES;
    return disk === undefined
      ? alone
      : part(self, await placeOfDevice(disk, parts, depth + 1), startBytes, sizeBytes);
  }
  const under: Extent[] = [];
  for (const name of await sysfs.list(`${directory}/slaves`)) {
    const below = await sysfs.read(`${directory}/slaves/${name}/dev`);
    if (below === undefined) continue;
    const place = await placeOfDevice(below, parts, depth + 1);
    under.push(...place.own, ...place.under);
  }
  return { own: [self], under };
}

/** An export; `here` are the names and addresses of this machine. Undefined for what is no address of one. */
export function placeOfExport(address: string, here: ReadonlySet<string>): Place | undefined {
  const found = readNbdAddress(address);
  if (found === undefined) return undefined;
  const { server, export: name = '' } = found;
  const at =
    server.type === 'inet'
      ? `${isHere(server.host, here) ? 'here' : server.host.toLowerCase()} ${server.port}`
      : server.type === 'unix'
        ? server.path
        : '';
  return { own: [whole(`export ${at} ${name}`)], under: [] };
}

function isHere(host: string, here: ReadonlySet<string>): boolean {
  const name = host.toLowerCase();
  return (
    /^127\.|^(::1|0\.0\.0\.0|::|localhost|localhost\.localdomain|ip6-localhost|ip6-loopback)$/.test(name) ||
    here.has(name)
  );
}

function whole(of: string): Extent {
  return { of, startBytes: 0, endBytes: Number.POSITIVE_INFINITY };
}

function part(self: Extent, { own, under }: Place, startBytes: number, sizeBytes: number): Place {
  const cut = own.map(extent => ({
    of: extent.of,
    startBytes: extent.startBytes + startBytes,
    endBytes: Math.min(extent.endBytes, extent.startBytes + startBytes + sizeBytes),
  }));
  return { own: [self, ...cut], under };
}

function overlap(some: readonly Extent[], others: readonly Extent[]): boolean {
  return some.some(one =>
    others.some(
      other => one.of === other.of && one.startBytes < other.endBytes && other.startBytes < one.endBytes,
    ),
  );
}
