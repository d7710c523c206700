/**
 * Plans the commit of images that no QEMU has open: which images of N chains go into which ones below them, and what the
 * headers will say. It reads headers with stated formats and tries locks; it never guesses a format and changes nothing.
 */
import { isAbsolute, posix } from 'node:path';
import { BlocksagaError, invariant } from '../errors.ts';
import type { Files } from '../images/files.ts';
import type { ImageSight, Images } from '../images/images.ts';
import { diskNames } from '../plan/names.ts';
import { type ChainImage, type DiskPlan, PLAN_VERSION, type PlanBase } from '../plan/plan.ts';
import type { OfflineCommitRequest } from './commit-offline-request.ts';
import { refuseImage } from './find-image.ts';

/** The operation's name in the journal; no living QEMU has a part in it. */
export const COMMIT_OFFLINE = 'commitOffline';

const CHAIN_DEPTH_MAX = 200;

/** What is done to one disk's chain; places count from the front, which is 0. */
export interface OfflineMerge {
  /** The image that is committed, and the one that it is committed into. */
  readonly top: number;
  readonly base: number;
  /** What is written into the header of the image above `top`; null when `top` is the front one, and nothing is above. */
  readonly stored: string | null;
  /** Identities of the files that leave the chain, front first. */
  readonly leaving: readonly string[];
}

/** N chains of images shortened while no QEMU runs on them. Its disks have no nodes and no devices. */
export interface OfflineCommitPlan extends PlanBase {
  readonly operation: typeof COMMIT_OFFLINE;
  readonly deletes: boolean;
  /** Per disk, in the order of `disks`. */
  readonly merges: readonly OfflineMerge[];
}

/** What is looked at. */
export interface OfflineFacts {
  readonly files: Files;
  readonly images: Images;
  readonly token: string;
}

/** An image of a chain as it was found. */
interface FoundImage {
  readonly file: string;
  readonly driver: string;
  readonly identity: string;
  readonly sizeBytes: number;
  /** What its header calls the image below. */
  readonly stored: string | null;
}

type Named = Pick<FoundImage, 'file' | 'driver'>;

interface Span {
  readonly disk: string;
  readonly chain: readonly FoundImage[];
  readonly top: number;
  readonly base: number;
}

/** Throws a refusal that names the disk; nothing has been changed then. */
export async function planCommitOffline(
  request: OfflineCommitRequest,
  facts: OfflineFacts,
): Promise<OfflineCommitPlan> {
  const spans: Span[] = [];
  for (const asked of request.disks) {
    const format = asked.format ?? request.format ?? 'qcow2';
    const chain = await readChain(asked.disk, format, facts);
    spans.push(await spanOf(asked, chain, request, facts));
  }
  refuseShared(spans);
  const merges: OfflineMerge[] = [];
  for (const span of spans) merges.push(await mergeOf(span, request.relative ?? false, facts.files));
  for (const span of spans) await refuseLocked(span, facts.images);
  return {
    operation: COMMIT_OFFLINE,
    planVersion: PLAN_VERSION,
    token: facts.token,
    capabilities: [],
    maxBlackoutMs: 0,
    marksQemu: false,
    onCommit: null,
    deletes: request.delete ?? false,
    merges,
    disks: spans.map((span, index) => diskOf(span, index, facts.token)),
    identities: Object.fromEntries(
      spans.flatMap(({ chain }) => chain.map(({ file, identity }) => [file, identity])),
    ),
  };
}

/** The chain that the headers name, front first. */
async function readChain(
  disk: string,
  format: string,
  { files, images }: OfflineFacts,
): Promise<readonly FoundImage[]> {
  const chain: FoundImage[] = [];
  let next: Named | undefined = { file: disk, driver: format };
  while (next !== undefined) {
    const { file, driver }: Named = next;
    if (chain.length === CHAIN_DEPTH_MAX) {
      refuseDisk(disk, `its chain has more than ${CHAIN_DEPTH_MAX} images, or is a circle`);
    }
    const sight: ImageSight = await images.look({ file, driver });
    const facts = await files.stat(file);
    if (sight.state === 'missing' || facts === undefined) throw gone(disk, file);
    if (sight.state === 'inUse') throw busy(disk, file, 'another program has it open and may write to it');
    if (sight.state === 'unreadable') {
      return refuseDisk(disk, `${file} cannot be read as ${driver}, its stated format: ${sight.why}`);
    }
    const { backing, sizeBytes } = sight;
    chain.push({ file, driver, sizeBytes, identity: facts.identity, stored: backing?.stored ?? null });
    next = backing === null ? undefined : belowOf(disk, file, driver, backing);
  }
  return chain;
}

function belowOf(
  disk: string,
  file: string,
  format: string,
  { file: below, driver }: { readonly file: string; readonly driver: string | null },
): Named {
  if (!isAbsolute(below)) {
    return refuseDisk(disk, `${file} stands on ${below}, which is no file on this machine`);
  }
  if (driver !== null) return { file: below, driver };
  return refuseDisk(
    disk,
    `the header of ${file} does not say which format ${below} has, and it is not guessed: if you know, qemu-img rebase -u -f ${format} -b ${below} -F FORMAT ${file}`,
  );
}

async function spanOf(
  asked: OfflineCommitRequest['disks'][number],
  chain: readonly FoundImage[],
  { shallow }: OfflineCommitRequest,
  { files }: OfflineFacts,
): Promise<Span> {
  const { disk } = asked;
  const top = asked.top === undefined ? 0 : await placeOf(disk, asked.top, chain, files);
  const last = chain.length - 1;
  const name = chain[top]?.file ?? disk;
  if (top === last) refuseImage(disk, `${name} has no backing image into which it could be committed`);
  const lowest = shallow ? top + 1 : last;
  const base = asked.base === undefined ? lowest : await placeOf(disk, asked.base, chain, files);
  if (base <= top) {
    refuseImage(disk, `${asked.base} is not below ${name}, so that cannot be committed into it`);
  }
  if (shallow && base !== top + 1) {
    refuseImage(disk, `"shallow" commits into the image right below, and ${asked.base} is deeper`);
  }
  return { disk, chain, top, base };
}

/** An image by its file, under whichever name, or as `[2]`. */
async function placeOf(
  disk: string,
  image: string,
  chain: readonly FoundImage[],
  files: Files,
): Promise<number> {
  const known = chain.map(each => each.file).join(' <- ');
  const [, owner, digits] = /^(.*)\[(\d+)\]$/.exec(image) ?? [];
  const identity = isAbsolute(image) ? (await files.stat(image))?.identity : undefined;
  const place = chain.findIndex(each => each.file === image || each.identity === identity);
  if (place !== -1) return place;
  if (digits === undefined) refuseImage(disk, `"${image}" is not an image of its chain, which is ${known}`);
  if (owner !== '' && owner !== disk) refuseImage(disk, `"${image}" is an image of another disk`);
  if (Number(digits) >= chain.length) refuseImage(disk, `"${image}" is deeper than its chain, ${known}`);
  return Number(digits);
}

/** What is merged changes one image and takes others out of the chain: no other chain may stand on them. */
function refuseShared(spans: readonly Span[]): void {
  spans.forEach((span, at) => {
    const same = spans.slice(0, at).find(({ chain }) => chain[0]?.identity === span.chain[0]?.identity);
    if (same !== undefined) {
      const why = `${span.disk} and ${same.disk} are one file: name each disk once`;
      throw new BlocksagaError('DISK_NAMED_TWICE', why, { disk: span.disk });
    }
  });
  for (const { disk, chain, top, base } of spans) {
    const touched = chain.slice(top, base + 1);
    for (const other of spans) {
      if (other.disk === disk) continue;
      const shared = touched.find(image => other.chain.some(each => each.identity === image.identity));
      if (shared === undefined) continue;
      throw busy(disk, shared.file, `${other.disk} stands on it too and would not survive that`);
    }
  }
}

/** The image that is written into, and the one whose header is. */
async function refuseLocked({ disk, chain, top, base }: Span, images: Images): Promise<void> {
  for (const image of [chain[base], chain[top - 1]]) {
    const why = image && (await images.whyNotWritable(image));
    if (image && why !== undefined) throw busy(disk, image.file, `it cannot be written to now (${why})`);
  }
}

async function mergeOf(span: Span, relative: boolean, files: Files): Promise<OfflineMerge> {
  const { disk, chain, top, base } = span;
  const leaving = chain.slice(top, base).map(image => image.identity);
  if (top === 0) return { top, base, stored: null, leaving };
  const { file, identity } = imageAt(chain, base);
  if (!relative) return { top, base, stored: file, leaving };
  const stored = relativeName(disk, chain.slice(top - 1, base));
  const reached = posix.join(posix.dirname(imageAt(chain, top - 1).file), stored);
  if ((await files.stat(reached))?.identity !== identity) {
    refuseImage(disk, `no relative path can be inferred: ${reached} is not ${file}, a link leads elsewhere`);
  }
  return { top, base, stored, leaving };
}

/** As the headers of these images say it, each of the one below it. Throws REQUEST_INVALID where one does not. */
function relativeName(disk: string, above: readonly FoundImage[]): string {
  let path = '';
  for (const { file, stored } of above) {
    if (stored === null || isAbsolute(stored) || stored.includes(':')) {
      const said = stored ?? 'nothing';
      refuseImage(disk, `no relative path can be inferred: ${file} names its backing image as ${said}`);
    }
    path = posix.join(posix.dirname(path), stored ?? '');
  }
  return path;
}

function diskOf({ disk, chain, top, base }: Span, index: number, token: string): DiskPlan {
  const inChain = ({ file, driver }: FoundImage): ChainImage => ({ file, driver, node: null });
  const [front, backing = null, ...below] = [...chain.slice(0, top), ...chain.slice(base)].map(inChain);
  const { file, driver, sizeBytes } = imageAt(chain, 0);
  invariant(front !== undefined, 'the base stays');
  return {
    disk,
    index,
    names: diskNames(token, index),
    node: '',
    drive: '',
    qdev: null,
    file,
    driver,
    sizeBytes,
    chain: chain.map(inChain),
    retiring: [],
    cache: { direct: false, noFlush: false },
    detectZeroes: 'off',
    image: {
      file: front.file,
      driver: front.driver,
      protocol: 'file',
      sizeBytes,
      create: false,
      backing,
      below,
      openBacking: true,
    },
    goal: '',
  };
}

function imageAt(chain: readonly FoundImage[], place: number): FoundImage {
  const image = chain[place];
  invariant(image !== undefined, `the chain has an image at ${place}`);
  return image;
}

function gone(disk: string, file: string): BlocksagaError {
  const code = file === disk ? 'UNKNOWN_DISK' : 'FILES';
  return new BlocksagaError(code, `disk ${disk}: ${file} is not there`, { disk });
}

function busy(disk: string, file: string, why: string): BlocksagaError {
  return new BlocksagaError('DISK_BUSY', `disk ${disk}: ${file}: ${why}`, { disk });
}

function refuseDisk(disk: string, why: string): never {
  throw new BlocksagaError('DISK_UNSUPPORTED', `disk ${disk}: ${why}`, { disk });
}
