/** How a new image is made and opened, where that is not as it always is. Plain JSON, part of a plan. */

/** What a qcow2 image is made with, where that is not as QEMU makes them by itself. */
export interface Qcow2Layout {
  readonly clusterBytes?: number;
  readonly extendedL2?: true;
  readonly lazyRefcounts?: true;
  readonly refcountBits?: number;
  readonly compression?: 'zstd';
}

/** What a request says of how a new image is opened. */
export interface NodeWishes {
  readonly aio?: 'threads' | 'native' | 'io_uring';
  readonly discard?: 'unmap' | 'ignore';
}

/** What a request says of who may read and write a new file. */
export interface FileAccess {
  readonly uid?: number;
  readonly gid?: number;
  readonly mode?: number;
}

/** A dirty bitmap that keeps recording in a disk's overlay what it recorded in the image below. */
export interface BitmapPlan {
  /** The disk's index. */
  readonly index: number;
  readonly name: string;
  /** Bytes. */
  readonly granularity: number;
  /** False for one that ends with QEMU; true where it is left out. */
  readonly persistent?: boolean;
}
