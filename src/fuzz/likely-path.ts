/**
 * The states that a saga will probably go through, so that faults can be aimed at where it gets. A guess: a wrong one
 * costs a fault that never strikes, nothing else.
 */
import type { GuestChoice, Wish } from './scenario.ts';

export interface LikelyPath {
  /** In order, up to and with the state that the decision goes with. */
  readonly there: readonly string[];
  /** After the decision. */
  readonly onward: readonly string[];
}

/** Steps that have an undo. */
const REVERSIBLE: ReadonlySet<string> = new Set([
  ...[
    'markQemu',
    'claimFiles',
    'createImages',
    'fillTargets',
    'freezeGuest',
    'mirrorDisks',
    'rewriteChains',
    'rewriteAtOnce',
    'pauseGuest',
    'parkMirrors',
    'finalizeMirrors',
  ],
  ...['completeMirrors', 'insertFilters', 'reopenFilters'],
  ...['takeSnapshot', 'takeSnapshotSync', 'takeSnapshotsOneByOne'],
]);

export function likelyPath(guest: GuestChoice, wish: Wish): LikelyPath {
  if (wish.operation === 'snapshot') return snapshotPath(wish);
  if (wish.operation === 'copy') return copyPath(guest, wish);
  return wish.operation === 'commit' && wish.top === 0 ? copyPath(guest, wish) : rewritePath(wish);
}

/** The undo states of what was done up to a state, in the order of undoing. */
export function wayBackFrom(path: LikelyPath, state: string): readonly string[] {
  const done = path.there.slice(0, path.there.indexOf(state) + 1);
  return done
    .filter(step => REVERSIBLE.has(step))
    .reverse()
    .map(step => `undo ${step}`);
}

function snapshotPath({ without, quiesce }: Extract<Wish, { operation: 'snapshot' }>): LikelyPath {
  const has = (name: string) => !without.includes(name);
  const mark = has('throttle-group') ? ['markQemu'] : [];
  const unmark = [...(quiesce ? ['thawGuest'] : []), ...(has('throttle-group') ? ['unmarkQemu'] : [])];
  const freeze = quiesce ? ['freezeGuest'] : [];
  if (!has('transaction')) {
    const there = [...mark, 'claimFiles', ...freeze, 'pauseGuest', 'takeSnapshotsOneByOne'];
    return { there, onward: ['resumeGuest', ...unmark] };
  }
  const take = has('blockdev-create')
    ? ['createImages', ...freeze, 'takeSnapshot']
    : [...freeze, 'takeSnapshotSync'];
  return { there: [...mark, 'claimFiles', ...take], onward: unmark };
}

function rewritePath({ without }: Wish): LikelyPath {
  const rewrite = without.includes('manual-finalize')
    ? ['rewriteAtOnce']
    : ['rewriteChains', 'finalizeRewrites'];
  return { there: ['markQemu', ...rewrite], onward: ['retireSources', 'removeLeaving', 'unmarkQemu'] };
}

/** What has mirrors: a copy, or the commit of active images. */
type Mirrored = Extract<Wish, { operation: 'copy' | 'commit' }>;

function copyPath(guest: GuestChoice, wish: Mirrored): LikelyPath {
  const fills = wish.operation === 'copy' && (wish.base ?? 1) > 1 ? ['fillTargets'] : [];
  const made = wish.operation === 'copy' ? ['claimFiles', 'createImages', ...fills] : [];
  const begin = ['markQemu', ...made, 'mirrorDisks'];
  if (wish.finish === 'abort') return { there: begin, onward: [] };
  const wait = wish.finish === 'leave' ? ['awaitSignal', 'awaitNearlyClean'] : ['awaitNearlyClean'];
  const there = [...begin, ...wait, 'pauseGuest'];
  const end = ['resumeGuest', 'dismissMirrors', 'retireSources', 'removeLeaving', 'unmarkQemu'];
  if (wish.finish === 'clone') {
    return {
      there: [...there, 'settleMirrors'],
      onward: ['resumeGuest', 'dismissMirrors', 'releaseTargets', 'unmarkQemu'],
    };
  }
  switch (strategyOf(guest, wish)) {
    case 'reopen':
      return {
        there: [...there, 'settleMirrors', 'insertFilters', 'reopenFilters'],
        onward: ['removeFilters', ...end],
      };
    case 'finalize':
      return { there: [...there, 'parkMirrors', 'finalizeMirrors'], onward: end };
    default:
      return { there: [...there, 'completeMirrors'], onward: end };
  }
}

function strategyOf(guest: GuestChoice, wish: Mirrored): string {
  if (wish.strategy !== 'auto') return wish.strategy;
  const isOld = guest.profile === '3.1' || guest.profile === '5.2';
  const keepsIothread = guest.iothreads && guest.bus !== 'virtio-blk';
  if (!isOld && !keepsIothread && !wish.without.includes('blockdev-reopen')) return 'reopen';
  return wish.without.includes('manual-finalize') ? 'complete' : 'finalize';
}
