/**
 * The port to files on QEMU's host: the few things that cannot be asked or done through QEMU. Without it (a QEMU
 * elsewhere) the result names the files that are left to remove.
 */
import type { OverlaysSeen } from './images.ts';
import type { Place } from './places.ts';

/** What stands at a path; a symbolic link is followed only to say what it leads to. */
export interface FileFacts {
  readonly kind: 'file' | 'blockDevice' | 'other';
  readonly sizeBytes: number;
  /**
   * The same for every name of one file, and never given to another one: device, inode number and time of birth. A file
   * made later may have the first two of one that was removed.
   */
  readonly identity: string;
  /** True where the file system tells no time of birth: another file may come to have this identity. */
  readonly isRecyclable?: boolean;
  /** The claim that was written when the file was made, while nothing else has been written into it. */
  readonly claim?: string;
}

/** What an image's header says, read with the format stated by the caller, never probed. */
export interface ImageFacts {
  readonly virtualSizeBytes: number;
  /** Whether its data are; undefined where that cannot be told. */
  readonly encrypted?: boolean;
  readonly backing: { readonly file: string; readonly driver: string | null } | null;
}

/** How a request ended within its time: with an answer, whichever; not yet; or there is none who could answer. */
export type Answer = 'inTime' | 'late' | 'gone';

/** Whose a new file is to be, and who may read and write it; what is left out is as without it. */
interface Access {
  readonly uid?: number;
  readonly gid?: number;
  readonly mode?: number;
}

/** By what a file is known. */
export type Sought = { readonly identity: string } | { readonly claim: string };

export interface Files {
  /** Undefined when nothing is there. */
  stat(path: string): Promise<FileFacts | undefined>;
  /**
   * Makes a file where nothing is, and returns its identity; undefined when we may not or the directory is missing (QEMU
   * may see it differently, and says so in its own words). It is owned like `like`, open to no one who may not read that,
   * unless `access` says otherwise, and holds `claim`, which QEMU truncates when it formats the file. Throws `TARGET_EXISTS`.
   */
  createExclusive(path: string, like: string, claim: string, access?: Access): Promise<string | undefined>;
  /**
   * Removes what a process that died within `createExclusive` has left beside `path`, under a name that no other saga has. Without it
   * `createExclusive` leaves nothing that way.
   */
  removeUnfinished?(path: string, claim: string): Promise<void>;
  /** Removes the file with this identity; when another one or none is there, nothing happens. Never follows a link. */
  unlink(path: string, identity: string): Promise<void>;
  /**
   * Where the file with this identity, or with this claim in it, is in the directory of `path` under another name; undefined where it is
   * not there, or the directory cannot be read. Without it only names tell.
   */
  findMoved?(
    path: string,
    sought: Sought,
  ): Promise<{ readonly file: string; readonly identity: string } | undefined>;
  /** Makes a new name durable. */
  syncDirectory(path: string): Promise<void>;
  /** What `qemu-img info` reads, also from an image in use; undefined where there is no qemu-img. Throws `FILES`. */
  imageInfo(path: string, driver: string): Promise<ImageFacts | undefined>;
  /** Where the bytes behind a path or an NBD address are; undefined when nothing is there. Without it names and identities tell. */
  place?(path: string): Promise<Place | undefined>;
  /** Why a file or device must not be written to though QEMU would: mounted, swap, part of another device. It only looks. */
  whyInUse?(path: string): Promise<string | undefined>;
  /**
   * The identities of the files that QEMU has open now; undefined where that cannot be told. Left out by an adapter whose
   * paths are QEMU's own, which are then taken for the same.
   */
  openInQemu?(): Promise<ReadonlySet<string> | undefined>;
  /** Whether QEMU has a file open that was removed under this path; undefined where that cannot be told. Left out as above. */
  isRemoved?(path: string): Promise<boolean | undefined>;
  /** Asks what is behind an absolute path or an NBD address for a flush. Left out by an adapter that cannot. */
  answers?(path: string, withinMs: number): Promise<Answer>;
  /**
   * The overlays in a directory, but not below it, that were written to since; reads headers only, and follows no link. Left out by an
   * adapter that cannot list directories: what stands on a file there is not seen.
   */
  overlaysIn?(directory: string, sinceMs: number): Promise<OverlaysSeen>;
  /** Whether a path leads QEMU to what it leads to here; undefined where that cannot be told. Left out as above. */
  isShared?(path: string): Promise<boolean | undefined>;
}

/** Removes the very file that has this identity, durably. */
export async function removeFile(files: Files, file: string, identity: string): Promise<void> {
  await files.unlink(file, identity);
  await files.syncDirectory(file);
}
