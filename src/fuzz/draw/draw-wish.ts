/** Draws what is asked for, one way for each operation. Knows nothing of what should happen then. */

import type { ProfileName } from '../../sim/state/profiles.ts';
import type { Draw } from '../scenario/draw.ts';
import type { GuestChoice } from '../scenario/scenario.ts';
import { forgetsJobs, isSince } from '../scenario/since.ts';
import type { Wish, WishOf } from '../scenario/wish.ts';

type Operation = Wish['operation'];

/** The first version on which each operation is drawn; older ones refuse it. */
export const DRAWN_SINCE: Readonly<Record<Operation, ProfileName>> = {
  snapshot: '1.0',
  copy: '1.3',
  pull: '1.1',
  commit: '1.3',
  revert: '6.1',
  snapshotMirror: '2.4',
  commitOffline: '3.1',
};

/** What an operation needs of its guest. */
export const GUEST_FOR: Readonly<
  Partial<Record<Operation, (draw: Draw, guest: GuestChoice) => GuestChoice>>
> = {
  pull: withChains,
  commit: withChains,
  revert: withChains,
  commitOffline: withChains,
};

/** The guest with chains of two to four images, which is what there is to merge or to revert to. */
function withChains(draw: Draw, guest: GuestChoice): GuestChoice {
  return { ...guest, format: 'qcow2', backingLayers: 1 + draw.few(2) };
}

type Common = Pick<Wish, 'named' | 'maxBlackoutMs'>;
type DrawWish<O extends Operation> = (draw: Draw, guest: GuestChoice, common: Common) => WishOf<O>;

const DRAWN: { readonly [O in Operation]: DrawWish<O> } = {
  snapshot: drawSnapshot,
  copy: drawCopy,
  pull: drawPull,
  commit: drawCommit,
  revert: drawRevert,
  snapshotMirror: drawSnapshotMirror,
  commitOffline: drawCommitOffline,
};

const AMPLE_MS = 1_000;
const BLACKOUTS_MS = [1_000, 1_000, 1_000, 1_000, 1_000, 1_000, 50, 3];

export function drawWish(draw: Draw, guest: GuestChoice, operation: Operation): Wish {
  const all = Array.from({ length: guest.disks }, (_, index) => index);
  const some = all.filter(() => !draw.chance(4));
  const drawnMs = draw.one(BLACKOUTS_MS);
  const blackoutMs = draw.isOn('shortBlackout') ? drawnMs : AMPLE_MS;
  // Mirrors that are completed one by one are undone by others, which takes more than a few milliseconds.
  const maxBlackoutMs = forgetsJobs(guest) && operation !== 'snapshot' ? 1_000 : blackoutMs;
  const common = { named: some.length === 0 ? all : some, maxBlackoutMs };
  return DRAWN[operation](draw, guest, common);
}

function drawSnapshot(draw: Draw, { profile, format }: GuestChoice, common: Common): WishOf<'snapshot'> {
  const without = draw.option('lack', 2)
    ? [draw.one(['blockdev-create', 'transaction', 'throttle-group'])]
    : [];
  const quiesce = draw.option('quiesce', 4) ? { quiesce: true } : {};
  const hasTransaction = !without.includes('transaction') && isSince(profile, '3.1');
  const reuse = hasTransaction && draw.option('reuse', 4) ? { reuse: true } : {};
  const bitmaps = hasTransaction && format === 'qcow2' && draw.option('bitmaps', 4) ? { bitmaps: true } : {};
  return { operation: 'snapshot', ...common, without, ...quiesce, ...reuse, ...bitmaps };
}

function drawCopy(draw: Draw, guest: GuestChoice, common: Common): WishOf<'copy'> {
  const { backingLayers, format } = guest;
  const strategy = drawStrategy(draw, guest);
  if (backingLayers > 0 && format === 'qcow2' && !forgetsJobs(guest) && draw.option('base', 6)) {
    const base = 1 + draw.below(backingLayers);
    return { ...drawFullCopy(draw, common, strategy), to: 'qcow2', shallow: false, base };
  }
  // What a QEMU that opens the copies by itself leaves in a reused image is said in its plan.
  const reuse = draw.option('reuse', 5) && !forgetsJobs(guest) ? { reuse: true } : {};
  const shallow = backingLayers > 0 && draw.option('shallow', 3);
  const copy = drawFullCopy(draw, common, strategy);
  return { ...copy, syncWrites: copy.syncWrites && !forgetsJobs(guest), shallow, ...reuse };
}

function drawFullCopy(
  draw: Draw,
  common: Common,
  strategy: WishOf<'copy'>['strategy'],
): Omit<WishOf<'copy'>, 'reuse'> {
  return {
    operation: 'copy',
    ...common,
    without: drawLack(draw, strategy === 'auto'),
    finish: draw.isOn('finish')
      ? draw.one(['pivot', 'pivot', 'pivot', 'pivot', 'clone', 'abort', 'leave'] as const)
      : 'pivot',
    strategy,
    parallel: 1 + draw.few(3),
    shallow: false,
    to: draw.option('raw', 4) ? 'raw' : 'qcow2',
    syncWrites: draw.option('syncWrites', 6),
    ...drawBandwidth(draw),
  };
}

function drawPull(draw: Draw, { backingLayers }: GuestChoice, common: Common): WishOf<'pull'> {
  const base = draw.chance(2) ? null : 1 + draw.below(backingLayers);
  return { operation: 'pull', ...common, without: [], parallel: 1 + draw.few(3), base };
}

function drawCommit(draw: Draw, guest: GuestChoice, common: Common): WishOf<'commit'> {
  const { backingLayers } = guest;
  const top = draw.chance(2) ? draw.below(backingLayers) : 0;
  const strategy = drawStrategy(draw, guest);
  return {
    operation: 'commit',
    ...common,
    without: drawLack(draw, top === 0 && strategy === 'auto'),
    parallel: 1 + draw.few(3),
    top,
    base: top + 1 + draw.below(backingLayers - top),
    delete: draw.option('delete', 3),
    finish: draw.isOn('finish') ? draw.one(['pivot', 'pivot', 'pivot', 'abort', 'leave'] as const) : 'pivot',
    strategy,
  };
}

function drawCommitOffline(
  draw: Draw,
  { backingLayers }: GuestChoice,
  common: Common,
): WishOf<'commitOffline'> {
  const top = draw.chance(2) ? draw.below(backingLayers) : 0;
  const base = top + 1 + draw.below(backingLayers - top);
  return { operation: 'commitOffline', ...common, without: [], top, base, delete: draw.option('delete', 2) };
}

function drawRevert(draw: Draw, { backingLayers }: GuestChoice, common: Common): WishOf<'revert'> {
  return {
    operation: 'revert',
    ...common,
    without: [],
    to: 1 + draw.below(backingLayers),
    delete: draw.option('delete', 3),
    stopped: !draw.chance(20),
  };
}

function drawSnapshotMirror(draw: Draw, guest: GuestChoice, common: Common): WishOf<'snapshotMirror'> {
  const strategy = drawStrategy(draw, guest);
  return {
    operation: 'snapshotMirror',
    ...common,
    without: draw.option('lack', 6) ? ['blockdev-snapshot'] : drawLack(draw, strategy === 'auto'),
    strategy,
    parallel: 1 + draw.few(3),
    ownChains: draw.option('ownChains', 3),
    ...(draw.option('quiesce', 5) ? { quiesce: true } : {}),
    ...drawBandwidth(draw),
  };
}

function drawStrategy(draw: Draw, guest: GuestChoice) {
  const strongest = isSince(guest.profile, '6.1') ? 'reopen' : 'finalize';
  if (forgetsJobs(guest) || !draw.isOn('strategy')) return 'auto';
  return draw.one(['auto', 'auto', strongest, 'finalize', 'complete'] as const);
}

function drawLack(draw: Draw, isPossible: boolean): readonly string[] {
  return isPossible && draw.option('lack', 3)
    ? [draw.one(['blockdev-reopen', 'manual-finalize', 'throttle-group'])]
    : [];
}

function drawBandwidth(draw: Draw): { readonly bandwidth?: number } {
  return draw.option('bandwidth', 6) ? { bandwidth: draw.one([20_000_000, 400_000_000]) } : {};
}
