/** By what a file of this machine is known from every other one that ever was on it. Pure. */
import type { BigIntStats } from 'node:fs';

/**
 * Device, inode number and time of birth; without the last where the file system does not tell it. libuv gives zero then
 * (uv__fs_statx, src/unix/fs.c).
 */
export function identityOf({ dev, ino, birthtimeNs }: BigIntStats): string {
  return birthtimeNs === 0n ? `${dev}:${ino}` : `${dev}:${ino}:${birthtimeNs}`;
}

/**
 * Whether two identities, noted at different times, are of one file. A host that starts again may number its devices anew, and another
 * kernel may tell a time of birth that was not told before.
 */
export function isSameFile(one: string, other: string): boolean {
  const [, inode, birth] = one.split(':');
  const [, inodeNow, birthNow] = other.split(':');
  return inode === inodeNow && (birth === undefined || birthNow === undefined || birth === birthNow);
}
