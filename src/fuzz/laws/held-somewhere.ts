/** Whether every write that was acknowledged is in some image, whichever that is. Pure. */
import { type Extents, valueAt } from '../../sim/host/contents.ts';
import { RING, sectorOffset } from '../../sim/machine/ring.ts';
import type { Sight } from '../account/sight.ts';
import { lastWritesOf } from './judge-writes.ts';

/** `disks`: how many the guest writes to in turn. */
export function isHeldSomewhere(
  sight: Pick<Sight, 'files' | 'acknowledged' | 'left'>,
  disks: number,
): boolean {
  const images: readonly Extents[] = [...sight.files.values()];
  const last = lastWritesOf(sight);
  const first = Math.max(1, sight.acknowledged - disks * RING.sectors + 1);
  for (let sequence = first; sequence <= sight.acknowledged; sequence += 1) {
    if (sequence > (last.get(sequence % disks) ?? sequence)) continue;
    const offset = sectorOffset(sequence, disks);
    if (!images.some(image => valueAt(image, offset) === sequence)) return false;
  }
  return true;
}
