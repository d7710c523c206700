/** Draws what merges images of chains: pulls and commits of all kinds. Knows nothing of what should happen then. */
import type { Draw } from './draw.ts';
import type { GuestChoice, Merge, Wish } from './scenario.ts';

/** The guest with chains of two to four images, which is what there is to merge. */
export function withChains(draw: Draw, guest: GuestChoice): GuestChoice {
  return { ...guest, format: 'qcow2', backingLayers: 1 + draw.few(2) };
}

/** A pull or a commit on such a guest. */
export function drawMerge(
  draw: Draw,
  { backingLayers, profile }: GuestChoice,
  operation: Merge['operation'],
  common: Pick<Wish, 'named' | 'maxBlackoutMs'>,
): Merge {
  const parallel = 1 + draw.few(3);
  if (operation === 'pull') {
    const base = draw.chance(2) ? null : 1 + draw.below(backingLayers);
    return { operation, ...common, without: [], parallel, base };
  }
  const top = draw.chance(2) ? draw.below(backingLayers) : 0;
  const base = top + 1 + draw.below(backingLayers - top);
  const isOld = profile === '3.1' || profile === '5.2';
  const strategy = draw.one(['auto', 'auto', isOld ? 'finalize' : 'reopen', 'finalize', 'complete'] as const);
  const lacks = top === 0 && strategy === 'auto' && draw.chance(3);
  return {
    operation,
    ...common,
    without: lacks ? [draw.one(['blockdev-reopen', 'manual-finalize', 'throttle-group'])] : [],
    parallel,
    top,
    base,
    delete: draw.chance(3),
    finish: draw.one(['pivot', 'pivot', 'pivot', 'abort', 'leave']),
    strategy,
  };
}
