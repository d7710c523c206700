/** A disk as the definition of a guest is told of it when a saga commits. */

/** One disk as it is from now on. */
export interface DefinedDisk {
  /** The name by which the request calls it. */
  readonly disk: string;
  /** QOM path of the guest's device, when it has one. */
  readonly qdev: string | null;
  readonly file: string;
  readonly format: string;
  /** What a raw image has to be opened with as its `size`, in bytes: its file or device is larger. Left out where it is not. */
  readonly sizeBytes?: number;
  /** The active image and those below it. */
  readonly chain: readonly { readonly file: string; readonly format: string }[];
  /** The active image that it had before, as its saga found it or last told of it. */
  readonly before: { readonly file: string; readonly format: string };
}
