/** By what a file of this machine is known from every other one that ever was on it. Pure. */
import type { BigIntStats } from 'node:fs';

/**
 * Device, inode number and time of birth; without the last where the file system does not tell it. libuv gives zero then
 * (uv__fs_statx, src/unix/fs.c).
 */
export function identityOf({ dev, ino, birthtimeNs }: BigIntStats): string {
  return birthtimeNs === 0n ? `${dev}:${ino}` : `${dev}:${ino}:${birthtimeNs}`;
}
