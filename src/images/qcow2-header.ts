/**
 * What the header of a qcow2 image says of the image below it, read from its first bytes without any QEMU (docs/interop/qcow2.txt of
 * QEMU). It is for finding overlays: what it says is believed by nothing that writes. Pure.
 */
import { dirname, resolve } from 'node:path';
import { filesNamedIn } from './backing-name.ts';

/** So much of a file is read; a name stands in the first cluster, in practice right behind the header. */
export const HEADER_BYTES = 64 * 1024;

const MAGIC = 0x51_46_49_fb;
const VERSIONS: ReadonlySet<number> = new Set([2, 3]);
const AT = { version: 4, nameOffset: 8, nameBytes: 16, incompatible: 72 } as const;
const LEAST_BYTES = { 2: 72, 3: 104 } as const;
const NAME_BYTES_MAX = 1023;
/** Of the incompatible features of version 3: the data are in a file of their own, which a header may call anything. */
const HAS_DATA_FILE = 1n << 2n;

/** A qcow2 image with another one below it. */
export interface Qcow2Header {
  /** Absolute names of files that it may mean; several where it describes nodes, as below a filter. */
  readonly backing: readonly string[];
  readonly hasDataFile: boolean;
}

/** Of an image at that path; undefined for anything but a qcow2 image with one below it. */
export function readQcow2Header(bytes: Buffer, file: string): Qcow2Header | undefined {
  if (bytes.length < LEAST_BYTES[2] || bytes.readUInt32BE(0) !== MAGIC) return undefined;
  const version = bytes.readUInt32BE(AT.version);
  if (!VERSIONS.has(version) || (version === 3 && bytes.length < LEAST_BYTES[3])) return undefined;
  const offset = bytes.readBigUInt64BE(AT.nameOffset);
  const length = bytes.readUInt32BE(AT.nameBytes);
  if (offset === 0n || length === 0 || length > NAME_BYTES_MAX) return undefined;
  if (offset + BigInt(length) > BigInt(bytes.length)) return undefined;
  const name = bytes.toString('utf8', Number(offset), Number(offset) + length);
  const hasDataFile = version === 3 && (bytes.readBigUInt64BE(AT.incompatible) & HAS_DATA_FILE) !== 0n;
  return { backing: filesNamedIn(name).map(each => resolve(dirname(file), each)), hasDataFile };
}
