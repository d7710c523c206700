/** Finds the images of a disk's chain that a request names, and refuses what is not there. */
import { posix } from 'node:path';
import { BlocksagaError } from '../errors.ts';
import { pathInHeader, relativeInHeader } from '../plan/image-ref.ts';
import type { ChainImage } from '../plan/plan.ts';
import type { GuestDisk } from './survey.ts';

/** A disk of a request with what was found for it. */
export interface FoundDisk {
  readonly disk: string;
  readonly source: GuestDisk;
}

/**
 * The place of an image in its disk's chain, the active one being 0: by file, by node, or as `disk[2]`. Throws
 * REQUEST_INVALID for an image that is not in the chain, and for the index of another disk.
 */
export function placeOfImage({ disk, source }: FoundDisk, image: string): number {
  const byIndex = /^(.*)\[(\d+)\]$/.exec(image);
  const found = source.chain.findIndex(each => each.file === image || each.node === image);
  if (found !== -1) return found;
  const known = source.chain.map(each => each.file).join(' <- ');
  if (byIndex === null) refuseImage(disk, `"${image}" is not an image of its chain, which is ${known}`);
  const [, owner = '', digits = ''] = byIndex ?? [];
  const place = Number(digits);
  const names = [disk, source.node, source.device, source.drive, source.qdev, source.file];
  if (!names.includes(owner)) refuseImage(disk, `"${image}" is an image of another disk`);
  if (place >= source.chain.length) {
    refuseImage(disk, `"${image}" is deeper than its chain, which is ${known}`);
  }
  return place;
}

/** The node of an image. Throws CAPABILITY_MISSING where QEMU does not tell which node it is. */
export function nodeOfImage(disk: string, image: ChainImage): string {
  if (image.node !== null) return image.node;
  throw new BlocksagaError(
    'CAPABILITY_MISSING',
    `disk ${disk}: this QEMU does not say which node ${image.file} is (it lacks x-debug-query-block-graph)`,
    { disk },
  );
}

/**
 * The path from an image down to another one of its chain, as the headers between them say it; throws REQUEST_INVALID
 * when one of them names its backing image by an absolute path, or none.
 */
export function relativePath({ disk, source }: FoundDisk, from: number, to: number): string {
  let path = '';
  for (let place = from; place < to; place += 1) {
    const stored = source.stored[place] ?? null;
    if (stored === null || posix.isAbsolute(stored) || pathInHeader(stored, '') === undefined) {
      const file = source.chain[place]?.file;
      refuseImage(
        disk,
        `no relative path can be inferred: ${file} names its backing image as ${stored ?? 'nothing'}`,
      );
    }
    path = posix.join(posix.dirname(path), stored ?? '');
  }
  return relativeInHeader(path);
}

/** Refuses a request for what it says of one disk's images. */
export function refuseImage(disk: string, why: string): never {
  throw new BlocksagaError('REQUEST_INVALID', `disk ${disk}: ${why}`, { disk });
}
