/**
 * Where the files of a run lie: in memory, where the machine has a file system for it with room and all that images need. Every
 * write of the tests' guests is flushed, and so is every record of their journals; on a disk that is waited for. A process that is
 * killed loses nothing of it either way, and no test cuts the power. The full tier uses the disk.
 */
import { closeSync, constants, openSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { isFull } from './tiers/tier.ts';

const SHARED_MEMORY = '/dev/shm';
/** `TMPFS_MAGIC` in Linux' include/uapi/linux/magic.h. */
const TMPFS = 0x01021994;
const ROOM_BYTES = 6 * 1024 ** 3;

/** That place; undefined where there is none. */
export function inMemory(place = SHARED_MEMORY): string | undefined {
  if (isFull) return undefined;
  try {
    const { type, bavail, bsize } = statfsSync(place);
    return type === TMPFS && bavail * bsize >= ROOM_BYTES && bypassesCaches(place) ? place : undefined;
  } catch {
    return undefined; // not on this machine
  }
}

/** Linux opens no file of a tmpfs so, and keeps no extended attributes there, before 6.6. */
function bypassesCaches(place: string): boolean {
  const file = join(place, `bsd-direct-${process.pid}`);
  try {
    closeSync(openSync(file, constants.O_CREAT | constants.O_RDWR | constants.O_DIRECT, 0o600));
    return true;
  } catch {
    return false;
  } finally {
    rmSync(file, { force: true });
  }
}
