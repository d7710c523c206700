/** What an image is made like, beside what it holds, as QEMU tells it of a whole chain. Asks nothing. */
import type { Qcow2Layout } from '../plan/new-image.ts';
import type { ImageInfo } from '../qmp/schema.generated.ts';

/** One image of a chain. */
export interface ImageTraits {
  /** What a qcow2 image was made with, where that is not as QEMU makes them by itself. */
  readonly layout: Qcow2Layout;
  /** The file that a qcow2 image keeps its data in, where that is another one. */
  readonly dataFile: string | null;
  /** The names of its internal snapshots. */
  readonly snapshots: readonly string[];
}

const CLUSTER_BYTES = 64 * 1024;
const REFCOUNT_BITS = 16;

/** Of each image of a chain, front first, as QEMU tells. */
export function traitsOfChain(front: ImageInfo | undefined): readonly ImageTraits[] {
  const traits: ImageTraits[] = [];
  for (let image = front; image !== undefined; image = image['backing-image']) traits.push(traitsOf(image));
  return traits;
}

function traitsOf(image: ImageInfo): ImageTraits {
  const specific = image['format-specific'];
  const data = specific?.type === 'qcow2' ? specific.data : undefined;
  const clusterBytes = image['cluster-size'] ?? CLUSTER_BYTES;
  return {
    layout:
      data === undefined
        ? {}
        : {
            ...(clusterBytes === CLUSTER_BYTES ? {} : { clusterBytes }),
            ...(data['extended-l2'] ? { extendedL2: true } : {}),
            ...(data['lazy-refcounts'] ? { lazyRefcounts: true } : {}),
            ...(data['refcount-bits'] === undefined || data['refcount-bits'] === REFCOUNT_BITS
              ? {}
              : { refcountBits: data['refcount-bits'] }),
            ...(data['compression-type'] === 'zstd' ? { compression: 'zstd' as const } : {}),
          },
    dataFile: data?.['data-file'] ?? null,
    snapshots: (image.snapshots ?? []).map(({ name }) => name),
  };
}

/** The layout that a new qcow2 image gets from the one that it replaces or stands on. */
export function layoutFor([front]: readonly ImageTraits[], driver: string): Qcow2Layout | undefined {
  const layout = front?.layout ?? {};
  return driver === 'qcow2' && Object.keys(layout).length > 0 ? layout : undefined;
}
