/**
 * The host's disk: a virtual directory of image files. What a process wrote survives that process; only what was flushed
 * (and, for a new file, whose directory was synced) survives the host. It is not rolled back when a QMP command fails, as
 * a real disk is not. Knows nothing of QEMU's graph.
 */

import { EMPTY, type Extents, granuleBytesWithData } from './contents.ts';
import type { Chance } from './random.ts';

export type ImageFormat = 'raw' | 'qcow2' | 'qed' | 'vmdk' | 'vdi';

/** What is in a file: for a raw file only size and contents mean anything. */
export interface Image {
  readonly format: ImageFormat;
  readonly sizeBytes: number;
  readonly backing: string | undefined;
  readonly backingFormat: ImageFormat | undefined;
  readonly contents: Extents;
  /** What a program that is not QEMU wrote into a file that holds nothing else. */
  readonly claim?: string;
}

export interface HostFile {
  readonly written: Image;
  /** What the disk itself holds; undefined while nothing was ever flushed. */
  readonly flushed: Image | undefined;
  /** The directory entry has reached the disk. */
  readonly linked: boolean;
  /** As on ext4, the number of a file that is gone is given to the next one. */
  readonly inode: number;
  /** Tells this file from any other that ever had its inode number. */
  readonly birth: number;
  /** When it was last written to, by the host's clock; milliseconds since the epoch. */
  readonly writtenAt: number;
  /** That of what was flushed. */
  readonly flushedAt: number;
}

export interface Host {
  readonly files: ReadonlyMap<string, HostFile>;
  readonly directories: ReadonlySet<string>;
  /** Bytes that may still be written before the disk is full. */
  freeBytes: number;
  image(path: string): Image | undefined;
  /** Creates or truncates. */
  write(path: string, image: Image): void;
  flush(path: string): void;
  unlink(path: string): boolean;
  /** Renames over whatever is there. */
  rename(from: string, to: string): boolean;
  /** Makes the entries of a directory durable, those that are gone included. */
  syncDirectory(directory: string): void;
  /** The power fails: what was not flushed may be lost, file by file, as chance has it. */
  die(chance: Chance): void;
}

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

export function createHost(directory: string, epochMs: () => number): Host {
  const files = new Map<string, HostFile>();
  /** Entries that were unlinked while their directory was not synced since: the host's death brings them back. */
  const unlinked = new Map<string, HostFile>();
  const directories = new Set([directory]);
  let inodes = 0;
  let births = 0;
  /** Numbers of files that are gone; the last of them is given out first. */
  const freeInodes: number[] = [];
  const nextInode = (): number => {
    const free = freeInodes.pop();
    if (free !== undefined) return free;
    inodes += 1;
    return inodes;
  };
  return {
    files,
    directories,
    freeBytes: Number.POSITIVE_INFINITY,
    image: path => files.get(path)?.written,
    write(path, image) {
      const old = files.get(path);
      const nowMs = epochMs();
      if (old !== undefined) {
        files.set(path, { ...old, written: image, writtenAt: nowMs });
        return;
      }
      births += 1;
      const made = {
        written: image,
        flushed: undefined,
        linked: false,
        writtenAt: nowMs,
        flushedAt: nowMs,
      };
      files.set(path, { ...made, inode: nextInode(), birth: births });
    },
    flush(path) {
      const file = files.get(path);
      if (file !== undefined && file.flushed !== file.written) {
        files.set(path, { ...file, flushed: file.written, flushedAt: file.writtenAt });
      }
    },
    unlink(path) {
      const file = files.get(path);
      if (file === undefined) return false;
      files.delete(path);
      if (file.linked) unlinked.set(path, file);
      else freeInodes.push(file.inode);
      return true;
    },
    rename(from, to) {
      const file = files.get(from);
      if (file === undefined) return false;
      files.delete(from);
      if (file.linked) unlinked.set(from, file);
      const replaced = files.get(to);
      if (replaced?.linked) unlinked.set(to, replaced);
      files.set(to, { ...file, linked: false });
      return true;
    },
    syncDirectory(path) {
      for (const [name, { inode }] of unlinked) {
        if (directoryOf(name) !== path) continue;
        unlinked.delete(name);
        freeInodes.push(inode);
      }
      for (const [name, file] of files) {
        if (directoryOf(name) === path && !file.linked) files.set(name, { ...file, linked: true });
      }
    },
    die(chance) {
      for (const [path, file] of unlinked) {
        if (!files.has(path) && chance.below(2) === 0) files.set(path, file);
      }
      unlinked.clear();
      for (const [path, file] of files) {
        const survives = file.linked || chance.below(2) === 0;
        if (!survives) {
          files.delete(path);
          continue;
        }
        const isKept = chance.below(2) === 0;
        const kept = isKept ? file.written : (file.flushed ?? BLANK);
        const keptAt = isKept ? file.writtenAt : file.flushedAt;
        files.set(path, {
          ...file,
          written: kept,
          flushed: kept,
          writtenAt: keptAt,
          flushedAt: keptAt,
          linked: true,
        });
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
