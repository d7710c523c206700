/**
 * The host's disk: a virtual directory of image files. What a process wrote survives that process; only what was flushed
 * (and, for a new file, whose directory was synced) survives the host. It is not rolled back when a QMP command fails, as
 * a real disk is not. Knows nothing of QEMU's graph.
 */

import { EMPTY, type Extents, granuleBytesWithData } from './contents.ts';
import type { Chance } from './random.ts';

export type ImageFormat = 'raw' | 'qcow2' | 'qed' | 'vmdk' | 'vdi' | 'vhdx' | 'luks';

/** What is in a file: for a raw file only size and contents mean anything. */
export interface Image {
  readonly format: ImageFormat;
  readonly sizeBytes: number;
  readonly backing: string | undefined;
  readonly backingFormat: ImageFormat | undefined;
  readonly contents: Extents;
  /** How it is laid out, where it is not as usual. */
  readonly layout?: ImageLayout;
  /** What opens it; undefined for one in the clear. */
  readonly passphrase?: string;
  /** Dirty bitmaps that a qcow2 image keeps. */
  readonly bitmaps?: readonly StoredBitmap[];
  /** What a program that is not QEMU wrote into a file that holds nothing else. */
  readonly claim?: string;
}

/** What a format's own header says beside the size. */
export interface ImageLayout {
  readonly clusterBytes: number;
  /** Of qcow2: version 2, and what only version 3 has. */
  readonly isOld?: boolean;
  readonly lazyRefcounts?: boolean;
  readonly refcountBits?: number;
  readonly extendedL2?: boolean;
  readonly compressionType?: string;
}

/** A dirty bitmap in an image. */
export interface StoredBitmap {
  readonly name: string;
  readonly granularity: number;
  readonly recording: boolean;
  /** A process has it, or had it when it died: what is here is not what was written since. */
  readonly inUse: boolean;
  readonly recorded: Extents;
}

/** A file as the host knows it, whatever names it has; a process that has it open keeps it without any. */
export interface HostFile {
  readonly written: Image;
  /** What the disk itself holds; undefined while nothing was ever flushed. */
  readonly flushed: Image | undefined;
  /** As on ext4, the number of a file that is gone is given to the next one. */
  readonly inode: number;
  /** Tells this file from any other that ever was, also from one that had its inode number. */
  readonly birth: number;
  /** When it was last written to, by the host's clock; milliseconds since the epoch. */
  readonly writtenAt: number;
  /** That of what was flushed. */
  readonly flushedAt: number;
}

export interface Host {
  /** By name. */
  readonly files: ReadonlyMap<string, HostFile>;
  readonly directories: ReadonlySet<string>;
  /** Bytes that may still be written before the disk is full. */
  freeBytes: number;
  image(path: string): Image | undefined;
  /** The file of that birth, also one that has no name any more. */
  file(birth: number): HostFile | undefined;
  /** Whether that name of a file has reached the disk. */
  isLinked(path: string): boolean;
  /** Creates or truncates. */
  write(path: string, image: Image): void;
  /** Writes to a file that is open, wherever its names lead. */
  writeTo(birth: number, image: Image): void;
  flush(path: string): void;
  flushFile(birth: number): void;
  unlink(path: string): boolean;
  /** Renames over whatever is there. */
  rename(from: string, to: string): boolean;
  /** Moves a directory with all that is in it, durably; a file that is open stays so. */
  renameDirectory(from: string, to: string): void;
  makeDirectory(path: string): void;
  /** Makes the entries of a directory durable, those that are gone included. */
  syncDirectory(directory: string): void;
  /** The power fails: what was not flushed may be lost, file by file, as chance has it. */
  die(chance: Chance): void;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The image of a file that holds nothing: what `creat()` leaves. */
export const BLANK: Image = {
  format: 'raw',
  sizeBytes: 0,
  backing: undefined,
  backingFormat: undefined,
  contents: EMPTY,
};

export function directoryOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash <= 0 ? '/' : path.slice(0, slash);
}

/** `isOpen`: whether a process has the file of that birth open, so that its number is not given to another one. */
export function createHost(
  directory: string,
  epochMs: () => number,
  isOpen: (birth: number) => boolean = () => false,
): Host {
  const files = new Map<string, Mutable<HostFile>>();
  const byBirth = new Map<number, Mutable<HostFile>>();
  const linked = new Set<string>();
  /** Entries that were unlinked while their directory was not synced since: the host's death brings them back. */
  const unlinked = new Map<string, Mutable<HostFile>>();
  const directories = new Set([directory]);
  let inodes = 0;
  /** Files that are gone; the number of the last of them is given out first. */
  const gone: HostFile[] = [];
  const nextInode = (): number => {
    const at = gone.findLastIndex(({ birth }) => !isOpen(birth));
    const [free] = at < 0 ? [] : gone.splice(at, 1);
    if (free !== undefined) return free.inode;
    inodes += 1;
    return inodes;
  };
  const put = (file: Mutable<HostFile>, image: Image): void => {
    file.written = image;
    file.writtenAt = epochMs();
  };
  const sync = (file: Mutable<HostFile> | undefined): void => {
    if (file === undefined || file.flushed === file.written) return;
    file.flushed = file.written;
    file.flushedAt = file.writtenAt;
  };
  /** A name leads nowhere any more. */
  const drop = (path: string, file: Mutable<HostFile>): void => {
    files.delete(path);
    if (linked.delete(path)) unlinked.set(path, file);
    else gone.push(file);
  };
  return {
    files,
    directories,
    freeBytes: Number.POSITIVE_INFINITY,
    image: path => files.get(path)?.written,
    file: birth => byBirth.get(birth),
    isLinked: path => linked.has(path),
    write(path, image) {
      const old = files.get(path);
      if (old !== undefined) {
        put(old, image);
        return;
      }
      const nowMs = epochMs();
      const made = {
        ...{ written: image, flushed: undefined, writtenAt: nowMs, flushedAt: nowMs },
        ...{ inode: nextInode(), birth: byBirth.size + 1 },
      };
      files.set(path, made);
      byBirth.set(made.birth, made);
    },
    writeTo(birth, image) {
      const file = byBirth.get(birth);
      if (file !== undefined) put(file, image);
    },
    flush: path => sync(files.get(path)),
    flushFile: birth => sync(byBirth.get(birth)),
    unlink(path) {
      const file = files.get(path);
      if (file === undefined) return false;
      drop(path, file);
      return true;
    },
    rename(from, to) {
      const file = files.get(from);
      if (file === undefined) return false;
      const replaced = files.get(to);
      if (replaced !== undefined) drop(to, replaced);
      files.delete(from);
      if (linked.delete(from)) unlinked.set(from, file);
      files.set(to, file);
      return true;
    },
    renameDirectory(from, to) {
      this.syncDirectory(from);
      for (const [path, file] of [...files]) {
        if (directoryOf(path) !== from) continue;
        const name = `${to}${path.slice(from.length)}`;
        files.delete(path);
        linked.delete(path);
        files.set(name, file);
        linked.add(name);
      }
      directories.delete(from);
      directories.add(to);
    },
    makeDirectory: path => void directories.add(path),
    syncDirectory(path) {
      for (const [name, file] of unlinked) {
        if (directoryOf(name) !== path) continue;
        unlinked.delete(name);
        // A file that was renamed is not gone.
        if (![...files.values()].includes(file)) gone.push(file);
      }
      for (const name of files.keys()) if (directoryOf(name) === path) linked.add(name);
    },
    die(chance) {
      for (const [path, file] of unlinked) {
        if (files.has(path) || chance.below(2) !== 0) continue;
        files.set(path, file);
        linked.add(path);
      }
      unlinked.clear();
      for (const [path, file] of files) {
        if (!linked.has(path) && chance.below(2) !== 0) {
          files.delete(path);
          continue;
        }
        linked.add(path);
        if (chance.below(2) !== 0) {
          file.written = file.flushed ?? BLANK;
          file.writtenAt = file.flushedAt;
        } else sync(file);
        file.flushed = file.written;
      }
    },
  };
}

const QCOW2_METADATA_BYTES = 197_120;
const CLUSTER_BYTES = 65_536;

/** What `stat` says: a raw file's size, or about what the metadata and data of another format take. */
export function fileLength(image: Image): number {
  if (image.format === 'raw') return image.sizeBytes;
  return QCOW2_METADATA_BYTES + granuleBytesWithData(image.contents, CLUSTER_BYTES, image.sizeBytes);
}
