/**
 * Checks the new images of a request against the guest and the files that are there, and plans each. No image is ever
 * opened to guess its format.
 */
import { dirname, isAbsolute, relative } from 'node:path';
import { BlocksagaError, type ErrorCode } from '../errors.ts';
import type { Files } from '../images/files.ts';
import { nbdAddress, readNbdAddress } from '../images/nbd-address.ts';
import { meet, type Place, placeOfExport, placeOfFile } from '../images/places.ts';
import { relativeInHeader } from '../plan/image-ref.ts';
import type { ChainImage, ImagePlan } from '../plan/plan.ts';
import { layoutFor } from './image-traits.ts';
import { refuseMissingDirectory } from './missing-directory.ts';
import { type NewImageWishes, wishesInPlan } from './new-image-fields.ts';
import { reusedChain } from './reused-chain.ts';
import { expectOverlayOn } from './reused-header.ts';
import type { GuestDisk, Survey } from './survey.ts';

/** One new image as it was asked for. */
export interface NewImage {
  readonly disk: string;
  readonly source: GuestDisk;
  readonly file: string;
  readonly driver: string;
  readonly reuse: boolean;
  /** Whether it is a block device that a new image is written onto. */
  readonly initialize?: boolean;
  /** The image below the new one; null for a full copy. */
  readonly backing: ChainImage | null;
  readonly openBacking: boolean;
  /** The id of the secret object that it is encrypted with; null for one in the clear. */
  readonly secret: string | null;
  /** Whether its header names the image below by a path relative to its own. */
  readonly relative?: boolean;
  /** What the request says of its file and node. */
  readonly wishes?: NewImageWishes;
  /** What is below an image that is there may still be on its way: what cannot be read yet is left open. */
  readonly chainMayCome?: boolean;
}

/** Plans all, or throws the first refusal, naming the disk. */
export async function planImages(
  images: readonly NewImage[],
  guest: Survey,
  files: Files | null,
): Promise<readonly ImagePlan[]> {
  await refuseShared(images, guest, files);
  const plans: ImagePlan[] = [];
  for (const image of images) plans.push(await planImage(image, files));
  return plans;
}

/** Refuses one image for two disks, and one that the guest uses already, under whatever name. */
async function refuseShared(images: readonly NewImage[], guest: Survey, files: Files | null): Promise<void> {
  const used: Named[] = [];
  for (const file of new Set(guest.filesInUse)) used.push(...(await placeOf(file, files)));
  const taken: Named[] = [];
  for (const image of images) {
    const places = await placeOf(image.file, files);
    const inUse = sameAs(places, used);
    if (inUse !== undefined)
      refuse('TARGET_IN_USE', image, `${image.file} is in use by this guest already${alias(image, inUse)}`);
    const other = sameAs(places, taken);
    if (other !== undefined)
      refuse('TARGET_NAMED_TWICE', image, `${image.file} is named for two disks${alias(image, other)}`);
    taken.push(...places);
  }
}

/** A name with where its bytes are; undefined while nothing is there. */
interface Named {
  readonly file: string;
  readonly place: Place | undefined;
}

async function placeOf(file: string, files: Files | null): Promise<readonly Named[]> {
  if (files?.place !== undefined) return [{ file, place: await files.place(file) }];
  const identity = file.startsWith('/') ? (await files?.stat(file))?.identity : undefined;
  const place = identity === undefined ? placeOfExport(file, new Set()) : placeOfFile(identity);
  return [{ file, place }];
}

function sameAs(some: readonly Named[], others: readonly Named[]): string | undefined {
  return others.find(other => some.some(one => isSame(one, other)))?.file;
}

function isSame(one: Named, other: Named): boolean {
  if (one.file === other.file) return true;
  return one.place !== undefined && other.place !== undefined && meet(one.place, other.place);
}

function alias({ file }: NewImage, other: string): string {
  return file === other ? '' : `, as ${other}`;
}

async function planImage(image: NewImage, files: Files | null): Promise<ImagePlan> {
  const { file, driver, source, reuse } = image;
  if (!reuse || image.initialize) refuseUnnameable(image);
  const common = {
    file,
    driver,
    sizeBytes: source.sizeBytes,
    create: !reuse,
    openBacking: image.openBacking,
    ...(image.secret === null ? {} : { secret: image.secret }),
    ...layoutOf(image),
    ...wishesOf(image),
    ...(image.relative && (!reuse || image.initialize) ? { backingName: relativeName(image) } : {}),
  };
  const address = readNbdAddress(file);
  if (address !== undefined) {
    const backing = driver === 'raw' ? null : image.backing;
    return { ...common, file: nbdAddress(address), protocol: 'nbd', create: false, backing, below: [] };
  }
  if (files === null) return { ...common, protocol: 'file', ...backingOf(image) };
  const facts = await files.stat(file);
  if (!reuse) {
    if (facts !== undefined) {
      refuse('TARGET_EXISTS', image, `${file} exists; name another file, or say that it may be reused`);
    }
    await refuseMissingDirectory(image.disk, file, files);
    return { ...common, protocol: 'file', ...backingOf(image) };
  }
  if (facts === undefined) refuse('TARGET_MISSING', image, `${file} is to be reused, but it is not there`);
  const why = await files.whyInUse?.(file);
  if (why !== undefined) refuse('TARGET_IN_USE', image, `${file} must not be written to: ${why}`);
  if (facts.kind === 'other')
    refuse('DISK_UNSUPPORTED', image, `${file} is neither a file nor a block device`);
  const protocol = facts.kind === 'blockDevice' ? 'host_device' : 'file';
  if (image.initialize && protocol === 'file')
    refuse('TARGET_EXISTS', image, `${file} is no block device, and only such a target is written onto`);
  const tight = protocol === 'file' ? {} : await tightness(image, files);
  if (image.initialize && driver !== 'raw')
    return { ...common, ...tight, protocol, formats: true, ...backingOf(image) };
  const info = await files.imageInfo(file, driver);
  const holder = expectSize(image, info?.virtualSizeBytes);
  if (image.secret !== null && info?.encrypted === false) {
    refuse(
      'REQUEST_INVALID',
      image,
      `${file} is not encrypted, and what it is to hold is; make an encrypted image, or say encrypt=none`,
    );
  }
  const { backing } = image;
  if (backing === null || driver === 'raw')
    return { ...common, ...tight, ...holder, protocol, backing: null, below: [] };
  if (!image.openBacking) {
    await expectOverlayOn({ disk: image.disk, file, meant: backing }, info?.backing ?? null, files);
    return { ...common, ...tight, protocol, ...backingOf(image) };
  }
  return { ...common, ...tight, protocol, ...(await reusedChain({ ...image, meant: backing }, files)) };
}

/** Throws TARGET_SIZE; a raw image may be the beginning of what is larger. */
function expectSize(image: NewImage, foundBytes: number | undefined): Pick<ImagePlan, 'holderBytes'> {
  const { file, driver, source } = image;
  if (foundBytes === undefined || foundBytes === source.sizeBytes) return {};
  if (driver === 'raw' && foundBytes > source.sizeBytes) return { holderBytes: foundBytes };
  const next =
    foundBytes > source.sizeBytes
      ? 'a larger one can only be used as raw; shrink it (qemu-img resize --shrink)'
      : 'make it larger (qemu-img resize)';
  return refuse(
    'TARGET_SIZE',
    image,
    `${file} has ${foundBytes} bytes, but the disk has ${source.sizeBytes}; they must be equal: ${next}`,
  );
}

/** What the metadata of a qcow2 image with the smallest clusters may take of each byte of its disk, and in any case. */
const METADATA_SHARE = 1 / 4096;
const METADATA_BYTES = 1024 * 1024;

/** Whether an image of a format may come to need more than its block device has. */
async function tightness(
  { file, driver, source: { sizeBytes } }: NewImage,
  files: Files,
): Promise<Pick<ImagePlan, 'tightBytes'>> {
  if (driver === 'raw') return {};
  const room = (await files.imageInfo(file, 'raw'))?.virtualSizeBytes;
  const most = sizeBytes * (1 + METADATA_SHARE) + METADATA_BYTES;
  return room === undefined || room >= most ? {} : { tightBytes: room };
}

function layoutOf({ source, driver, reuse, initialize }: NewImage): Pick<ImagePlan, 'layout'> {
  const layout = reuse && !initialize ? undefined : layoutFor(source.traits, driver);
  return layout === undefined ? {} : { layout };
}

/** Throws REQUEST_INVALID for what is said of a file that the saga does not make. */
function wishesOf(image: NewImage) {
  const wishes = wishesInPlan(image.wishes ?? {});
  const isExport = readNbdAddress(image.file) !== undefined;
  if (image.reuse && (wishes.access !== undefined || wishes.preallocation !== undefined))
    refuse(
      'REQUEST_INVALID',
      image,
      `owner, mode and preallocation are for files that are made, and ${image.file} is there`,
    );
  if (isExport && wishes.opens?.aio !== undefined)
    refuse('REQUEST_INVALID', image, `aio is for files and block devices, and ${image.file} is neither`);
  if (wishes.preallocation === 'metadata' && image.driver !== 'qcow2')
    refuse(
      'REQUEST_INVALID',
      image,
      `a ${image.driver} image has no metadata to preallocate: say falloc or full`,
    );
  return wishes;
}

/** The image below, with all that is below it where QEMU does not say which node it is: it is opened anew then. */
function backingOf({ backing, openBacking, source }: NewImage): Pick<ImagePlan, 'backing' | 'below'> {
  if (backing === null || backing.node !== null || !openBacking) return { backing, below: [] };
  return {
    backing,
    below: source.chain.slice(source.chain.findIndex(({ file }) => file === backing.file) + 1),
  };
}

/** Refuses a header that would name other bytes than QEMU has open there, or none. */
function refuseUnnameable(image: NewImage): void {
  const { backing } = image;
  if (backing?.unnameable === undefined) return;
  refuse(
    'DISK_UNSUPPORTED',
    image,
    `the header of ${image.file} would have to name ${backing.file}, and cannot: ${backing.unnameable}`,
  );
}

/** Throws REQUEST_INVALID for a name that is no path. */
function relativeName(image: NewImage): string {
  const below = image.backing?.file ?? '';
  if (isAbsolute(below)) return relativeInHeader(relative(dirname(image.file), below));
  return refuse(
    'REQUEST_INVALID',
    image,
    below === ''
      ? 'only an image that stands on another one can name that by a relative path'
      : `${below} is no path, so that it cannot be named by a relative one`,
  );
}

function refuse(code: ErrorCode, image: NewImage, why: string): never {
  throw new BlocksagaError(code, `disk ${image.disk}: ${why}`, { disk: image.disk });
}
