/** Refuses new images in a directory that is known not to be there: QEMU would say so only when others have been made. */
import { dirname } from 'node:path';
import { BlocksagaError } from '../errors.ts';
import type { Files } from '../images/files.ts';

/** Where this process is proved to see what QEMU sees; elsewhere the directory may be one that only QEMU has. Throws TARGET_MISSING. */
export async function refuseMissingDirectory(disk: string, file: string, files: Files): Promise<void> {
  const directory = dirname(file);
  if ((await files.stat(directory)) !== undefined || (await files.isShared?.(directory)) !== true) return;
  const why = `the directory ${directory} of ${file} is not there: make it first, or name another one`;
  throw new BlocksagaError('TARGET_MISSING', `disk ${disk}: ${why}`, { disk });
}
