/**
 * Brings to its end, with `qemu-img` alone, what a saga had decided to do to the chains of its disks: a pull, a commit below
 * the active image, or the commit of the active one. Done again it changes nothing more. It removes nothing.
 */
import { BlocksagaError, invariant } from '../../errors.ts';
import type { ImageName, Images } from '../../images/images.ts';
import type { ChainImage, DiskPlan, Plan, RewritePlan } from '../../plan/plan.ts';

/** Shortens the chain of one disk, unless its headers say that QEMU has done so before it died. Throws FILES. */
export async function shortenChain(plan: Plan, disk: DiskPlan, images: Images): Promise<void> {
  invariant('rewrites' in plan, 'only a rewrite shortens a chain below its active image');
  const { rewrite, top, base, above } = partsOf(plan, disk);
  if (await isShortened(plan, disk, images)) return;
  if (plan.operation === 'pull') {
    await images.pullInto(above, base, rewrite.backingFile);
    return;
  }
  invariant(base !== null, 'what is committed goes into an image below');
  await images.commitInto(imageAt(disk, top), base);
  await images.pointAt(above, { stored: rewrite.backingFile ?? base.file, driver: base.driver });
}

/** Throws FILES where an image is missing that what is to be done reads or writes; where it has been done, such a one may be gone. */
export async function expectWhole(plan: Plan, disk: DiskPlan, images: Images): Promise<void> {
  if (!('rewrites' in plan) || (await isShortened(plan, disk, images))) return;
  for (const { file, driver } of disk.chain) {
    if ((await images.look({ file, driver })).state !== 'missing') continue;
    throw new BlocksagaError(
      'FILES',
      `disk ${disk.disk}: ${file} is needed to shorten its chain and is not there: put the right file back, then run this again`,
      { disk: disk.disk },
    );
  }
}

/**
 * Whether QEMU has begun to shorten the chains of a plan whose jobs it could not hold back, so that there is only forward:
 * no record can say so, the first disk's headers do. Throws DISK_BUSY, FILES.
 */
export async function hasBegunToShorten(plan: Plan, images: Images): Promise<boolean> {
  const [first] = plan.disks;
  if (!('rewrites' in plan) || plan.manualFinalize || first === undefined) return false;
  const { above } = partsOf(plan, first);
  if ((await images.look(above)).state === 'inUse') {
    throw new BlocksagaError(
      'DISK_BUSY',
      `disk ${first.disk}: ${above.file} is in use, and what QEMU has done to its chain cannot be read: end who uses it`,
      { disk: first.disk },
    );
  }
  return isShortened(plan, first, images);
}

/** Whether a chain is shortened already, by the header above; false where none can tell. */
export async function isShortened(
  plan: Plan,
  disk: DiskPlan,
  images: Pick<Images, 'look'>,
): Promise<boolean> {
  if (!('rewrites' in plan)) return false;
  const { base, above } = partsOf(plan, disk);
  const sight = await images.look(above);
  const stands = sight.state === 'readable' ? (sight.backing?.file ?? null) : undefined;
  return stands === (base?.file ?? null) && !mustCopyStill(plan, disk);
}

function partsOf(plan: RewritePlan, disk: DiskPlan) {
  const rewrite = plan.rewrites[disk.index];
  invariant(rewrite !== undefined, 'a rewrite says what is done to each of its disks');
  const top = placeOf(disk, rewrite.top);
  const base = rewrite.base === null ? null : imageAt(disk, placeOf(disk, rewrite.base));
  return { rewrite, top, base, above: imageAt(disk, plan.operation === 'pull' ? top : top - 1) };
}

/** Puts what the active image holds into the one that its disk ends on. Throws FILES. */
export async function commitActive({ file, driver, image }: DiskPlan, images: Images): Promise<void> {
  await images.commitInto({ file, driver }, { file: image.file, driver: image.driver });
}

/** A pull down to the image right below takes nothing out of the chain, so that no header tells whether it was done. */
function mustCopyStill({ operation }: RewritePlan, { chain, image }: DiskPlan): boolean {
  return operation === 'pull' && image.backing !== null && chain[1]?.file === image.backing.file;
}

/** By its node, or by its file where a disk's images are known by those. */
function placeOf({ chain }: DiskPlan, called: string): number {
  const place = chain.findIndex(({ node, file }) => node === called || file === called);
  invariant(place !== -1, `the plan's chain has the image ${called}`);
  return place;
}

function imageAt({ chain }: DiskPlan, place: number): ChainImage & ImageName {
  const image = chain[place];
  invariant(image !== undefined, `the chain has an image at ${place}`);
  return image;
}
