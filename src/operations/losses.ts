/**
 * What of an image a new one in its place does not get, in words: told in the plan, before anything is done, and again in the
 * result. Pure.
 */
import { BlocksagaError } from '../errors.ts';
import { leavingImages } from '../plan/chain-of-image.ts';
import type { DiskPlan, ImagePlan } from '../plan/plan.ts';
import type { GuestDisk } from './survey.ts';

/** What does not come along when disks end on other images. */
export function lossesOfMoves(
  disks: readonly DiskPlan[],
  sources: readonly GuestDisk[],
  how: { readonly carriesBitmaps: boolean },
): readonly string[] {
  return disks.flatMap((disk, at) => {
    const source = sources[at];
    return source === undefined ? [] : lossesOfMove(disk, source, how);
  });
}

/** What the images that leave a disk's chain have and the one that it ends on will not have. */
function lossesOfMove(
  disk: DiskPlan,
  source: GuestDisk,
  { carriesBitmaps }: { readonly carriesBitmaps: boolean },
): readonly string[] {
  const leaving = new Set(leavingImages(disk).map(({ file }) => file));
  const losses: string[] = [];
  source.chain.forEach(({ file }, at) => {
    const traits = source.traits[at];
    if (!leaving.has(file) || traits === undefined) return;
    if (traits.snapshots.length > 0)
      losses.push(
        `the internal snapshots of ${file} stay there, since QEMU cannot mirror them: ${traits.snapshots.join(', ')}`,
      );
    if (traits.dataFile !== null && disk.image.create)
      losses.push(
        `${file} keeps its data in a file of its own, ${traits.dataFile}; ${disk.image.file} holds them itself`,
      );
  });
  return [
    ...losses,
    ...spaceLoss(disk, source),
    ...sizeLosses(disk),
    ...bitmapLosses(disk, source, carriesBitmaps),
  ].map(loss => `disk ${disk.disk}: ${loss}`);
}

/** Where QEMU makes the new images by itself it makes them as it likes, and opens them so. Throws CAPABILITY_MISSING for wishes. */
export function lossesWhereQemuMakes(
  disks: readonly { readonly disk: string; readonly image: ImagePlan }[],
): readonly string[] {
  return disks.flatMap(({ disk, image }) => {
    if (image.opens !== undefined || image.preallocation !== undefined) {
      throw new BlocksagaError(
        'CAPABILITY_MISSING',
        `disk ${disk}: this QEMU makes and opens ${image.file} by itself, so that aio, discard and preallocation cannot be said; leave them out`,
        { disk },
      );
    }
    const { layout } = image;
    if (layout === undefined || !image.create) return [];
    const made = Object.entries(layout).map(([what, value]) => `${what} ${value}`);
    return [
      `disk ${disk}: this QEMU makes ${image.file} by itself, without what the image before it is made with: ${made.join(', ')}`,
    ];
  });
}

/** What the next boot has to be told, or may meet, since a new image and what it is in are not of one size. */
function sizeLosses({ image, sizeBytes }: DiskPlan): readonly string[] {
  const { file, driver, holderBytes, tightBytes } = image;
  const losses: string[] = [];
  if (holderBytes !== undefined)
    losses.push(
      `its size: ${file} has ${holderBytes} bytes, the disk has ${sizeBytes}, and no header says so: the next boot has to open it with driver=raw and size=${sizeBytes}`,
    );
  if (tightBytes !== undefined)
    losses.push(
      `its room: ${file} has ${tightBytes} bytes, and a ${driver} image of ${sizeBytes} bytes may come to need more: the guest then meets "no space left" there, so give it a larger device, or watch it`,
    );
  return losses;
}

function spaceLoss({ image, file }: DiskPlan, { allocatedBytes, sizeBytes }: GuestDisk): readonly string[] {
  const isFull = sizeBytes > 0 && (allocatedBytes ?? 0) >= sizeBytes;
  if (!isFull || !image.create || image.preallocation !== undefined) return [];
  return [
    `${file} has all of its space allocated, and ${image.file} takes it only as it is written, unless you say preallocation=falloc`,
  ];
}

function bitmapLosses({ image }: DiskPlan, source: GuestDisk, carries: boolean): readonly string[] {
  const namesOf = (bitmaps: GuestDisk['bitmaps']) => bitmaps.map(({ name }) => `"${name}"`).join(', ');
  const losses: string[] = [];
  const broken = source.bitmaps.filter(({ inconsistent }) => inconsistent);
  const whole = source.bitmaps.filter(({ inconsistent }) => !inconsistent);
  if (broken.length > 0)
    losses.push(
      `its dirty bitmaps ${namesOf(broken)} are inconsistent, as after a crash of QEMU, and stay behind: the next backup has to be a full one`,
    );
  if (!carries && whole.length > 0) {
    losses.push(
      `its dirty bitmaps ${namesOf(whole)} stay behind, since this QEMU cannot put them into another image: the next backup has to be a full one`,
    );
    return losses;
  }
  const unstored = whole.filter(({ persistent }) => persistent && image.driver !== 'qcow2');
  if (unstored.length > 0)
    losses.push(
      `its dirty bitmaps ${namesOf(unstored)} come along, but end with QEMU: a ${image.driver} image has no room for them`,
    );
  return losses;
}

/** What a snapshot's overlay, or a revert's, does not take on of the bitmaps of the image that the disk is on. */
export function lossesOfOverlay(disk: string, source: GuestDisk, why: string): readonly string[] {
  const recording = source.bitmaps.filter(({ recording: records }) => records);
  if (recording.length === 0) return [];
  const names = recording.map(({ name }) => `"${name}"`).join(', ');
  return [
    `disk ${disk}: its dirty bitmaps ${names} do not go on in the overlay: ${why}; the next backup has to be a full one`,
  ];
}
