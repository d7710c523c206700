/** The keys of `--disk` that say how a new image's file and node are made, the same for every command that makes images. */
import { definedOnly } from '../../errors.ts';
import type { DiskKeys, DiskOption } from './disk-option.ts';
import { ifGiven, readChoice } from './option-values.ts';

export const NEW_IMAGE_KEYS: DiskKeys = { aio: 'HOW', discard: 'HOW', owner: 'UID:GID', mode: 'MODE' };

export const NEW_IMAGE_HELP = `  aio=HOW       threads, native or io_uring for the new image's I/O; discard=unmap or ignore for the guest's TRIM. QEMU
                does not tell either of the old image: threads and unmap unless said. Cache mode and detect-zeroes stay.
  owner=UID:GID the owner of a new file, in numbers, and mode=MODE its mode in octal; the old image's unless said`;

/** What such keys say; the request's own rules check owner and mode. */
export function readNewImage({ disk, values }: DiskOption) {
  return definedOnly({
    aio: ifGiven(values.get('aio'), readChoice(`--disk ${disk},aio`, ['threads', 'native', 'io_uring'])),
    discard: ifGiven(values.get('discard'), readChoice(`--disk ${disk},discard`, ['unmap', 'ignore'])),
    owner: values.get('owner'),
    mode: values.get('mode'),
  });
}
