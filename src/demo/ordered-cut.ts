/**
 * Whether a set of images is a consistent cut of what the ordered writer did: for some S it holds every write up to S, on
 * all disks, and none after it. Judging is pure; reading goes through `qemu-img` with the format named, never probed,
 * and changes no image.
 */
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { invariant } from '../errors.ts';
import {
  FIRST_SECTOR,
  MAGIC_BYTES,
  RING_SECTORS,
  type RingSector,
  readSector,
  SECTOR_BYTES,
  slotOf,
} from './ordered-writer.ts';
import { optionValue, qemuImg } from './qemu-tools.ts';

const RING_BYTES = RING_SECTORS * SECTOR_BYTES;

/** What one disk holds in its ring: the newest write, and what is in each place. */
export interface DiskCut {
  /** The highest sequence number found; 0 if none. */
  readonly newest: number;
  /** By place in the ring. */
  readonly sectors: readonly RingSector[];
}

/** What all disks of a set hold, disk 0 first. */
export interface Cut {
  readonly disks: readonly DiskCut[];
}

/** The verdict over a set; `upTo` is the newest write that it holds, `why` the first thing that is wrong with it. */
export interface CutVerdict {
  readonly consistent: boolean;
  readonly upTo: number;
  readonly why?: string;
}

/** An image to read, with its whole backing chain. */
export interface CutImage {
  readonly file: string;
  /** `qcow2` unless said otherwise. */
  readonly format?: string;
}

/** How to read. */
export interface ReadCutOptions {
  /** Reads although another program has the image open for writing (`qemu-img -U`); for images that rest. */
  readonly shared?: boolean;
}

/**
 * Judges a set: consistent exactly if there is an S such that every place of every ring holds the last write up to S
 * that belongs there. `firstSequence` is the first write that was ever made to the set.
 *
 * @example
 * ```ts
 * const verdict = checkCut(await readCut([{ file: '/vm/a.qcow2' }, { file: '/vm/b.qcow2' }]));
 * if (!verdict.consistent) console.error(verdict.why);
 * ```
 */
export function checkCut(cut: Cut, firstSequence = 1): CutVerdict {
  const disks = cut.disks.length;
  // S is the newest write of all: a larger S would itself have to be there.
  const upTo = Math.max(0, ...cut.disks.map(disk => disk.newest));
  const wrong = (why: string): CutVerdict => ({ consistent: false, upTo, why });
  for (const [disk, { sectors }] of cut.disks.entries()) {
    for (const [slot, found] of sectors.entries()) {
      if (found === 'none' && disk + disks * slot > upTo) continue; // no write has come so far, as in most places
      const at = () => `disk ${disk}, place ${slot}`;
      if (found === 'torn') return wrong(`${at()}: a torn write`);
      if (found !== 'none' && (found.disk !== disk || found.disks !== disks)) {
        return wrong(`${at()}: write ${found.sequence} belongs to disk ${found.disk} of ${found.disks}`);
      }
      const expected = lastWrite({ disk, disks, slot, upTo, firstSequence });
      const sequence = found === 'none' ? undefined : found.sequence;
      if (sequence === expected) continue;
      const holds = sequence === undefined ? 'is empty' : `holds write ${sequence}`;
      const should = expected === undefined ? 'none' : `write ${expected}`;
      return wrong(`${at()} ${holds}; with write ${upTo} on disk ${upTo % disks} it should hold ${should}`);
    }
  }
  return { consistent: true, upTo };
}

/**
 * The writes up to `acknowledged` that the set does not hold, leaving out those that a later write of the set or of the
 * acknowledged ones has overwritten in the ring.
 */
export function missingWrites(cut: Cut, acknowledged: number, firstSequence = 1): number[] {
  const disks = cut.disks.length;
  const missing: number[] = [];
  const oldest = Math.max(firstSequence, acknowledged - RING_SECTORS * disks + 1);
  for (let sequence = oldest; sequence <= acknowledged; sequence++) {
    const found = cut.disks[sequence % disks]?.sectors[slotOf(sequence, disks)];
    const there = found !== undefined && typeof found === 'object' && found.sequence >= sequence;
    if (!there) missing.push(sequence);
  }
  return missing;
}

/**
 * Reads the rings of a set of images as the guest would see them. Throws `FILES` when one cannot be read.
 *
 * Only the rings are read, 4 MiB of each image.
 */
export async function readCut(images: readonly CutImage[], options: ReadCutOptions = {}): Promise<Cut> {
  if (images.length === 0) return { disks: [] };
  const directory = await mkdtemp(join(tmpdir(), 'blocksaga-cut-'));
  try {
    const copy = join(directory, 'rings');
    await qemuImg(...ringsCommand(images, copy, options.shared ?? false));
    await using rings = await open(copy);
    const ring = Buffer.alloc(RING_BYTES); // one for all: what is nothing but zeros is large
    const disks: DiskCut[] = [];
    for (const disk of images.keys()) {
      const { bytesRead } = await rings.read(ring, 0, RING_BYTES, disk * RING_BYTES);
      disks.push(readRing(ring.subarray(0, bytesRead)));
    }
    return { disks };
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** What a ring's bytes hold. */
export function readRing(bytes: Buffer): DiskCut {
  invariant(bytes.length === RING_BYTES, `a ring of ${bytes.length} bytes`);
  const sectors = Array<RingSector>(RING_SECTORS).fill('none'); // as most of them are
  for (let at = bytes.indexOf(MAGIC_BYTES); at !== -1; ) {
    const slot = Math.floor(at / SECTOR_BYTES);
    const next = (slot + 1) * SECTOR_BYTES;
    sectors[slot] = readSector(bytes.subarray(slot * SECTOR_BYTES, next));
    at = bytes.indexOf(MAGIC_BYTES, next);
  }
  const newest = sectors.reduce(
    (max, found) => (typeof found === 'object' ? Math.max(max, found.sequence) : max),
    0,
  );
  return { newest, sectors };
}

/** The last write up to `upTo` that belongs into a place of a ring, if there was one. */
function lastWrite(place: {
  disk: number;
  disks: number;
  slot: number;
  upTo: number;
  firstSequence: number;
}): number | undefined {
  const { disk, disks, slot, upTo, firstSequence } = place;
  // Writes into this place are disk + disks * (slot + RING * round), round = 0, 1, ...
  const first = disk + disks * slot;
  const round = Math.floor((upTo - first) / (disks * RING_SECTORS));
  const sequence = first + round * disks * RING_SECTORS;
  return round >= 0 && sequence >= firstSequence ? sequence : undefined;
}

// `qemu-img dd` was ruled out: in 7.2 its `count` counts from the image's start, also with `skip`. `convert` puts what it reads of
// several images one behind the other.
function ringsCommand(images: readonly CutImage[], copy: string, shared: boolean): string[] {
  const sources = images.map(image => {
    const source = {
      driver: 'raw',
      offset: FIRST_SECTOR * SECTOR_BYTES,
      size: RING_BYTES,
      'file.driver': image.format ?? 'qcow2',
      'file.file.driver': 'file',
      'file.file.filename': optionValue(resolve(image.file)),
    };
    return Object.entries(source)
      .map(([name, value]) => `${name}=${value}`)
      .join(',');
  });
  return ['convert', ...(shared ? ['-U'] : []), '--image-opts', '-O', 'raw', ...sources, copy];
}
