/** The part of a disk's chain that is merged: what its job does, and what it writes into the header above. */
import { BlocksagaError, invariant } from '../errors.ts';
import type { ChainImage, Rewrite } from '../plan/plan.ts';
import { refuseIntoClear } from './encryption.ts';
import { type FoundDisk, nodeOfImage, relativePath } from './find-image.ts';
import type { PlanFacts } from './plan-facts.ts';
import type { GuestDisk } from './survey.ts';

/** Places from the front. `base` is null when nothing stays below. */
export interface Span extends FoundDisk {
  /** The first image of the chain that leaves it. */
  readonly from: number;
  /** The first that stays below those. */
  readonly base: number | null;
}

export function imageAt({ chain }: GuestDisk, place: number): ChainImage {
  const image = chain[place];
  invariant(image !== undefined, `the chain has an image at ${place}`);
  return image;
}

/** A pull goes into the image above what leaves; a commit begins with the topmost that leaves. */
export function rewriteOf(
  operation: 'pull' | 'commit',
  span: Span,
  relative: boolean,
  byNode: boolean,
  { capabilities, survey }: PlanFacts,
): Rewrite {
  const { disk, source, from, base } = span;
  const called = (image: ChainImage) => (byNode ? nodeOfImage(disk, image) : image.file);
  const top = imageAt(source, operation === 'pull' ? from - 1 : from);
  if (base === null) return { top: called(top), base: null, backingFile: null };
  const below = imageAt(source, base);
  const above = imageAt(source, from - 1);
  if (below.unnameable !== undefined) {
    refuseHeader(
      disk,
      `the header of ${above.file} would have to name ${below.file}, and cannot: ${below.unnameable}`,
    );
  }
  const isBare = below.node !== null && survey.bareNodes.includes(below.node);
  if (isBare && !capabilities.has('backing-mask-protocol')) {
    refuseHeader(
      disk,
      `${below.file} is open without a format node, and this QEMU would write no format for it into ${above.file} that can be opened (it lacks backing-mask-protocol; QEMU 9.0 has it)`,
    );
  }
  // Left to itself QEMU names what it has open by all options of the chain below.
  const flat = capabilities.has('backing-file') ? below.file : null;
  return {
    top: called(top),
    base: called(below),
    backingFile: relative ? relativePath(span, from - 1, base) : flat,
    ...(isBare ? { masksProtocol: true as const } : {}),
  };
}

function refuseHeader(disk: string, why: string): never {
  throw new BlocksagaError('DISK_UNSUPPORTED', `disk ${disk}: ${why}`, { disk });
}

/** Refuses what would write data of encrypted images into one in the clear. */
export function refuseClearMerge(operation: 'pull' | 'commit', { disk, source, from, base }: Span): void {
  const leaving = source.chain.slice(from, base ?? undefined);
  refuseIntoClear(disk, leaving, imageAt(source, operation === 'pull' ? from - 1 : (base ?? from)));
}
