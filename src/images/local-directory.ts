/**
 * A directory of this machine, opened once, so that what is looked at, made and removed in it is in that very directory,
 * whatever its path leads to by then. Node has no `openat`: on Linux a path below `/proc/self/fd/N` does the same. Where
 * that is not there (no Linux, no /proc) names are reached by their whole path again, and a directory that is exchanged
 * between the look and the act is not seen.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** The directory of one file, held open. */
export interface HeldDirectory {
  /** Leads to the file through the open directory. */
  readonly path: string;
  /** Makes its entries durable. */
  sync(): Promise<void>;
}

/** Opens the directory of a file, and closes it when `act` has ended. Throws what the system does. */
export async function inDirectoryOf<T>(
  file: string,
  act: (directory: HeldDirectory) => Promise<T>,
): Promise<T> {
  const handle = await open(dirname(file), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    const through = `/proc/self/fd/${handle.fd}`;
    const path = (await leadsTo(through, handle)) ? join(through, basename(file)) : file;
    return await act({ path, sync: () => handle.sync() });
  } finally {
    await handle.close();
  }
}

async function leadsTo(path: string, handle: FileHandle): Promise<boolean> {
  try {
    const [there, here] = await Promise.all([stat(path, { bigint: true }), handle.stat({ bigint: true })]);
    return there.dev === here.dev && there.ino === here.ino;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}
