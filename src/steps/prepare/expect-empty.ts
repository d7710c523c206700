/**
 * Whether a new image that a third party has put in front of its disk as an overlay (`blockdev-snapshot`) hides what the guest
 * wrote: one that holds what a mirror copied, or what was in it beforehand, may not be committed into that disk, since it is older
 * than what it would replace. It only looks at what is known of the rollback so far.
 */
import { BlocksagaError } from '../../errors.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import type { Json } from '../../qmp/transport.ts';

/** What an undo of the mirrors leaves word of: the disks, by index, whose new images they have written to. */
export function readWritten(record: Json | undefined): readonly number[] | undefined {
  if (typeof record !== 'object' || record === null || !('written' in record)) return undefined;
  const { written } = record;
  return Array.isArray(written) ? written.filter(each => typeof each === 'number') : undefined;
}

/** Whether an image that is in front holds only what the guest has written to it there. */
export function isEmptyBelow({ image, index }: DiskPlan, written: readonly number[] | undefined): boolean {
  return (image.create || image.formats === true) && !(written ?? []).includes(index);
}

/** FOREIGN, before anything is changed. */
export function hidesWrites({ disk, node, file, image }: DiskPlan): BlocksagaError {
  return new BlocksagaError(
    'FOREIGN',
    `a third party has put ${image.file}, which is no copy of ${file}, in front of disk ${disk} (blockdev-snapshot): what the guest wrote ` +
      `since is only there, part of what it wrote before is hidden below it in ${file}, and neither is copied over the other. See what the guest ` +
      `needs of both, set its drive back (QMP: stop; blockdev-reopen "${node}" for writing; qom-set, drive, "${node}"; cont), then resume`,
    { disk },
  );
}
