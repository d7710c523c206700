/**
 * Looks through the directory of a file for the very file that had its name, within bounds: regular files only, never through a link.
 * It only reads.
 */
import { constants } from 'node:fs';
import { lstat, open, opendir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { CLAIM_BYTES, claimIn, claimSizeBytes, unfinishedName } from './claim-text.ts';
import { identityOf } from './file-identity.ts';
import type { Sought } from './files.ts';
import { inDirectoryOf } from './local-directory.ts';

/** What is behind that many entries of a directory is not found. */
const ENTRIES_MAX = 20_000;
/** Gone since it was listed, a link by now, or not to be read: then it is not found. */
const UNREAD: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO', 'EACCES', 'EPERM']);

/** As `Files.findMoved`. */
export async function findMoved(
  path: string,
  sought: Sought,
): Promise<{ readonly file: string; readonly identity: string } | undefined> {
  return unlessUnread(
    // The directory is held, so that every name is looked at in that very one.
    inDirectoryOf(path, async held => {
      const directory = dirname(held.path);
      const own = [basename(path), ...('claim' in sought ? [unfinishedName(sought.claim)] : [])];
      let seen = 0;
      for await (const entry of await opendir(directory)) {
        seen += 1;
        if (seen > ENTRIES_MAX) return undefined;
        if (!entry.isFile() || own.includes(entry.name)) continue;
        const identity = await unlessUnread(identityOfSought(join(directory, entry.name), sought));
        if (identity !== undefined) return { file: join(dirname(path), entry.name), identity };
      }
      return undefined;
    }),
  );
}

/** Its identity where it is the one that is sought. */
async function identityOfSought(path: string, sought: Sought): Promise<string | undefined> {
  const facts = await lstat(path, { bigint: true });
  if (!facts.isFile()) return undefined;
  const identity = identityOf(facts);
  if ('identity' in sought) return identity === sought.identity ? identity : undefined;
  if (Number(facts.size) !== claimSizeBytes(sought.claim)) return undefined;
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(CLAIM_BYTES), 0, CLAIM_BYTES, 0);
    const claim = claimIn(buffer.subarray(0, bytesRead), Number(facts.size));
    return claim === sought.claim ? identity : undefined;
  } finally {
    await file.close();
  }
}

async function unlessUnread<T>(look: Promise<T>): Promise<T | undefined> {
  try {
    return await look;
  } catch (error) {
    if (error instanceof Error && 'code' in error && UNREAD.has(String(error.code))) return undefined;
    throw error;
  }
}
