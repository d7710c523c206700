/**
 * Whether the names that a commit without QEMU reads and writes by lead to the files that were found under them when it was planned. It
 * only looks.
 */
import { BlocksagaError } from '../../errors.ts';
import { isSameFile } from '../../images/file-identity.ts';
import type { Files } from '../../images/files.ts';
import type { OfflineCommitPlan } from '../../operations/plan-commit-offline.ts';
import type { ChainImage, DiskPlan } from '../../plan/plan.ts';

interface Looked {
  readonly plan: OfflineCommitPlan;
  readonly files: Files;
  readonly lease: { readonly saga: string };
  readonly accepted?: readonly string[];
}

/** Throws FILES, naming the file and what can be done. */
export async function expectPlannedFiles(
  { plan, files, accepted = [], lease }: Looked,
  { disk }: DiskPlan,
  images: readonly ChainImage[],
): Promise<void> {
  for (const { file } of images.filter(image => !accepted.includes(image.file))) {
    const planned = plan.identities?.[file];
    if (planned === undefined) continue;
    const stands = (await files.stat(file))?.identity;
    if (stands !== undefined && isSameFile(planned, stands)) continue;
    const what = stands === undefined ? 'nothing' : 'another file than when this was planned';
    throw new BlocksagaError(
      'FILES',
      `disk ${disk}: under the name ${file} there is now ${what}: put the right file back, then run this again; where it is the right ` +
        `image, such as a copy from a backup, say so: "blocksaga resume --offline ${lease.saga} --accept-image ${file}"`,
      { disk },
    );
  }
}
