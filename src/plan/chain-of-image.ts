/** The chain that a disk will have, and what leaves it, from the plan alone. Pure. */
import type { ChainImage, DiskPlan } from './plan.ts';

/**
 * The chain of the image that will be in front: itself, its own backing images, and what is below those in the disk's
 * chain.
 */
export function chainOfImage({ image, chain, goal }: DiskPlan): readonly ChainImage[] {
  const front = { file: image.file, driver: image.driver, node: goal };
  if (image.backing === null) return [front];
  const below = [image.backing, ...image.below];
  const last = below.at(-1);
  const shared = chain.findIndex(each => each.file === last?.file);
  return [front, ...below, ...(shared === -1 ? [] : chain.slice(shared + 1))];
}

/** The files of an image: its own, and that of its data where these are apart. */
export function filesOfImage({ file, dataFile }: ChainImage): readonly string[] {
  return dataFile === undefined ? [file] : [file, dataFile];
}

/** The images that the disk is on now and will not need any more, front first. */
export function leavingImages(disk: DiskPlan): readonly ChainImage[] {
  const stay = new Set(chainOfImage(disk).map(image => image.file));
  return disk.chain.filter(image => !stay.has(image.file));
}

/** The names of all images that a disk is on, or comes to be on. */
export function imagesOfDisk(disk: DiskPlan): readonly string[] {
  return [...disk.chain, ...chainOfImage(disk)].map(({ file }) => file);
}
