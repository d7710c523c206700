/**
 * Judges images by the guest that writes in order across all its disks: is what these images hold one moment of its
 * writes? Works for some of the disks too, and for disks that have left the guest since. Pure.
 */
import { type Extents, valueAt } from '../../sim/host/contents.ts';
import { RING } from '../../sim/machine/ring.ts';
import type { Sight } from '../account/sight.ts';

export interface WritesFound {
  /** The newest write that is there. */
  readonly upTo: number;
  /** A write that should be there and is not, or the other way round; undefined when it is one moment. */
  readonly why: string | undefined;
}

/** What images hold, by the index of their disk. */
export type ContentsByDisk = ReadonlyMap<number, Extents>;

/** The guest's last write before each of the disks had left it, by their indexes: later ones of theirs do not exist. */
export type LastWrites = ReadonlyMap<number, number>;

const ALL_STAYED: LastWrites = new Map();

export function lastWritesOf({ left }: Pick<Sight, 'left'>): LastWrites {
  return new Map([...left].map(([index, disk]) => [index, disk.left.acknowledged]));
}

/** Images of a guest with so many disks. */
export function judgeWrites(
  images: ContentsByDisk,
  disks: number,
  last: LastWrites = ALL_STAYED,
): WritesFound {
  let upTo = 0;
  for (const image of images.values()) {
    for (let slot = 0; slot < RING.sectors; slot += 1) {
      upTo = Math.max(upTo, valueAt(image, offsetOf(slot)) ?? 0);
    }
  }
  for (const [disk, image] of images) {
    const wrote = Math.min(upTo, last.get(disk) ?? upTo);
    for (let slot = 0; slot < RING.sectors; slot += 1) {
      const expected = newestFor(disk, slot, disks, wrote);
      const held = valueAt(image, offsetOf(slot)) ?? 0;
      if (expected === 0 || held === expected) continue;
      return {
        upTo,
        why: `disk ${disk} holds write ${held} where write ${expected} belongs; the set goes up to ${upTo}`,
      };
    }
  }
  return { upTo, why: undefined };
}

/** The newest write of the guest's that an image shows: what was in it before the guest had counted so far is none of them. */
export function newestShown(image: Extents, acknowledged: number): number {
  const slots = Array.from({ length: RING.sectors }, (_, slot) => valueAt(image, offsetOf(slot)) ?? 0);
  return Math.max(0, ...slots.filter(value => value <= acknowledged));
}

/** The newest write that is on one of the disks of a guest that has counted so many; 0 when none is. */
export function newestWrite(acknowledged: number, disks: number, last: LastWrites = ALL_STAYED): number {
  if (last.size === 0) return acknowledged;
  const newest = Array.from({ length: disks }, (_, disk) => {
    const wrote = Math.min(acknowledged, last.get(disk) ?? acknowledged);
    return wrote < disk ? 0 : wrote - ((wrote - disk) % disks);
  });
  return Math.max(0, ...newest);
}

/** Where a place of the ring is on each disk, in bytes. */
export function offsetOf(slot: number): number {
  return RING.offset + slot * RING.sectorBytes;
}

/** The newest write up to one that goes to a place of a disk; 0 when none does. */
export function newestFor(disk: number, slot: number, disks: number, upTo: number): number {
  const first = slot * disks + disk;
  const round = disks * RING.sectors;
  return upTo < first ? 0 : upTo - ((upTo - first) % round);
}
