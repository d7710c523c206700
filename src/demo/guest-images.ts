/**
 * Makes the images of a demo guest: each labelled in sector 0 so that the guest knows it, and optionally an overlay over
 * a base image that holds data. Makes files, never removes any.
 */
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BlocksagaError, invariant } from '../errors.ts';
import { FIRST_SECTOR, labelSector, RING_SECTORS, SECTOR_BYTES } from './ordered-writer.ts';
import { qemuImg } from './qemu-tools.ts';

/** What a base image has in its data region. */
export const BASE_PATTERN = 0xb5;
/** Where the data region of a base image begins, in bytes: right behind the ring. */
export const BASE_DATA_OFFSET = (FIRST_SECTOR + RING_SECTORS) * SECTOR_BYTES;
/** Length of the data region of a base image, in bytes. */
export const BASE_DATA_BYTES = 1024 * 1024;

/** Image formats that demo guests use. */
export type ImageFormat = 'qcow2' | 'raw';

/** One image, named so that nothing has to be guessed about it. */
export interface GuestImage {
  readonly file: string;
  readonly format: ImageFormat;
  /** The base image of an overlay; always qcow2. */
  readonly base?: string;
}

/** What the images of a guest are to be like. */
export interface ImageOptions {
  readonly directory: string;
  readonly disks: number;
  readonly format: ImageFormat;
  readonly sizeBytes: number;
  readonly backing: boolean;
}

/** Makes the images of all disks, `disk0.qcow2` and so on. Throws `REQUEST_INVALID` and `FILES`. */
export async function createImages(options: ImageOptions): Promise<readonly GuestImage[]> {
  const { directory, disks, format, sizeBytes, backing } = options;
  if (backing && format === 'raw')
    throw new BlocksagaError('REQUEST_INVALID', 'raw images have no backing file');
  if (sizeBytes % SECTOR_BYTES !== 0 || sizeBytes < BASE_DATA_OFFSET + BASE_DATA_BYTES) {
    throw new BlocksagaError(
      'REQUEST_INVALID',
      `a demo disk of ${sizeBytes} bytes is too small for the ring`,
    );
  }
  const images: GuestImage[] = [];
  for (let disk = 0; disk < disks; disk++) {
    const file = join(directory, `disk${disk}.${format}`);
    const base = join(directory, `base${disk}.qcow2`);
    const label = labelSector(disk, disks);
    if (backing) {
      await createLabelled(base, 'qcow2', sizeBytes, label, true);
      await qemuImg('create', '-q', '-f', 'qcow2', '-b', base, '-F', 'qcow2', file);
      images.push({ file, format, base });
    } else {
      await createLabelled(file, format, sizeBytes, label, false);
      images.push({ file, format });
    }
  }
  return images;
}

/**
 * The qcow2 images that `qemu-img` has made in this process, by what they are like. Another one differs in its label alone, and is
 * written at once: a process that starts many guests would spend more on the start of that program than on QEMU's.
 */
const made = new Map<string, { readonly bytes: Buffer; readonly labelAt: number }>();

async function createLabelled(
  file: string,
  format: ImageFormat,
  sizeBytes: number,
  label: Buffer,
  data: boolean,
) {
  invariant(label.length === SECTOR_BYTES, 'a label fills one sector');
  const like = `${sizeBytes} ${data}`;
  const known = format === 'raw' ? undefined : made.get(like);
  if (known !== undefined) {
    const bytes = Buffer.from(known.bytes);
    label.copy(bytes, known.labelAt);
    await writeFile(file, bytes, { flag: 'wx' });
    return;
  }
  const raw = format === 'raw' ? file : `${file}.raw`;
  await using handle = await open(raw, 'wx');
  await handle.truncate(sizeBytes);
  await handle.write(label, 0, label.length, 0);
  if (data) {
    await handle.write(Buffer.alloc(BASE_DATA_BYTES, BASE_PATTERN), 0, BASE_DATA_BYTES, BASE_DATA_OFFSET);
  }
  if (format === 'raw') return;
  await qemuImg('convert', '-q', '-f', 'raw', '-O', format, '--', raw, file);
  const bytes = await readFile(file);
  const labelAt = bytes.indexOf(label);
  invariant(labelAt > 0, `${file} holds its label`);
  made.set(like, { bytes, labelAt });
}
