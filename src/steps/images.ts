/**
 * The port to image files that no QEMU has open: what an offline recovery asks of them and does to them. It never guesses
 * a format, and never opens an image that somebody else may write to.
 */

/** An image by its file and stated format. */
export interface ImageName {
  readonly file: string;
  readonly driver: string;
}

/** What stands at a name. */
export type ImageSight =
  | { readonly state: 'missing' }
  /** Somebody holds QEMU's lock on it and may write to it. */
  | { readonly state: 'inUse' }
  /** There, but no image of that format. */
  | { readonly state: 'unreadable'; readonly why: string; readonly isEmpty: boolean }
  | {
      readonly state: 'readable';
      readonly sizeBytes: number;
      /** What its header names; the format is null when the header does not say it. */
      readonly backing: { readonly file: string; readonly driver: string | null } | null;
    };

/** All throw `FILES`, naming the file, also where there is no qemu-img or the file may not be read. */
export interface Images {
  look(image: ImageName): Promise<ImageSight>;
  /**
   * Makes an empty overlay where nothing is, or over an empty file; owned like `backing`, and as large where `sizeBytes`
   * is 0. Durable on return.
   */
  createOverlay(file: string, backing: ImageName, sizeBytes: number): Promise<void>;
  /** Moves what an overlay holds into the image below it, which its header names. Durable on return. */
  commitOverlay(overlay: ImageName): Promise<void>;
  /** Writes all that `from` shows into `to`, which exists and has the same size. Durable on return. */
  copyInto(from: ImageName, to: ImageName): Promise<void>;
  /** Gives a file another name beside it, which nothing else has; returns that name. Durable on return. */
  setAside(file: string): Promise<string>;
}
