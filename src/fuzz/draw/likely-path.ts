/**
 * The states that a saga will probably go through, so that faults can be aimed at where it gets. A guess: a wrong one
 * costs a fault that never strikes, nothing else.
 */
import type { ProfileName } from '../../sim/state/profiles.ts';
import type { GuestChoice } from '../scenario/scenario.ts';
import { forgetsJobs, isSince } from '../scenario/since.ts';
import type { Wish, WishOf } from '../scenario/wish.ts';
import type { LiveWish } from '../scenario/wish-request.ts';

export interface LikelyPath {
  /** In order, up to and with the state that the decision goes with. */
  readonly there: readonly string[];
  /** After the decision. */
  readonly onward: readonly string[];
  /** What the undo of a state is called after, where not after the state itself. */
  readonly undoOf?: (state: string) => string;
}

/** Steps that have an undo. */
const REVERSIBLE: ReadonlySet<string> = new Set([
  ...[
    'markQemu',
    'claimFiles',
    'createImages',
    'streamIntoTargets',
    'freezeGuest',
    'mirrorDisks',
    'rewriteChains',
    'rewriteFirst',
    'pauseGuest',
    'parkMirrors',
    'finalizeMirrors',
  ],
  ...['completeMirrors', 'insertFiltersLive', 'insertFilters', 'reopenFilters', 'rebaseOverlays'],
  ...['takeSnapshot', 'takeSnapshotSync', 'takeSnapshotsOneByOne'],
]);

export function likelyPath(guest: GuestChoice, wish: LiveWish): LikelyPath {
  const path = pathOf(guest, wish);
  if (!forgetsJobs(guest)) return path;
  const marks = isSince(guest.profile, '2.12');
  const isThere = (step: string) => !OPENS.test(step) && (marks || !step.endsWith('arkQemu'));
  return { ...path, there: path.there.filter(isThere), onward: path.onward.filter(isThere) };
}

/** Where QEMU opens the images itself these are left out. */
const OPENS = /(createImages|standOnBases|openChains|attachChains)$/;

function pathOf(guest: GuestChoice, wish: LiveWish): LikelyPath {
  switch (wish.operation) {
    case 'snapshot':
      return snapshotPath(guest, wish);
    case 'copy':
      return copyPath(guest, wish);
    case 'revert':
      return staysInIothread(guest) ? REBASE : REVERT;
    case 'snapshotMirror':
      return snapshotMirrorPath(guest, wish);
    default:
      return wish.operation === 'commit' && wish.top === 0 ? copyPath(guest, wish) : rewritePath(guest, wish);
  }
}

/** The undo states of what was done up to a state, in the order of undoing. */
export function rollbackFrom(path: LikelyPath, state: string): readonly string[] {
  const done = path.there.slice(0, path.there.indexOf(state) + 1);
  return done
    .filter(step => REVERSIBLE.has(step.slice(step.indexOf('.') + 1)))
    .reverse()
    .map(step => `undo ${path.undoOf?.(step) ?? step}`);
}

/** Since when QEMU has what a snapshot may do without. */
const SINCE: Readonly<Record<string, ProfileName>> = {
  transaction: '1.1',
  'blockdev-create': '3.1',
  'throttle-group': '2.12',
};

function snapshotPath({ profile }: GuestChoice, { without, quiesce }: WishOf<'snapshot'>): LikelyPath {
  const has = (name: string) => !without.includes(name) && isSince(profile, SINCE[name] ?? '1.0');
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

const REVERT: LikelyPath = {
  there: ['markQemu', 'claimFiles', 'createImages', 'pauseGuest', 'insertFilters', 'reopenFilters'],
  onward: ['removeFilters', 'resumeGuest', 'closeOldNodes', 'removeLeaving', 'unmarkQemu'],
};

const REBASE: LikelyPath = {
  there: ['markQemu', 'claimFiles', 'createImages', 'pauseGuest', 'rebaseOverlays'],
  onward: ['resumeGuest', 'closeOldNodes', 'removeLeaving', 'unmarkQemu'],
};

function snapshotMirrorPath(guest: GuestChoice, wish: WishOf<'snapshotMirror'>): LikelyPath {
  const take = forgetsJobs(guest) ? 'takeSnapshotSync' : 'takeSnapshot';
  const freeze = wish.quiesce ? ['freezeGuest', take, 'thawGuest'] : [take];
  const begin = ['markQemu', 'snapshot.claimFiles', 'snapshot.createImages'];
  const mirrors = ['mirror.claimFiles', 'mirror.createImages'];
  const wait = [
    'standOnBases',
    ...filtersLive(guest, wish),
    'mirrorDisks',
    'awaitSignal',
    'openChains',
    'awaitConvergence',
  ];
  const { there, onward } = switchPath(guest, wish);
  return {
    there: [...begin, ...mirrors, ...freeze, ...wait, 'pauseGuest', 'attachChains', ...there],
    onward: onward.filter(state => state !== 'removeLeaving'),
    undoOf: state => state.replace('.', ' ').replace(/^(?!snapshot |mirror )/, `${stageOf(state)} `),
  };
}

const OF_SNAPSHOT: ReadonlySet<string> = new Set([
  'markQemu',
  'freezeGuest',
  'takeSnapshot',
  'takeSnapshotSync',
]);

function stageOf(state: string): string {
  return OF_SNAPSHOT.has(state) ? 'snapshot' : 'mirror';
}

function rewritePath(guest: GuestChoice, { without }: Wish): LikelyPath {
  const rewrite =
    forgetsJobs(guest) || without.includes('manual-finalize')
      ? ['rewriteFirst', 'rewriteRest']
      : ['rewriteChains', 'finalizeRewrites'];
  return { there: ['markQemu', ...rewrite], onward: ['closeOldNodes', 'removeLeaving', 'unmarkQemu'] };
}

/** What has mirrors: a copy, or the commit of active images. */
type Mirrored = WishOf<'copy' | 'commit'>;

function copyPath(guest: GuestChoice, wish: Mirrored): LikelyPath {
  const fills = wish.operation === 'copy' && (wish.base ?? 1) > 1 ? ['streamIntoTargets'] : [];
  const made = wish.operation === 'copy' ? ['claimFiles', 'createImages', ...fills] : [];
  const begin = ['markQemu', ...made, ...filtersLive(guest, wish), 'mirrorDisks'];
  if (wish.finish === 'abort') return { there: begin, onward: [] };
  const wait = wish.finish === 'leave' ? ['awaitSignal', 'awaitConvergence'] : ['awaitConvergence'];
  const pause = [...begin, ...wait, 'pauseGuest'];
  if (wish.finish === 'clone') {
    return {
      there: [...pause, 'endMirrorsInPlace'],
      onward: ['resumeGuest', 'dismissMirrors', 'closeCopies', 'unmarkQemu'],
    };
  }
  const { there, onward } = switchPath(guest, wish);
  return { there: [...pause, ...there], onward };
}

/** From the moment when the guest is paused. */
function switchPath(guest: GuestChoice, wish: Mirrored | WishOf<'snapshotMirror'>): LikelyPath {
  const end = ['resumeGuest', 'dismissMirrors', 'closeOldNodes', 'removeLeaving', 'unmarkQemu'];
  switch (strategyOf(guest, wish)) {
    case 'reopen':
      return guest.iothreads
        ? {
            there: ['endMirrorsInPlace', 'insertFilters', 'reopenFilters'],
            onward: ['removeFilters', ...end],
          }
        : {
            there: ['endMirrorsInPlace', 'reopenFilters'],
            onward: ['resumeGuest', 'removeFiltersLive', ...end.slice(1)],
          };
    case 'finalize':
      return { there: ['parkMirrors', 'finalizeMirrors'], onward: end };
    default:
      return { there: ['completeMirrors'], onward: end };
  }
}

/** Disks outside iothreads get the saga's filters before their mirrors start. */
function filtersLive(guest: GuestChoice, wish: Mirrored | WishOf<'snapshotMirror'>): readonly string[] {
  return !guest.iothreads && strategyOf(guest, wish) === 'reopen' ? ['insertFiltersLive'] : [];
}

function strategyOf(guest: GuestChoice, wish: Mirrored | WishOf<'snapshotMirror'>): string {
  if (wish.strategy !== 'auto') return wish.strategy;
  if (isSince(guest.profile, '6.1') && !staysInIothread(guest) && !wish.without.includes('blockdev-reopen'))
    return 'reopen';
  return forgetsJobs(guest) || wish.without.includes('manual-finalize') ? 'complete' : 'finalize';
}

/** Where no filter of the saga's can go in. */
function staysInIothread({ iothreads, bus }: GuestChoice): boolean {
  return iothreads && bus !== 'virtio-blk';
}
