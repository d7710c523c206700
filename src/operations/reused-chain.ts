/**
 * Reads what an image that is there stands on, down to where its chain meets the source's. Only headers are read, each in the
 * format that the one above it names.
 */
import { BlocksagaError } from '../errors.ts';
import type { Files } from '../images/files.ts';
import type { ChainImage, ImagePlan } from '../plan/plan.ts';
import { refuseImage } from './find-image.ts';
import { refuseHeader } from './reused-header.ts';
import type { GuestDisk } from './survey.ts';

const CHAIN_DEPTH_MAX = 200;

/** An image that a disk is to move onto. */
interface ReusedImage {
  readonly disk: string;
  readonly source: GuestDisk;
  readonly file: string;
  readonly driver: string;
  /** The image of the disk's chain that it is to stand on, or on a copy of. */
  readonly meant: ChainImage;
  /** What is below it may still be on its way: what cannot be read yet is left open. */
  readonly chainMayCome?: boolean;
}

/**
 * The chain that a reused shallow target names in its header: the source's own where it is the same file. Throws TARGET_CHAIN
 * where that leaves out an image of the disk's, or holds one that is to be left.
 */
export async function reusedChain(
  image: ReusedImage,
  files: Files,
): Promise<Pick<ImagePlan, 'backing' | 'below'>> {
  const chain: ChainImage[] = [];
  let { file, driver } = image;
  for (let depth = 0; depth < CHAIN_DEPTH_MAX; depth += 1) {
    const below = await readBelow(image, { file, driver }, files, chain.length > 0);
    if (below === null) return { backing: chain[0] ?? null, below: chain.slice(1) };
    const shared = await findShared(image.source.chain, below.file, files);
    if (shared !== undefined) {
      expectNoneLeftOut(image, chain, shared);
      return joined(chain, shared, image.source);
    }
    if (below.driver === null) {
      return refuseImage(
        image.disk,
        `${file} does not say which format its backing image ${below.file} has; state it with qemu-img rebase -u -F`,
      );
    }
    chain.push({ file: below.file, driver: below.driver, node: null });
    ({ file, driver } = { file: below.file, driver: below.driver });
  }
  const { disk } = image;
  const why = `the chain below ${image.file} is deeper than ${CHAIN_DEPTH_MAX} images`;
  throw new BlocksagaError('DISK_UNSUPPORTED', `disk ${disk}: ${why}`, { disk });
}

/** Images of the target's own may be copies of those that are between it and where the chains meet. */
function expectNoneLeftOut(image: ReusedImage, own: readonly ChainImage[], shared: ChainImage): void {
  const { chain } = image.source;
  const meantAt = chain.findIndex(({ file }) => file === image.meant.file);
  const at = chain.indexOf(shared);
  if (at === meantAt || (at > meantAt && own.length > 0)) return;
  const between = chain.slice(meantAt, at).map(({ file }) => file);
  refuseHeader(
    image,
    [...own, shared].map(({ file }) => file).join(', on '),
    at > meantAt
      ? `what is in ${between.join(' and ')} would be in no image of the copy`
      : `${shared.file} is one that the disk is to leave`,
  );
}

/**
 * The chain down to an image that it shares with the source, and on to the bottom. What QEMU has open is used as it is,
 * unless images of the target's own are above it: those are opened in one go with all that is below them.
 */
function joined(
  own: readonly ChainImage[],
  shared: ChainImage,
  source: GuestDisk,
): Pick<ImagePlan, 'backing' | 'below'> {
  const [backing, ...below] = own;
  if (backing === undefined && shared.node !== null) return { backing: shared, below: [] };
  const lower = source.chain.slice(source.chain.indexOf(shared) + 1).map(each => ({ ...each, node: null }));
  if (backing === undefined) return { backing: shared, below: lower };
  return { backing, below: [...below, { ...shared, node: null }, ...lower] };
}

async function readBelow(
  { chainMayCome = false }: ReusedImage,
  { file, driver }: Pick<ChainImage, 'file' | 'driver'>,
  files: Files,
  isBelow: boolean,
) {
  try {
    return (await files.imageInfo(file, driver))?.backing ?? null;
  } catch (error) {
    if (isBelow && chainMayCome && error instanceof BlocksagaError && error.code === 'FILES') return null;
    throw error;
  }
}

async function findShared(
  chain: readonly ChainImage[],
  file: string,
  files: Files,
): Promise<ChainImage | undefined> {
  const identity = (await files.stat(file))?.identity;
  for (const image of chain) {
    if (image.unnameable !== undefined) continue;
    if (image.file === file) return image;
    if (identity !== undefined && (await files.stat(image.file))?.identity === identity) return image;
  }
  return undefined;
}
