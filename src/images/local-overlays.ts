/**
 * Looks through a directory of this machine for overlays by their headers, within bounds: regular files only, never through a link,
 * never by what a file seems to be otherwise. It only reads.
 */
import { constants } from 'node:fs';
import { type FileHandle, open, opendir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { OverlaysSeen } from './images.ts';
import { inDirectoryOf } from './local-directory.ts';
import { HEADER_BYTES, readQcow2Header } from './qcow2-header.ts';

/** A directory with more entries is looked at in part, and that is said. */
const ENTRIES_MAX = 20_000;
const NOTHING_THERE: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR']);
/** Gone since it was listed, or a link or a device by now. */
const NO_FILE: ReadonlySet<string> = new Set(['ENOENT', 'ELOOP', 'ENXIO']);

type Overlay = OverlaysSeen['overlays'][0];

/** Of those that were written to since. */
export async function overlaysIn(directory: string, sinceMs: number): Promise<OverlaysSeen> {
  const overlays: Overlay[] = [];
  const unread: string[] = [];
  try {
    // The directory is held, so that every name is looked at in that very one.
    await inDirectoryOf(join(directory, 'any'), async ({ path }) => {
      const held = dirname(path);
      let seen = 0;
      for await (const entry of await opendir(held)) {
        seen += 1;
        if (seen > ENTRIES_MAX) return unread.push(`more than ${ENTRIES_MAX} files are in it`);
        if (!entry.isFile()) continue;
        const found = await readOverlay(join(held, entry.name), join(directory, entry.name), sinceMs);
        if (typeof found === 'string') unread.push(found);
        else if (found !== undefined) overlays.push(found);
      }
      return undefined;
    });
  } catch (cause) {
    const code = codeOf(cause);
    if (!NOTHING_THERE.has(code)) unread.push(`it cannot be read: ${code}`);
  }
  const byFile = (one: Overlay, other: Overlay) => (one.file < other.file ? -1 : 1);
  return { overlays: overlays.sort(byFile), unseen: unread[0] ?? null };
}

/** In words, why it could not be looked at; undefined where it is no overlay, or was not written to since. */
async function readOverlay(
  path: string,
  file: string,
  sinceMs: number,
): Promise<Overlay | string | undefined> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const facts = await handle.stat();
    if (!facts.isFile() || facts.mtimeMs < sinceMs) return undefined;
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
    const header = readQcow2Header(buffer.subarray(0, bytesRead), file);
    if (header === undefined) return undefined;
    return { file, driver: 'qcow2', ...header, writtenAtMs: facts.mtimeMs };
  } catch (cause) {
    const code = codeOf(cause);
    return NO_FILE.has(code) ? undefined : `${file} cannot be read: ${code}`;
  } finally {
    await handle?.close();
  }
}

function codeOf(error: unknown): string {
  if (error instanceof Error && 'code' in error) return String(error.code);
  throw error;
}
