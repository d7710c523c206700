/**
 * What blockdev-create makes of its options: the size and the layout of a new image, or why it is refused (qcow2_co_create(),
 * qed_co_create(), vmdk_co_create(), vdi_co_do_create(), vhdx_co_create()). Writes nothing.
 */

import { directoryOf, type Image, type ImageLayout } from '../host/host.ts';
import type { Arguments } from '../state/arguments.ts';
import { refuse } from '../state/refusal.ts';

type Made = Pick<Image, 'sizeBytes' | 'layout'>;

const [SECTOR_BYTES, KIB, MIB, GIB, TIB] = [512, 2 ** 10, 2 ** 20, 2 ** 30, 2 ** 40];

const MAKERS: Readonly<Record<string, (size: number, options: Arguments) => Made>> = {
  qcow2: (sizeBytes, options) => {
    if (sizeBytes % SECTOR_BYTES !== 0) refuse(`Image size must be a multiple of ${SECTOR_BYTES} bytes`);
    return { sizeBytes, layout: qcow2Layout(options) };
  },
  qed(sizeBytes) {
    if (sizeBytes % SECTOR_BYTES === 0) return { sizeBytes, layout: { clusterBytes: 64 * KIB } };
    return refuse(
      `QED image size must be a non-zero multiple of cluster size and less than ${QED_BYTES_MAX} bytes`,
    );
  },
  vmdk(sizeBytes) {
    if (sizeBytes % SECTOR_BYTES !== 0) refuse(`Image size must be a multiple of ${SECTOR_BYTES} bytes`);
    return { sizeBytes, layout: { clusterBytes: 64 * KIB } };
  },
  vdi: size => ({
    sizeBytes: Math.ceil(size / SECTOR_BYTES) * SECTOR_BYTES,
    layout: { clusterBytes: MIB },
  }),
  vhdx(size) {
    if (size > 64 * TIB) refuse('Image size too large; max of 64TB');
    const clusterBytes = MIB * (size > 32 * TIB ? 64 : size > 100 * GIB ? 32 : size > GIB ? 16 : 8);
    return { sizeBytes: Math.floor(size / SECTOR_BYTES) * SECTOR_BYTES, layout: { clusterBytes } };
  },
};

/** As QEMU writes it: what two levels of tables reach. */
const QED_BYTES_MAX = 70_368_744_177_664;

export function layoutOf(driver: string, sizeBytes: number, options: Arguments): Made {
  return MAKERS[driver]?.(sizeBytes, options) ?? { sizeBytes };
}

function qcow2Layout(options: Arguments): ImageLayout {
  const { 'cluster-size': clusterBytes = 64 * KIB, version = 'v3', 'refcount-bits': bits = 16 } = options;
  const isOld = version === 'v2';
  const extendedL2 = options['extended-l2'] === true;
  const lazyRefcounts = options['lazy-refcounts'] === true;
  const size = Number(clusterBytes);
  if (size < SECTOR_BYTES || size > 2 * MIB || !isPowerOf2(size))
    refuse('Cluster size must be a power of two between 512 and 2048k');
  if (extendedL2) refuseExtended(isOld, size);
  if (options['backing-fmt'] !== undefined && options['backing-file'] === undefined)
    refuse('Backing format cannot be used without backing file');
  if (isOld && lazyRefcounts)
    refuse(
      'Lazy refcounts only supported with compatibility level 1.1 and above (use version=v3 or greater)',
    );
  const refcountBits = Number(bits);
  if (!isPowerOf2(refcountBits) || refcountBits > 64)
    refuse('Refcount width must be a power of two and may not exceed 64 bits');
  if (isOld && refcountBits !== 16)
    refuse(
      'Different refcount widths than 16 bits require compatibility level 1.1 or above (use version=v3 or greater)',
    );
  if (options['data-file-raw'] === true && options['data-file'] === undefined)
    refuse('data-file-raw requires data-file');
  const compressionType = String(options['compression-type'] ?? 'zlib');
  return { clusterBytes: size, isOld, lazyRefcounts, refcountBits, extendedL2, compressionType };
}

function refuseExtended(isOld: boolean, clusterBytes: number): void {
  if (clusterBytes < 16 * KIB)
    refuse('Extended L2 entries are only supported with cluster sizes of at least 16384 bytes');
  if (isOld)
    refuse(
      'Extended L2 entries are only supported with compatibility level 1.1 and above (use version=v3 or greater)',
    );
}

function isPowerOf2(value: number): boolean {
  return value > 0 && Number.isInteger(Math.log2(value));
}

/** What a new file is refused for before it is made (raw_co_create(), block/file-posix.c). */
export function refuseFile(options: Arguments, directories: ReadonlySet<string>): void {
  const path = String(options['filename']);
  if (Number(options['extent-size-hint'] ?? 0) < 0) refuse('Extent size hint is too large');
  if (directories.has(path)) refuse(`Could not create '${path}': Is a directory`);
  if (!directories.has(directoryOf(path))) refuse(`Could not create '${path}': No such file or directory`);
}

/** The header is written before what is below is put into it. */
export function refuseLongName(options: Arguments): void {
  if (!isLongName(options)) return;
  const format = String(options['backing-fmt']);
  refuse(
    `Could not assign backing file '${String(options['backing-file'])}' with format '${format}': Invalid argument`,
  );
}

export function isLongName({ 'backing-file': name }: Arguments): boolean {
  return typeof name === 'string' && name.length > NAME_MAX;
}

const NAME_MAX = 1_023;
