/**
 * Which way of shortening a chain copies less: a pull copies what lies below the active image, a commit what lies in the
 * images above the base. A hint for people, from what QEMU says of the images' sizes; nothing is decided on it.
 */
import type { FoundDisk } from './find-image.ts';

/** The part of the virtual size above which an overlay holds most of the disk. */
const HALF = 0.5;

/** By disk: the part of its virtual size that the active image holds, and what follows. Null where QEMU does not tell. */
export function hintOf(disks: readonly FoundDisk[]): string | null {
  const hints = disks.flatMap(({ disk, source: { allocatedBytes, sizeBytes } }) => {
    if (allocatedBytes === null || sizeBytes === 0) return [];
    const part = Math.min(1, allocatedBytes / sizeBytes);
    const cheaper = part > HALF ? 'pull' : 'commit';
    return [
      `${disk}: ${cheaper} copies less, its active image holds ${Math.round(part * 100)} % of the disk`,
    ];
  });
  return hints.length === 0 ? null : hints.join('; ');
}
