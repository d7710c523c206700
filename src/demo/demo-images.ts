/**
 * Makes the images of the demo's guest: each disk an overlay over a base image with data, and disk 1 with so much of it
 * that a copy of it needs more room than the demo's tight place has. Makes files, never removes any but its own drafts.
 */
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { BASE_DATA_OFFSET, createImages, type GuestImage } from './guest-images.ts';
import { qemuImg } from './qemu-tools.ts';

const MIB = 1024 * 1024;
/** Virtual size of each disk, in bytes. */
export const DISK_BYTES = 64 * MIB;
/** How many disks the demo's guest has. */
export const DISKS = 3;
/** The disk whose copy does not fit. */
export const BIG_DISK = 1;
/** What a place may hold, in bytes, so that the copy of the big disk fails there and the others would not. */
export const TIGHT_BYTES = 16 * MIB;

const DATA_BYTES = [6 * MIB, 40 * MIB, 6 * MIB] as const;

/** Makes the images in `directory`: `disk0.qcow2` over `base0.qcow2`, and so on. Throws `FILES`. */
export async function createDemoImages(directory: string): Promise<readonly GuestImage[]> {
  const drafts = await createImages({
    directory,
    disks: DISKS,
    format: 'raw',
    sizeBytes: DISK_BYTES,
    backing: false,
  });
  const images: GuestImage[] = [];
  for (const [disk, draft] of drafts.entries()) {
    const base = join(directory, `base${disk}.qcow2`);
    const file = join(directory, `disk${disk}.qcow2`);
    await fill(draft.file, DATA_BYTES[disk] ?? MIB, disk + 1);
    await qemuImg('convert', '-q', '-f', 'raw', '-O', 'qcow2', '--', draft.file, base);
    await qemuImg('create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', file);
    await rm(draft.file);
    images.push({ file, format: 'qcow2', base });
  }
  return images;
}

async function fill(file: string, bytes: number, pattern: number): Promise<void> {
  await using handle = await open(file, 'r+');
  const chunk = Buffer.alloc(MIB, pattern);
  for (let done = 0; done < bytes; done += MIB) {
    await handle.write(chunk, 0, MIB, BASE_DATA_OFFSET + done);
  }
}
