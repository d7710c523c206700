/**
 * Who may read and write a new image: the users who may with the image below it, and QEMU, and no one else. It sets
 * that by the file's descriptor, and narrows it where this process may not give the file away.
 */
import type { Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { BlocksagaError } from '../errors.ts';

/** The user that QEMU opens files as. */
export interface FileUser {
  readonly uid: number;
  readonly gid: number;
}

interface Access extends FileUser {
  readonly mode: number;
}

/** Gives a file that only its maker can open its owner and mode. `model` is the image below, where it is a file here. */
export async function shareLike(
  file: FileHandle,
  model: Pick<Stats, 'uid' | 'gid' | 'mode'> | undefined,
  qemu: FileUser | undefined,
): Promise<void> {
  const { uid, gid, mode } = accessFor(model, qemu);
  if (process.getuid?.() === 0) {
    await file.chown(uid, gid);
    return file.chmod(mode);
  }
  const mine = await file.stat();
  const isInGroup = mine.gid === gid || (await mayGive(file, mine.uid, gid));
  // Of another group than the image below, it may not show more than that shows to everyone.
  await file.chmod(isInGroup ? mode : (mode & 0o606) | ((mode & 0o006) << 3));
}

/** What a request says of a new file, over what its model says; what is left out stays. */
export interface StatedAccess {
  readonly uid?: number;
  readonly gid?: number;
  readonly mode?: number;
}

/** Throws FILES where this process may not give the file away so. */
export async function shareAsStated(file: FileHandle, { uid, gid, mode }: StatedAccess): Promise<void> {
  try {
    if (uid !== undefined || gid !== undefined) {
      const { uid: uidNow, gid: gidNow } = await file.stat();
      await file.chown(uid ?? uidNow, gid ?? gidNow);
    }
    if (mode !== undefined) await file.chmod(mode);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new BlocksagaError(
      'FILES',
      `the new file cannot get the owner or mode that was asked for (${why}): run as root, or leave owner and mode out`,
      { cause },
    );
  }
}

function accessFor(
  model: Pick<Stats, 'uid' | 'gid' | 'mode'> | undefined,
  qemu: FileUser | undefined,
): Access {
  const owner = qemu ?? { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  if (model === undefined) return { ...owner, mode: 0o600 };
  const access = { uid: model.uid, gid: model.gid, mode: model.mode & 0o666 };
  if (qemu === undefined || isOpenTo(access, qemu)) return access;
  return { ...qemu, mode: 0o600 };
}

function isOpenTo({ uid, gid, mode }: Access, user: FileUser): boolean {
  if (user.uid === 0) return true;
  const shift = user.uid === uid ? 6 : user.gid === gid ? 3 : 0;
  return ((mode >> shift) & 0o6) === 0o6;
}

async function mayGive(file: FileHandle, uid: number, gid: number): Promise<boolean> {
  try {
    await file.chown(uid, gid);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EPERM') return false;
    throw error;
  }
}
