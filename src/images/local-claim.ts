/**
 * Makes the new image files of this machine. A file gets its name by `link`, when all of its claim is on disk: a process that dies before
 * leaves a file under a name that only its saga has, from which the next one takes it away. File systems without hard links have the file
 * under its own name from the beginning.
 */
import { constants } from 'node:fs';
import { type FileHandle, link, lstat, open, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { BlocksagaError } from '../errors.ts';
import { claimBytes, claimSizeBytes, isBegunClaim, unfinishedName } from './claim-text.ts';
import { identityOf } from './file-identity.ts';
import { type FileUser, type StatedAccess, shareAsStated, shareLike } from './file-owner.ts';
import { type HeldDirectory, inDirectoryOf } from './local-directory.ts';
import { codeOf, filesError, MAY_NOT, NOTHING_THERE, orUndefined } from './local-errors.ts';

const NEW = constants.O_CREAT | constants.O_EXCL | constants.O_RDWR | constants.O_NOFOLLOW;
/** A file system that has no hard links, or no more of them for this file. */
const NO_LINKS: ReadonlySet<string> = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK']);
/** What stands there is a link, no file, or not ours to read. */
const NOT_READ = [...NOTHING_THERE, ...MAY_NOT, 'ELOOP', 'ENXIO'];

/** What a new file is made like. */
export interface Making {
  readonly like: string;
  readonly claim: string;
  readonly access: StatedAccess;
  readonly qemu: FileUser | undefined;
}

/** As `Files.createExclusive`. */
export async function createClaimed(path: string, making: Making): Promise<string | undefined> {
  try {
    const made = inDirectoryOf(path, directory => make(directory, path, making));
    return await orUndefined(made, [...NOTHING_THERE, ...MAY_NOT]);
  } catch (cause) {
    if (cause instanceof BlocksagaError && cause.code === 'TARGET_EXISTS') throw cause;
    if (codeOf(cause) !== 'EEXIST') throw filesError(`cannot create ${path}`, cause);
    const why = `${path} exists; name another file, or say that it may be reused`;
    throw new BlocksagaError('TARGET_EXISTS', why, { cause });
  }
}

/** As `Files.removeUnfinished`. */
export async function removeUnfinished(path: string, claim: string): Promise<void> {
  try {
    await orUndefined(
      inDirectoryOf(path, directory => removeUnfinishedIn(directory, claim)),
      [...NOTHING_THERE, 'EACCES'],
    );
  } catch (cause) {
    throw filesError(`cannot remove ${join(dirname(path), unfinishedName(claim))}`, cause);
  }
}

async function make(directory: HeldDirectory, path: string, making: Making): Promise<string> {
  await removeUnfinishedIn(directory, making.claim);
  return (await makeAside(directory, path, making)) ?? (await makeInPlace(directory, making));
}

/** Undefined where the file system has no links. */
async function makeAside(
  directory: HeldDirectory,
  path: string,
  making: Making,
): Promise<string | undefined> {
  const name = unfinishedName(making.claim);
  const aside = beside(directory, name);
  const file = await open(aside, NEW, 0o600).catch(cause => {
    if (codeOf(cause) !== 'EEXIST') throw cause;
    const why = `${join(dirname(path), name)} stands where this saga makes ${path}, and is not its own: move it away`;
    throw new BlocksagaError('TARGET_EXISTS', why, { cause });
  });
  return orNothing(directory, aside, file, async () => {
    const identity = await written(file, making);
    const isLinked = await linked(file, aside, directory.path);
    await removeName(directory, aside, file);
    return isLinked ? identity : undefined;
  });
}

async function makeInPlace(directory: HeldDirectory, making: Making): Promise<string> {
  const file = await open(directory.path, NEW, 0o600);
  return orNothing(directory, directory.path, file, () => written(file, making));
}

/** Where it fails the name goes, if that leads to this file yet. Closes it. */
async function orNothing<T>(
  directory: HeldDirectory,
  name: string,
  file: FileHandle,
  act: () => Promise<T>,
): Promise<T> {
  try {
    return await act();
  } catch (cause) {
    throw await without(cause, () => removeName(directory, name, file));
  } finally {
    await file.close();
  }
}

async function written(file: FileHandle, { like, claim, access, qemu }: Making): Promise<string> {
  const below = await orUndefined(stat(like), [...NOTHING_THERE, 'EACCES', 'ENAMETOOLONG']);
  await shareLike(file, below?.isFile() ? below : undefined, qemu);
  await shareAsStated(file, access);
  await file.write(claimBytes(claim));
  await file.truncate(claimSizeBytes(claim));
  await file.sync();
  return identityOf(await file.stat({ bigint: true }));
}

/** False where the file system has no links. Unlike `rename` it never replaces what is there. */
async function linked(file: FileHandle, from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (cause) {
    if (NO_LINKS.has(codeOf(cause))) return false;
    // A file server whose first answer was lost says so of the link that it has made.
    if (codeOf(cause) === 'EEXIST' && (await leadsTo(to, file))) return true;
    // Not to be taken for a directory that is missing: a third party has taken the file away.
    if (codeOf(cause) === 'ENOENT')
      throw filesError('the new file was taken away before it had its name', cause);
    throw cause;
  }
}

/** The cause, with what could not be removed behind it. */
async function without(cause: unknown, remove: () => Promise<void>): Promise<unknown> {
  try {
    await remove();
    return cause;
  } catch (error) {
    const more = error instanceof Error ? error.message : String(error);
    return filesError(`${cause instanceof Error ? cause.message : String(cause)}; nor was it removed`, more);
  }
}

/** Takes a name from a file that is held open; when another file has it by now, nothing happens. */
async function removeName(directory: HeldDirectory, name: string, file: FileHandle): Promise<void> {
  if (!(await leadsTo(name, file))) return;
  await unlink(name);
  await directory.sync();
}

/** Whether a name leads to this open file, and not over a link. */
async function leadsTo(name: string, file: FileHandle): Promise<boolean> {
  const there = await orUndefined(lstat(name, { bigint: true }), NOTHING_THERE);
  return there !== undefined && identityOf(there) === identityOf(await file.stat({ bigint: true }));
}

/** Only what holds a beginning of the claim and nothing else, or is the very file that has its own name by now. */
async function removeUnfinishedIn(directory: HeldDirectory, claim: string): Promise<void> {
  const name = beside(directory, unfinishedName(claim));
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const file = await orUndefined(open(name, flags), NOT_READ);
  if (file === undefined) return;
  try {
    const facts = await file.stat({ bigint: true });
    if (!facts.isFile()) return;
    const isOurs = (await leadsTo(directory.path, file)) || (await isBegun(file, facts.size, claim));
    if (isOurs) await removeName(directory, name, file);
  } finally {
    await file.close();
  }
}

async function isBegun(file: FileHandle, size: bigint, claim: string): Promise<boolean> {
  const whole = claimBytes(claim);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(whole.length), 0, whole.length, 0);
  return isBegunClaim(buffer.subarray(0, bytesRead), Number(size), claim);
}

function beside(directory: HeldDirectory, name: string): string {
  return join(dirname(directory.path), name);
}
