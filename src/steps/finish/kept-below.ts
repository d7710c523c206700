/** What stays of the images that were to be removed because one above them stays. Pure. */
import { plainName } from '../../guest/graph.ts';
import { filesOfImage, leavingImages } from '../../plan/chain-of-image.ts';
import type { DiskPlan } from '../../plan/plan.ts';

/**
 * The files that stay because one above them does, each with that one: an image that stays is read through its header. `stays`
 * are the files, of images that leave their chains, that are not removed.
 */
export function keptBelow(
  disks: readonly DiskPlan[],
  stays: ReadonlySet<string>,
): ReadonlyMap<string, string> {
  const kept = new Map<string, string>();
  for (const disk of disks) {
    let above: string | undefined;
    for (const image of leavingImages(disk)) {
      const files = filesOfImage(image).map(plainName);
      above ??= files.find(file => stays.has(file));
      if (above === undefined) continue;
      for (const file of files) if (file !== above) kept.set(file, above);
    }
  }
  return kept;
}

/** Why such a file stays. */
export function readBy(above: string): string {
  return `${above} stays, and cannot be read without it`;
}

/** Why an image with internal snapshots stays. */
export const HOLDS_SNAPSHOTS =
  'internal snapshots are in it, which are nowhere else (qemu-img snapshot -l lists them)';
