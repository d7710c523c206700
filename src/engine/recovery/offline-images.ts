/**
 * Makes a verdict about images true on the disk, and refuses before it begins where another program works on them. It
 * removes nothing.
 */
import { BlocksagaError, invariant } from '../../errors.ts';
import type { ImageName, ImageSight, Images } from '../../images/images.ts';
import type { ChainImage, DiskPlan, Plan } from '../../plan/plan.ts';
import type { BootImage } from '../running/result.ts';
import type { OfflineAction, OfflineDisk, OfflineVerdict } from './decide-offline.ts';
import type { OverlayAbove } from './find-above.ts';
import { commitActive, expectWhole, shortenChain } from './shorten-offline.ts';

const CHAIN_DEPTH_MAX = 200;

/** What an action needs of an image: that it is no one else's to write to, that it can be read, or neither. */
type Need = 'free' | 'there' | 'freeAndThere';

/** By action: of the old image, and of the new one. */
const NEEDS: Readonly<Record<OfflineAction, readonly [old: Need, fresh: Need]>> = {
  keep: ['free', 'there'],
  keepOrMake: ['freeAndThere', 'there'],
  moveBack: ['freeAndThere', 'freeAndThere'],
  drop: ['there', 'free'],
  asIs: ['there', 'there'],
  shorten: ['freeAndThere', 'there'],
  commitDown: ['freeAndThere', 'freeAndThere'],
  moveForward: ['freeAndThere', 'freeAndThere'],
  leave: ['there', 'there'],
};

/** Throws DISK_BUSY or FILES before anything has been changed. `isFirst`: the old images are no earlier stage's new ones. */
export async function lookAtImages(
  plan: Plan,
  verdict: OfflineVerdict,
  images: Images,
  { isFirst }: { readonly isFirst: boolean },
): Promise<void> {
  for (const { disk, front, action } of together(plan, verdict)) {
    if (action === 'shorten') await expectWhole(plan, disk, images);
    const [needOfOld, ofNew] = NEEDS[action];
    // A revert is based on an older image: the one that was in front may have been removed already, as was asked.
    const ofOld = plan.operation === 'revert' && action === 'keepOrMake' ? 'free' : needOfOld;
    const isInDoubt = (plan.operation === 'snapshot' || plan.operation === 'revert') && !verdict.wasOnImages;
    if (isFirst || ofOld !== 'there') {
      expectImage(disk, front, oldImage(disk), await images.look(oldImage(disk)), ofOld);
    }
    const sight = await images.look(newImage(disk));
    const mayBeLost = isInDoubt && (action === 'moveBack' || (action === 'keepOrMake' && disk.image.create));
    if (mayBeLost && isLost(sight)) {
      const { backing } = disk.image;
      if (action === 'keepOrMake') refuseToMake(disk);
      if (backing !== null) expectImage(disk, front, backing, await images.look(backing), 'there');
      continue;
    }
    expectImage(disk, front, newImage(disk), sight, ofNew);
    // Once it has begun no other side can be named.
    if (isFirst && STAYS_WHOLE.has(action)) await walkChain(disk, newImage(disk), images);
  }
}

/** What leaves the chain below the new image that is booted from as it is. */
const STAYS_WHOLE: ReadonlySet<OfflineAction> = new Set(['keep', 'moveForward']);

/** Whether it can be that a file was never written as a whole. */
function isLost(
  sight: ImageSight,
): sight is Extract<ImageSight, { readonly state: 'missing' | 'unreadable' }> {
  return sight.state === 'missing' || (sight.state === 'unreadable' && sight.isNoFile !== true);
}

function expectImage(
  disk: DiskPlan,
  front: OfflineDisk['front'],
  image: ImageName,
  sight: ImageSight,
  need: Need,
): void {
  if (need !== 'there' && sight.state === 'inUse') throw busy(disk, image, bootOf(disk, front));
  if (need === 'free') return;
  if (sight.state === 'missing') throw lost(disk, image);
  if (sight.state === 'unreadable') throw broken(disk, image, sight.why);
}

/**
 * Does what the verdict says, and gives the names of files that were set aside. `isAnothers`: whether under the name of a disk's new
 * image there is a file that the saga has not made. `lookAgain` is called in front of each disk. Throws FILES.
 */
export async function settleImages(
  plan: Plan,
  verdict: OfflineVerdict,
  images: Images,
  isAnothers: (disk: DiskPlan) => Promise<boolean>,
  lookAgain: (disk: DiskPlan) => Promise<void>,
): Promise<readonly string[]> {
  const aside: string[] = [];
  for (const { disk, action } of together(plan, verdict)) {
    await lookAgain(disk);
    if (action === 'keepOrMake') aside.push(...(await makeIfLost(disk, images, await isAnothers(disk))));
    if (action === 'moveBack') await moveBack(plan, disk, images);
    if (action === 'shorten') await shortenChain(plan, disk, images);
    if (action === 'commitDown') await commitActive(disk, images);
    if (action === 'moveForward') await images.copyInto(oldImage(disk), newImage(disk));
  }
  return aside;
}

/**
 * The images to boot from, each with the files of a chain that is whole, front first; `above` are the overlays of third parties that a
 * guest ran on last. Throws FILES.
 */
export async function bootImages(
  { plan, verdict }: { readonly plan: Plan; readonly verdict: OfflineVerdict },
  above: readonly OverlayAbove[],
  images: Images,
): Promise<{ readonly boot: readonly BootImage[]; readonly chains: readonly (readonly string[])[] }> {
  const boot: BootImage[] = [];
  const chains: (readonly string[])[] = [];
  for (const { disk, front } of together(plan, verdict)) {
    const own = bootOf(disk, front);
    const onIt = above.find(({ index, over }) => index === disk.index && over.file === own.file);
    const { file, driver } = onIt ?? own;
    const { holderBytes, file: made } = disk.image;
    const isPart = holderBytes !== undefined && file === made;
    boot.push({ disk: disk.disk, file, format: driver, ...(isPart ? { sizeBytes: disk.sizeBytes } : {}) });
    chains.push(await walkChain(disk, { file, driver }, images));
  }
  return { boot, chains };
}

async function makeIfLost(disk: DiskPlan, images: Images, isAnothers: boolean): Promise<readonly string[]> {
  const sight = await images.look(newImage(disk));
  if (!isLost(sight)) {
    expectImage(disk, 'new', newImage(disk), sight, 'there');
    return [];
  }
  const { backing, file, sizeBytes } = disk.image;
  invariant(backing !== null, 'an overlay has an image below it');
  refuseToMake(disk);
  // What cannot be read is kept all the same, under another name, for an administrator to look at; a third party's also when empty.
  const aside =
    sight.state === 'unreadable' && (isAnothers || !sight.isEmpty) ? [await images.setAside(file)] : [];
  await images.createOverlay(file, { file: backing.file, driver: backing.driver }, sizeBytes);
  return aside;
}

/** The new image of an encrypted disk is not made in the clear, and the secret to encrypt it was in QEMU. */
function refuseToMake(disk: DiskPlan): void {
  const { image } = disk;
  if (image.secret === undefined) return;
  throw new BlocksagaError(
    'FILES',
    `disk ${disk.disk}: ${image.file} is lost, nothing that counts was in it, and it was encrypted: make an empty one with its secret, then run this again (${makingOf(disk)})`,
    { disk: disk.disk },
  );
}

/** How an empty image is made in the place of a new one. */
export function makingOf({ image }: DiskPlan): string {
  const { backing, file, secret, sizeBytes } = image;
  const sealed =
    secret === undefined
      ? ''
      : `-u --object secret,id=${secret},file=SECRET -o encrypt.format=luks,encrypt.key-secret=${secret} `;
  return `qemu-img create -f qcow2 ${sealed}-b ${backing?.file} -F ${backing?.driver} ${file} ${sizeBytes}`;
}

async function moveBack(plan: Plan, disk: DiskPlan, images: Images): Promise<void> {
  const sight = await images.look(newImage(disk));
  if (sight.state !== 'readable') return; // moved and removed by an earlier run, or never written to
  if (plan.operation === 'snapshot') await images.commitOverlay(newImage(disk));
  else await images.copyInto(newImage(disk), oldImage(disk));
}

/** Throws unless every image of the chain is there and can be read, as far as names and headers tell which they are. */
async function walkChain(disk: DiskPlan, front: ImageName, images: Images): Promise<readonly string[]> {
  const files: string[] = [front.file];
  let image: ImageName | undefined = front;
  for (let depth = 0; image?.file.startsWith('/') && depth < CHAIN_DEPTH_MAX; depth += 1) {
    const sight = await images.look(image);
    if (sight.state === 'missing') throw lost(disk, image);
    if (sight.state === 'unreadable') throw broken(disk, image, sight.why);
    const below = belowOf(disk, image, sight);
    if (below === undefined) break;
    files.push(below.file);
    const driver = below.driver ?? knownChain(disk).find(each => each.file === below.file)?.driver;
    image = driver === undefined ? undefined : { file: below.file, driver };
  }
  return files;
}

/** What the header says; of an image in use, what the plan knows. */
function belowOf(disk: DiskPlan, { file }: ImageName, sight: ImageSight) {
  if (sight.state === 'readable') return sight.backing ?? undefined;
  const known = knownChain(disk);
  const at = known.findIndex(each => each.file === file);
  return at === -1 ? undefined : known[at + 1];
}

function knownChain(disk: DiskPlan): readonly ChainImage[] {
  return [...disk.chain, ...(disk.image.backing === null ? [] : [disk.image.backing]), ...disk.image.below];
}

function together(plan: Plan, verdict: OfflineVerdict) {
  return verdict.disks.map(({ index, front, action }) => {
    const disk = plan.disks[index];
    invariant(disk?.index === index, `the verdict is about disk ${index}, which the plan does not have`);
    return { disk, front, action };
  });
}

function bootOf(disk: DiskPlan, front: OfflineDisk['front']): ImageName {
  return front === 'new' ? newImage(disk) : oldImage(disk);
}

function newImage({ image }: DiskPlan): ImageName {
  return { file: image.file, driver: image.driver };
}

function oldImage({ file, driver }: DiskPlan): ImageName {
  return { file, driver };
}

function busy({ disk }: DiskPlan, { file }: ImageName, boot: ImageName): BlocksagaError {
  const why =
    file === boot.file ? 'which has to be changed first' : `but disk ${disk} continues on ${boot.file}`;
  return new BlocksagaError(
    'DISK_BUSY',
    `another program writes to ${file}, ${why}: stop that QEMU, then run this again`,
    {
      disk,
    },
  );
}

function lost(plan: DiskPlan, { file }: ImageName): BlocksagaError {
  const { disk, image } = plan;
  const remedy =
    image.file === file && image.backing !== null
      ? `; if it is lost for good, with all that was written to it, make an empty one: ${makingOf(plan)}`
      : '';
  return new BlocksagaError(
    'FILES',
    `disk ${disk}: ${file} is needed and is not there: put the right file back, then run this again${remedy}`,
    { disk },
  );
}

function broken({ disk }: DiskPlan, { file, driver }: ImageName, why: string): BlocksagaError {
  return new BlocksagaError(
    'FILES',
    `disk ${disk}: ${file} cannot be read as ${driver} (${why}): repair it, or, where another file had that name while QEMU ran, put the right file back, then run this again`,
    { disk },
  );
}
