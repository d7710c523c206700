/** The filters of a plan between its devices and their images: whose each is, and with which a switch by `reopen` can work. Pure. */
import type { BlockdevDetectZeroesOptions } from '../qmp/schema.generated.ts';

/** What of a disk's plan says so. */
interface Filtered {
  readonly filters?: readonly FilterNode[];
}

/** A filter between a device and its image: of the user's, which is worked through and left as it is, or the saga's own. */
export interface FilterNode {
  readonly node: string;
  readonly driver: string;
  /** The saga puts it in before the mirrors start, and takes it out when the guest runs on the new images. */
  readonly own?: true;
  /** What a `blockdev-reopen` of it has to restate; left out where that is not known, or its driver cannot be reopened. */
  readonly options?: {
    readonly 'throttle-group': string;
    readonly cache?: { readonly direct?: boolean; readonly 'no-flush'?: boolean };
    readonly 'detect-zeroes'?: BlockdevDetectZeroesOptions;
    readonly discard?: 'unmap';
  };
}

/** The saga's own filter that is above a disk while the guest runs; undefined where there is none, or the user's own one serves. */
export function ownFilter({ filters }: Filtered): FilterNode | undefined {
  return filters?.find(({ own }) => own);
}

/** A throttle right above the image before the pause is the filter that the switch needs: none is put in within the pause then. */
export function hasFilter({ filters }: Filtered): boolean {
  return filters !== undefined;
}
