/** What a commit without QEMU came to: which images to boot from, and what the others are good for. Only reads. */
import type { ErrorRecord } from '../../errors.ts';
import type { Images } from '../../images/images.ts';
import type { OfflineCommitPlan } from '../../operations/plan-commit-offline.ts';
import { chainOfImage } from '../../plan/chain-of-image.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import { fileIn } from '../running/leftovers.ts';
import type { SagaResult } from '../running/result.ts';

/** A saga at its end. */
export interface OfflineEnd {
  readonly id: string;
  readonly plan: OfflineCommitPlan;
  readonly state: 'committed' | 'rolledBack' | 'needsRecovery';
  readonly error: ErrorRecord | null;
  /** Files that were to be removed and are still there. */
  readonly kept: readonly string[];
  /** The disks, by index, into whose bases something may have been written. */
  readonly begun: ReadonlySet<number>;
  readonly images: Images;
}

export async function offlineResult(end: OfflineEnd): Promise<SagaResult> {
  const { id, plan, state, error, kept } = end;
  const back = state === 'rolledBack';
  const boot = plan.disks.map(({ disk, file, driver, image }) =>
    back ? { disk, file, format: driver } : { disk, file: image.file, format: image.driver },
  );
  return {
    saga: id,
    operation: plan.operation,
    outcome: state,
    strategy: null,
    disks: plan.disks.map(disk => {
      const { file, image } = disk;
      const chain = (back ? disk.chain : chainOfImage(disk)).map(each => each.file);
      return {
        disk: disk.disk,
        before: { node: '', file },
        after: { node: '', file: back ? file : image.file, chain },
        image: image.file,
      };
    }),
    blackoutMs: null,
    error,
    leftovers: kept,
    ...(kept.length === 0 ? {} : { notRemoved: kept.map(fileIn) }),
    why: back ? backInWords(end) : await forwardInWords(end),
    ...(state === 'needsRecovery' ? {} : { boot }),
  };
}

function backInWords({ plan, begun }: OfflineEnd): string {
  const written = plan.disks.filter(({ index }) => begun.has(index)).map(disk => baseOf(plan, disk));
  if (written.length === 0) return 'nothing had been written: every chain is as it was';
  return `no header had been rewritten: every chain reads as it did. ${written.join(', ')} may hold what belongs above: these chains do not see it, but another image that stands on that file would`;
}

async function forwardInWords({ plan, state, images }: OfflineEnd): Promise<string> {
  const notes = [
    state === 'committed'
      ? 'all images were merged, and no chain has them any more'
      : 'all images were merged; not all headers say so yet',
  ];
  const left = plan.disks.flatMap(({ chain, index }) => {
    const merge = plan.merges[index];
    return merge === undefined ? [] : chain.slice(merge.top, merge.base).map(image => image.file);
  });
  if (!plan.deletes) notes.push(`boot no guest from ${left.join(', ')}: these are of no use any more`);
  for (const disk of plan.disks) {
    const sight = plan.merges[disk.index]?.top === 0 ? await images.look(disk.image) : undefined;
    if (sight?.state !== 'readable' || sight.sizeBytes === disk.sizeBytes) continue;
    notes.push(
      `${disk.image.file} has ${sight.sizeBytes} bytes, the disk had ${disk.sizeBytes}: it was not made smaller`,
    );
  }
  return notes.join('; ');
}

function baseOf({ merges }: OfflineCommitPlan, { chain, index }: DiskPlan): string {
  return chain[merges[index]?.base ?? chain.length - 1]?.file ?? '';
}
