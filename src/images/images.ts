/**
 * The port to image files that no QEMU has open: what an offline recovery asks of them and does to them. It never guesses
 * a format, and never opens an image that another program may write to.
 */

/** An image by its file and stated format. */
export interface ImageName {
  readonly file: string;
  readonly driver: string;
}

/** What stands at a name. */
export type ImageSight =
  | { readonly state: 'missing' }
  /** Another program holds QEMU's lock on it and may write to it. */
  | { readonly state: 'inUse' }
  /** There, but no image of that format. `isNoFile`: a directory, a FIFO, a link to nothing, which is never taken for a lost image. */
  | {
      readonly state: 'unreadable';
      readonly why: string;
      readonly isEmpty: boolean;
      readonly isNoFile?: true;
    }
  | {
      readonly state: 'readable';
      readonly sizeBytes: number;
      /** What its header names, as it is `stored` there too; the format is null when the header does not say it. */
      readonly backing: {
        readonly file: string;
        readonly driver: string | null;
        readonly stored: string;
      } | null;
      /** The names of its internal snapshots; left out where there are none, or that is not told. */
      readonly snapshots?: readonly string[];
      /** The file of its own that it keeps its data in. */
      readonly dataFile?: string;
      /** Another one once the file has been written to. */
      readonly stamp: string;
      /** When it was written to last; null where that is not told (a block device). */
      readonly writtenAtMs: number | null;
    };

/** What one image holds beside another one, from which it was once copied, or which is its backing image. */
export type Comparison =
  /** All that it holds reads the same in the other one: nothing is lost with it. */
  | 'within'
  /** It holds something else, but lacks all that the other one holds behind a certain place: a copy that was under way. */
  | 'partly'
  /** It holds something else. */
  | 'differs'
  /** Not all of their chains is there, or can be read as what it is called. */
  | 'unreadable';

/** Overlays that were found in a directory by their headers. */
export interface OverlaysSeen {
  readonly overlays: readonly {
    readonly file: string;
    readonly driver: string;
    /** Absolute names of files that its header may mean as the image below it. */
    readonly backing: readonly string[];
    /** Its data are in another file, which its header may call anything. */
    readonly hasDataFile: boolean;
    readonly writtenAtMs: number;
  }[];
  /** Why not all that is there was looked at, in words for people; null where all was. */
  readonly unseen: string | null;
}

/** All throw `FILES`, naming the file, also where there is no qemu-img or the file may not be read. */
export interface Images {
  /** For how long a write may be under way here: the copy of a disk that mirrors follow may be so much later than the disk. */
  readonly inFlightMs: number;
  look(image: ImageName): Promise<ImageSight>;
  /**
   * The overlays in a directory, but not below it, that were written to since; reads headers only, and follows no link. Left out by an
   * adapter that cannot list directories: what stands above an image there is not seen.
   */
  overlaysIn?(directory: string, sinceMs: number): Promise<OverlaysSeen>;
  /** Compares what `image` itself holds with what `other` shows there. Reads only; may take long. */
  compare(image: ImageName, other: ImageName): Promise<Comparison>;
  /**
   * Makes an empty overlay where nothing is, or over an empty file; owned like `backing`, and as large where `sizeBytes`
   * is 0. Durable on return.
   */
  createOverlay(file: string, backing: ImageName, sizeBytes: number): Promise<void>;
  /** Moves what an overlay holds into the image below it, which its header names. Durable on return. */
  commitOverlay(overlay: ImageName): Promise<void>;
  /**
   * Copies what an image, and those between, hold into one deeper in its chain, and leaves them as they are: all read as
   * before. Done again it comes to the same. `signal` ends it early, with the base written in part. Durable on return.
   */
  commitInto(top: ImageName, base: ImageName, signal?: AbortSignal): Promise<void>;
  /** Writes another backing image into a header, whatever that one holds. Durable on return. */
  pointAt(image: ImageName, backing: { readonly stored: string; readonly driver: string }): Promise<void>;
  /** Why the image cannot be opened for writing just now: a lock, or a right that is missing; undefined when it can. */
  whyNotWritable(image: ImageName): Promise<string | undefined>;
  /** Writes all that `from` shows into `to`, which exists and has the same size. Durable on return. */
  copyInto(from: ImageName, to: ImageName): Promise<void>;
  /**
   * Copies into an image what lies below it and above `base`, and names that in its header, as `stored` where that is said;
   * with no base the image has no backing image afterwards. Durable on return.
   */
  pullInto(image: ImageName, base: ImageName | null, stored: string | null): Promise<void>;
  /** Gives a file another name beside it, which nothing else has; returns that name. Durable on return. */
  setAside(file: string): Promise<string>;
}
