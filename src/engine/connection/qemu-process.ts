/**
 * The process behind a monitor's UNIX socket, as Linux's /proc tells: which files it has open, and whether a path leads it
 * to what it leads us to. A socket alone does not say that: QEMU in a container or another mount namespace has the same
 * names for other files, and the socket may be a forwarded one. It only looks.
 */
import type { BigIntStats } from 'node:fs';
import { readdir, readFile, readlink, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { identityOf } from '../../images/file-identity.ts';
import type { FileUser } from '../../images/file-owner.ts';

/** A process that listens on the socket and has an image of its guest open. */
export interface QemuProcess {
  /** The user that it opens files as. */
  readonly user: FileUser;
  /** The identities of all files that it has open now; undefined when it may not be asked any more. */
  openFiles(): Promise<ReadonlySet<string> | undefined>;
  /** Whether it has a file open that was removed under this path, and not renamed; undefined when it may not be asked any more. */
  hasRemoved(path: string): Promise<boolean | undefined>;
  /** Whether the path leads it to the very thing that it leads this process to; undefined where that cannot be told. */
  seesSame(path: string): Promise<boolean | undefined>;
}

const UNREADABLE: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EACCES', 'EPERM', 'ESRCH', 'ELOOP']);
/** `__SO_ACCEPTCON`: the socket listens (proc_net_unix, net/unix/af_unix.c). */
const LISTENS = 0x10000;

/**
 * Finds it; undefined without a /proc that shows it, and where the socket belongs to a process that has none of these
 * images open by its own names, such as one that forwards it.
 */
export async function findQemuProcess(
  socket: string,
  images: readonly string[],
): Promise<QemuProcess | undefined> {
  const there = await lookAt(socket);
  if (there === undefined) return undefined;
  for (const pid of await listeners(socket, there)) {
    const open = await openFilesOf(pid);
    if (open === undefined) continue;
    for (const image of images) {
      const own = await lookAt(join(rootOf(pid), image));
      const isOpen = own !== undefined && open.has(identityOf(own));
      const user = isOpen ? await userOf(pid) : undefined;
      if (user !== undefined) return processOf(pid, user);
    }
  }
  return undefined;
}

function processOf(pid: string, user: FileUser): QemuProcess {
  return {
    user,
    openFiles: () => openFilesOf(pid),
    async hasRemoved(path) {
      const descriptors = await orUndefined(readdir(`/proc/${pid}/fd`));
      if (descriptors === undefined) return undefined;
      const links = await Promise.all(descriptors.map(fd => orUndefined(readlink(`/proc/${pid}/fd/${fd}`))));
      return links.includes(`${path} (deleted)`); // proc_pid_fd(5)
    },
    async seesSame(path) {
      const root = await lookAt(rootOf(pid));
      if (root === undefined) return undefined;
      const [theirs, ours] = await Promise.all([lookAt(join(rootOf(pid), path)), lookAt(path)]);
      if (theirs === undefined || ours === undefined) return theirs === ours;
      return theirs.dev === ours.dev && theirs.ino === ours.ino;
    },
  };
}

/** The processes that hold the very socket which is bound at this path. */
async function listeners(socket: string, there: BigIntStats): Promise<readonly string[]> {
  const found: string[] = [];
  const tables = new Map<string, ReadonlyMap<string, string>>();
  for (const pid of (await orUndefined(readdir('/proc')))?.filter(name => /^\d+$/.test(name)) ?? []) {
    const links = await socketsOf(pid);
    if (links.length === 0) continue;
    const network = (await orUndefined(readlink(`/proc/${pid}/ns/net`))) ?? '';
    const table = tables.get(network) ?? (await listeningSockets(pid, basename(socket)));
    tables.set(network, table);
    for (const inode of links) {
      const bound = table.get(inode);
      if (bound === undefined) continue;
      const path = bound.startsWith('/') ? join(rootOf(pid), bound) : join(`/proc/${pid}/cwd`, bound);
      const facts = await lookAt(path);
      if (facts?.dev === there.dev && facts.ino === there.ino) found.push(pid);
    }
  }
  return found;
}

async function socketsOf(pid: string): Promise<readonly string[]> {
  const descriptors = (await orUndefined(readdir(`/proc/${pid}/fd`))) ?? [];
  const links = await Promise.all(descriptors.map(fd => orUndefined(readlink(`/proc/${pid}/fd/${fd}`))));
  return links.flatMap(link => /^socket:\[(\d+)\]$/.exec(link ?? '')?.[1] ?? []);
}

/**
 * By inode number, the paths of the sockets of this name that a process listens on, in the network namespace of a
 * process.
 */
async function listeningSockets(pid: string, name: string): Promise<ReadonlyMap<string, string>> {
  const table = (await orUndefined(readFile(`/proc/${pid}/net/unix`, 'utf8'))) ?? '';
  return new Map(
    table.split('\n').flatMap(line => {
      // Num RefCount Protocol Flags Type St Inode Path
      const [, flags = '0', inode = '', path = ''] =
        /^\S+ +\S+ +\S+ +(\S+) +\S+ +\S+ +(\d+) (.+)$/.exec(line) ?? [];
      const isMeant = (Number.parseInt(flags, 16) & LISTENS) !== 0 && basename(path) === name;
      return isMeant ? [[inode, path] as const] : [];
    }),
  );
}

async function openFilesOf(pid: string): Promise<ReadonlySet<string> | undefined> {
  const descriptors = await orUndefined(readdir(`/proc/${pid}/fd`));
  if (descriptors === undefined) return undefined;
  const facts = await Promise.all(descriptors.map(fd => lookAt(`/proc/${pid}/fd/${fd}`)));
  return new Set(facts.flatMap(each => (each === undefined ? [] : [identityOf(each)])));
}

/** The fourth number of each line is the one that files are opened with (proc_pid_status(5)). */
async function userOf(pid: string): Promise<FileUser | undefined> {
  const status = (await orUndefined(readFile(`/proc/${pid}/status`, 'utf8'))) ?? '';
  const idIn = (line: string) =>
    Number(new RegExp(`^${line}:(?:\\s+\\d+){3}\\s+(\\d+)`, 'm').exec(status)?.[1]);
  const user = { uid: idIn('Uid'), gid: idIn('Gid') };
  return Number.isNaN(user.uid) || Number.isNaN(user.gid) ? undefined : user;
}

function rootOf(pid: string): string {
  return `/proc/${pid}/root`;
}

function lookAt(path: string): Promise<BigIntStats | undefined> {
  return orUndefined(stat(path, { bigint: true }));
}

/** What this process may not see, or what is gone, cannot be told; any other failure is thrown. */
async function orUndefined<T>(look: Promise<T>): Promise<T | undefined> {
  try {
    return await look;
  } catch (error) {
    if (error instanceof Error && 'code' in error && UNREADABLE.has(String(error.code))) return undefined;
    throw error;
  }
}
