/** What is said of a disk that a third party has moved to an image of the saga's which does not hold the disk. It looks at nothing. */
import { BlocksagaError } from '../errors.ts';
import type { DiskPlan } from '../plan/plan.ts';

/** FOREIGN: nothing is copied over anything, and its administrator chooses. */
export function movedBefore({
  disk,
  node,
  file,
  image,
}: Pick<DiskPlan, 'disk' | 'node' | 'file' | 'image'>): BlocksagaError {
  return new BlocksagaError(
    'FOREIGN',
    `a third party has moved disk ${disk} to ${image.file} before that held what ${file} holds: what the guest wrote since is only there, ` +
      `what it wrote before only in ${file}, and neither is copied over the other. See what the guest needs of the first, set its drive back ` +
      `(QMP: qom-set, drive, "${node}"), then resume`,
    { disk },
  );
}
