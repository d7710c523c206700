/**
 * Judges images by the guest that writes in order: is a set of disks one moment of the guest's writes, and does it hold
 * all that was acknowledged? Pure: reads contents only.
 */

import { type Extents, valueAt } from '../host/contents.ts';
import { RING, sectorOffset } from './ring.ts';

/** What a set of disks holds of the guest's writes. */
export interface Cut {
  readonly consistent: boolean;
  /** The newest write that is there. */
  readonly upTo: number;
  /** What is wrong: a write that should be there, or one that should not. */
  readonly why: string | undefined;
}

/** Judges what a guest would read from its N disks, in the order of the devices. */
export function judgeCut(disks: readonly Extents[]): Cut {
  let upTo = 0;
  for (const disk of disks) {
    for (let slot = 0; slot < RING.sectors; slot += 1) {
      upTo = Math.max(upTo, valueAt(disk, RING.offset + slot * RING.sectorBytes) ?? 0);
    }
  }
  const first = Math.max(1, upTo - disks.length * RING.sectors + 1);
  for (let sequence = first; sequence <= upTo; sequence += 1) {
    const index = sequence % disks.length;
    const held = valueAt(disks[index] ?? [], sectorOffset(sequence, disks.length));
    if (held !== sequence) {
      const why = `disk ${index} holds write ${held ?? 0} where write ${sequence} was made, and the set goes up to ${upTo}`;
      return { consistent: false, upTo, why };
    }
  }
  return { consistent: true, upTo, why: undefined };
}
