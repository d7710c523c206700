/**
 * Judges images by the guest that writes in order across all its disks: is what these images hold one moment of its
 * writes? Works for some of the disks too. Pure.
 */
import { type Extents, valueAt } from '../../sim/host/contents.ts';
import { RING, sectorOffset } from '../../sim/machine/guest.ts';

export interface WritesFound {
  /** The newest write that is there. */
  readonly upTo: number;
  /** A write that should be there and is not, or the other way round; undefined when it is one moment. */
  readonly why: string | undefined;
}

/** What images hold, by the index of their disk. */
export type ContentsByDisk = ReadonlyMap<number, Extents>;

/** Images of a guest with so many disks. */
export function judgeWrites(images: ContentsByDisk, disks: number): WritesFound {
  let upTo = 0;
  for (const image of images.values()) {
    for (let slot = 0; slot < RING.sectors; slot += 1) {
      upTo = Math.max(upTo, valueAt(image, RING.offset + slot * RING.sectorBytes) ?? 0);
    }
  }
  for (let sequence = Math.max(1, upTo - disks * RING.sectors + 1); sequence <= upTo; sequence += 1) {
    const image = images.get(sequence % disks);
    if (image === undefined) continue;
    const held = valueAt(image, sectorOffset(sequence, disks)) ?? 0;
    if (held !== sequence) {
      const disk = sequence % disks;
      return {
        upTo,
        why: `disk ${disk} holds write ${held} where write ${sequence} belongs; the set goes up to ${upTo}`,
      };
    }
  }
  return { upTo, why: undefined };
}
