/** Whether every write that was acknowledged is in some image, whichever that is. Pure. */
import { type Extents, valueAt } from '../../sim/host/contents.ts';
import { RING, sectorOffset } from '../../sim/machine/guest.ts';

/** `disks`: how many the guest writes to in turn. */
export function isHeldSomewhere(files: Iterable<Extents>, disks: number, acknowledged: number): boolean {
  const images = [...files];
  const first = Math.max(1, acknowledged - disks * RING.sectors + 1);
  for (let sequence = first; sequence <= acknowledged; sequence += 1) {
    const offset = sectorOffset(sequence, disks);
    if (!images.some(image => valueAt(image, offset) === sequence)) return false;
  }
  return true;
}
