/**
 * Completes what QEMU before 1.6 tells of its disks: only the next image below, and no size. The rest is read from the
 * images' headers where they can be reached. It changes nothing, and leaves open what cannot be read.
 */
import type { Files } from '../images/files.ts';
import type { ChainImage } from '../plan/plan.ts';
import type { GuestDisk, Survey } from './survey.ts';

/** More than any operation takes, so that a chain which is too deep is seen to be. */
const CHAIN_DEPTH_MAX = 256;

/** The same guest with its chains and sizes. Throws as `Files.imageInfo`. */
export async function readChains(survey: Survey, files: Files | null): Promise<Survey> {
  if (files === null || survey.disks.every(({ sizeBytes }) => sizeBytes > 0)) return survey;
  const disks: GuestDisk[] = [];
  for (const disk of survey.disks) disks.push(disk.sizeBytes > 0 ? disk : await readDisk(disk, files));
  return { ...survey, disks };
}

async function readDisk(disk: GuestDisk, files: Files): Promise<GuestDisk> {
  const chain: ChainImage[] = [];
  const stored: (string | null)[] = [];
  let sizeBytes = 0;
  let next: ChainImage | undefined = disk.chain[0];
  while (next !== undefined && chain.length < CHAIN_DEPTH_MAX) {
    chain.push(next);
    const isThere = next.driver !== '' && (await files.stat(next.file)) !== undefined;
    const info = isThere ? await files.imageInfo(next.file, next.driver) : undefined;
    if (chain.length === 1) sizeBytes = info?.virtualSizeBytes ?? 0;
    const backing = info?.backing ?? null;
    stored.push(backing?.file ?? null);
    next = backing === null ? undefined : { file: backing.file, driver: backing.driver ?? '', node: null };
  }
  // What QEMU says of the next image is so whatever the headers say, which may not be readable here.
  const known = chain.length >= disk.chain.length ? chain : disk.chain;
  return { ...disk, sizeBytes, chain: known, stored, nodes: known.map(() => []) };
}
