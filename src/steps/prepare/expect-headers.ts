/**
 * Looks whether the images that are reused still name in their headers what the plan found there: a third party may write a header
 * anew until QEMU has the image open. It reads headers only, in the format that is stated.
 */
import { BlocksagaError } from '../../errors.ts';
import { isNamedBelow, namedInWords } from '../../images/named-below.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import type { StepContext } from '../step/step.ts';

/** Throws VERIFY_FAILED, with nothing changed. */
export async function expectHeaders({ files }: StepContext, disks: readonly DiskPlan[]): Promise<void> {
  if (files === null) return;
  for (const { disk, image } of disks) {
    const { backing, create, driver, file, formats, protocol } = image;
    if (create || formats || backing === null || protocol === 'nbd') continue;
    if (backing.unnameable !== undefined || (await files.isShared?.(file)) === false) continue;
    const named = (await files.imageInfo(file, driver))?.backing ?? null;
    if (await isNamedBelow(named, backing, files)) continue;
    throw new BlocksagaError(
      'VERIFY_FAILED',
      `disk ${disk}: the header of ${file} names ${namedInWords(named)} as the image below it, and named ${namedInWords(backing)} ` +
        'when this was planned: a third party has written it since; find out who, then ask again',
      { disk, effect: 'notApplied' },
    );
  }
}
