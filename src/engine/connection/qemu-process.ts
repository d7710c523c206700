/**
 * The process behind a monitor's UNIX socket, as Linux's /proc tells: which files it has open, and whether a path leads it
 * to what it leads us to. A socket alone does not say that: QEMU in a container or another mount namespace has the same
 * names for other files, and the socket may be a forwarded one. It only looks.
 */
import { type BigIntStats, readdirSync, readlinkSync } from 'node:fs';
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
/** What readlink(2) tells of descriptors that are no files (proc_pid_fd(5)). */
const NO_FILE = /^(?:socket|pipe|anon_inode):/;
const SOCKET = /^socket:\[(\d+)\]$/;
/** `__SO_ACCEPTCON`: the socket listens (proc_net_unix, net/unix/af_unix.c). */
const LISTENS = 0x10000;

/** A process that listens on a socket by this descriptor. */
interface Listener {
  readonly pid: string;
  readonly fd: string;
}

/**
 * By socket, where its QEMU was found last: a process that asks often looks there first, and not at every process of the host. What
 * is there is proved anew each time.
 */
const foundLast = new Map<string, Listener>();
const FOUND_LAST_MAX = 4_096;

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
  const last = foundLast.get(socket);
  foundLast.delete(socket);
  for await (const listener of listeners(socket, there, last)) {
    const { pid } = listener;
    const open = await openFilesOf(pid);
    if (open === undefined) continue;
    for (const image of images) {
      const own = await lookAt(join(rootOf(pid), image));
      const isOpen = own !== undefined && open.has(identityOf(own));
      const user = isOpen ? await userOf(pid) : undefined;
      if (user === undefined) continue;
      remember(socket, listener);
      return processOf(pid, user);
    }
  }
  return undefined;
}

function remember(socket: string, listener: Listener): void {
  const [oldest] = foundLast.keys();
  if (oldest !== undefined && foundLast.size >= FOUND_LAST_MAX) foundLast.delete(oldest);
  foundLast.set(socket, listener);
}

function processOf(pid: string, user: FileUser): QemuProcess {
  return {
    user,
    openFiles: () => openFilesOf(pid),
    async hasRemoved(path) {
      const links = linksOf(pid);
      return links && [...links.values()].includes(`${path} (deleted)`); // proc_pid_fd(5)
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

/** The processes that hold the very socket which is bound at this path: the last one that was QEMU, where it still does, before all. */
async function* listeners(
  socket: string,
  there: BigIntStats,
  last: Listener | undefined,
): AsyncGenerator<Listener> {
  const tables = new Map<string, ReadonlyMap<string, string>>();
  if (last !== undefined) {
    const link = linkOf(last.pid, last.fd);
    if (link !== undefined) yield* listenersIn(last.pid, new Map([[last.fd, link]]));
  }
  for (const pid of (await orUndefined(readdir('/proc')))?.filter(name => /^\d+$/.test(name)) ?? [])
    yield* listenersIn(pid, linksOf(pid) ?? new Map());

  async function* listenersIn(pid: string, links: ReadonlyMap<string, string>): AsyncGenerator<Listener> {
    const sockets = [...links].flatMap(([fd, link]) => {
      const [, inode] = SOCKET.exec(link) ?? [];
      return inode === undefined ? [] : [{ fd, inode }];
    });
    if (sockets.length === 0) return;
    const network = (await orUndefined(readlink(`/proc/${pid}/ns/net`))) ?? '';
    const table = tables.get(network) ?? (await listeningSockets(pid, basename(socket)));
    tables.set(network, table);
    for (const { fd, inode } of sockets) {
      const bound = table.get(inode);
      if (bound === undefined) continue;
      const path = bound.startsWith('/') ? join(rootOf(pid), bound) : join(`/proc/${pid}/cwd`, bound);
      const facts = await lookAt(path);
      if (facts?.dev === there.dev && facts.ino === there.ino) yield { pid, fd };
    }
  }
}

/**
 * What each of its descriptors is, by number; undefined where that may not be asked. Not by Node's thread pool, which would take ten
 * times as long for thousands of them: the kernel tells it from memory, and asks no file system.
 */
function linksOf(pid: string): ReadonlyMap<string, string> | undefined {
  const descriptors = orUndefinedNow(() => readdirSync(`/proc/${pid}/fd`));
  if (descriptors === undefined) return undefined;
  return new Map(
    descriptors.flatMap(fd => {
      const link = linkOf(pid, fd);
      return link === undefined ? [] : [[fd, link] as const];
    }),
  );
}

function linkOf(pid: string, fd: string): string | undefined {
  return orUndefinedNow(() => readlinkSync(`/proc/${pid}/fd/${fd}`));
}

/**
 * By inode number, the paths of the sockets of this name that a process listens on, in the network namespace of a
 * process.
 */
async function listeningSockets(pid: string, name: string): Promise<ReadonlyMap<string, string>> {
  const table = (await orUndefined(readFile(`/proc/${pid}/net/unix`, 'utf8'))) ?? '';
  const ofName = table.split('\n').filter(line => line.endsWith(name));
  return new Map(
    ofName.flatMap(line => {
      // Num RefCount Protocol Flags Type St Inode Path
      const [, flags = '0', inode = '', path = ''] =
        /^\S+ +\S+ +\S+ +(\S+) +\S+ +\S+ +(\d+) (.+)$/.exec(line) ?? [];
      const isMeant = (Number.parseInt(flags, 16) & LISTENS) !== 0 && basename(path) === name;
      return isMeant ? [[inode, path] as const] : [];
    }),
  );
}

async function openFilesOf(pid: string): Promise<ReadonlySet<string> | undefined> {
  const links = linksOf(pid);
  if (links === undefined) return undefined;
  const files = [...links].filter(([, link]) => !NO_FILE.test(link));
  const facts = await Promise.all(files.map(([fd]) => lookAt(`/proc/${pid}/fd/${fd}`)));
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
    return undefinedIfUnreadable(error);
  }
}

function orUndefinedNow<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    return undefinedIfUnreadable(error);
  }
}

function undefinedIfUnreadable(error: unknown): undefined {
  if (error instanceof Error && 'code' in error && UNREADABLE.has(String(error.code))) return undefined;
  throw error;
}
