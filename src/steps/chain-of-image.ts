/** What a new image stands on, from the plan alone: the chain that the guest's disk will have. Pure. */
import type { ChainImage, DiskPlan } from './plan.ts';

/** The chain of the new image: itself, what it stands on, and what is below that in the disk's own chain. */
export function chainOfImage({ image, chain, names }: DiskPlan): readonly ChainImage[] {
  const front = { file: image.file, driver: image.driver, node: names.image };
  if (image.backing === null) return [front];
  const below = [image.backing, ...image.below];
  const last = below.at(-1);
  const shared = chain.findIndex(each => each.file === last?.file);
  return [front, ...below, ...(shared === -1 ? [] : chain.slice(shared + 1))];
}
