/** What every state of a chart says of itself, in a sentence. Only people read these. */
import { invariant } from '../errors.ts';
import { isStep, type StepName } from '../steps/all-steps.ts';
import { type StepKey, splitKey } from '../steps/stages.ts';
import type { SagaEnd } from './saga-setup.ts';
import type { ChartName } from './shape.ts';

/** What a step does, and what its undo does, where it has one. */
interface Told {
  readonly does: string;
  readonly undo?: string;
  /** What that has done, of a saga that was rolled back. */
  readonly undone?: string;
}

const STEPS: Readonly<Record<StepName, Told>> = {
  markQemu: {
    does: 'QEMU is marked as the one of this saga, so that another one behind its socket is not taken for it.',
    undo: 'The mark is taken off QEMU.',
    undone: 'The mark was taken off QEMU.',
  },
  claimFiles: {
    does: 'The files of the new images are created, exclusively, with the claim of this saga in them.',
    undo: 'The files that this saga has provably made are removed.',
    undone: 'The files that this saga had provably made were removed.',
  },
  createImages: {
    does: 'QEMU formats the new images and opens them.',
    undo: 'The new images are closed.',
    undone: 'The new images were closed.',
  },
  streamIntoTargets: {
    does: 'What lies between the kept base and the active image is streamed into the targets.',
    undo: 'The streams end.',
    undone: 'The streams were ended.',
  },
  standOnBases: { does: 'The targets of the mirrors are opened on the images below the overlays.' },
  insertFiltersLive: {
    does: 'A throttle filter comes above each disk, without a pause.',
    undo: 'The filters are removed, without a pause.',
    undone: 'The filters were removed.',
  },
  mirrorDisks: {
    does: 'One mirror per disk copies until it follows the guest.',
    undo: 'The mirrors are cancelled; a disk that a third party has switched is mirrored back with what was written there.',
    undone: 'The mirrors were cancelled.',
  },
  rewriteChains: {
    does: 'One job per disk does its work and is held in PENDING, before it changes its chain.',
    undo: 'The jobs are cancelled; the chains are as they were.',
    undone: 'The jobs were cancelled; the chains are as they were.',
  },
  finalizeRewrites: { does: 'The decision is written; then every job changes its chain.' },
  finalizeRest: { does: 'A job has changed its chain already: the others follow.' },
  rewriteFirst: {
    does: 'The job of the first disk changes its chain when its work is done: that is the decision.',
    undo: 'The job is cancelled, unless it has changed its chain.',
    undone: 'The job was cancelled, unless it had changed its chain.',
  },
  rewriteRest: { does: 'The jobs of the other disks follow.' },
  awaitSignal: {
    does: 'The mirrors follow the guest until a signal says what becomes of the copies.',
  },
  openChains: {
    does: 'The chains that targets have of their own are opened.',
    undo: 'Those images are closed.',
    undone: 'The chains that targets have of their own were closed.',
  },
  attachChains: { does: 'Targets that have chains of their own are put on those.' },
  awaitConvergence: { does: 'The saga waits until what is left to copy fits into the pause.' },
  pauseGuest: {
    does: 'The guest is paused.',
    undo: 'The guest is resumed.',
    undone: 'The guest was resumed.',
  },
  endMirrorsInPlace: {
    does: 'The mirrors end with the guest on their sources: both sides are identical.',
    undo: 'Disks that a third party has switched are mirrored back.',
    undone: 'Any disk that a third party had switched was mirrored back.',
  },
  insertFilters: {
    does: 'A throttle filter comes above each disk that has none yet.',
    undo: 'Those filters are removed.',
    undone: 'Those filters were removed.',
  },
  reopenFilters: {
    does: 'One blockdev-reopen moves all filters to the new images, all or none; the decision is written meanwhile.',
    undo: 'The filters are reopened on the old images.',
    undone: 'The filters were reopened on the old images.',
  },
  rebaseOverlays: {
    does: 'One transaction puts the overlays on all disks, one blockdev-reopen rebases them onto the older images, all or none; then the decision is written.',
    undo: 'The overlays are rebased onto the old images, and committed into those.',
    undone: 'The overlays were rebased onto the old images, and committed into those.',
  },
  commitRevert: {
    does: 'The guest has written to the reverted disks: the saga rolls forward for all of them.',
  },
  removeFilters: { does: 'Those filters are removed; the disks stay on their new images.' },
  parkMirrors: {
    does: 'Every mirror is completed up to PENDING, where all can still be cancelled.',
    undo: 'The mirrors are cancelled.',
    undone: 'The mirrors were cancelled.',
  },
  finalizeMirrors: {
    does: 'The mirrors are finalized, each of which switches its disk; the decision is written meanwhile.',
    undo: 'Disks that were switched are mirrored back.',
    undone: 'Any disk that had been switched was mirrored back.',
  },
  completeMirrors: {
    does: 'The mirrors are completed, each of which switches its disk; then the decision is written.',
    undo: 'Disks that were switched are mirrored back.',
    undone: 'Any disk that had been switched was mirrored back.',
  },
  commitRemainingDisks: {
    does: 'The guest has written to a merged image: the other disks are merged as well.',
  },
  resumeGuest: {
    does: 'The guest is resumed, if this saga has paused it. A migration that began in the pause rolls back first.',
  },
  publishDefinitions: { does: 'The onCommit program is told of the new disks.' },
  removeFiltersLive: { does: 'The filters are removed, without a pause.' },
  dismissMirrors: { does: 'The ended mirrors are dismissed.' },
  unmarkQemu: { does: 'The mark is taken off QEMU.' },
  closeOldNodes: { does: 'Images that no disk uses any more are closed.' },
  removeLeaving: { does: 'Files of images that have left the chains are removed, as asked for.' },
  closeCopies: { does: 'The copies are closed and stay.' },
  freezeGuest: {
    does: 'The guest agent freezes the file systems of the guest.',
    undo: 'The file systems are thawed.',
    undone: 'The file systems of the guest were thawed.',
  },
  takeSnapshot: {
    does: 'One transaction puts the opened overlays in front of all disks.',
    undo: 'The disks are put back on the images below their overlays.',
    undone: 'The disks were put back on the images below their overlays.',
  },
  takeSnapshotSync: {
    does: 'One transaction creates the overlays and puts them in front of all disks.',
    undo: 'The disks are put back on the images below their overlays.',
    undone: 'The disks were put back on the images below their overlays.',
  },
  takeSnapshotsOneByOne: {
    does: 'The overlays come in front of the disks, one after the other.',
    undo: 'Active commits put the disks back on the images below their overlays.',
    undone: 'Active commits have put the disks back on the images below their overlays.',
  },
  takeSnapshotInPause: {
    does: 'In the pause of the group one transaction puts the overlays in front of all disks.',
    undo: 'The disks are put back on the images below their overlays.',
    undone: 'The disks were put back on the images below their overlays.',
  },
  awaitMembers: { does: 'The saga waits until all members of its group are prepared.' },
  awaitGo: {
    does: 'The snapshot is voted for; when all members have voted, it is asked whether the guest was paused till then.',
  },
  decideWithGroup: { does: 'The saga commits if the guests of all members were paused till then.' },
  thawGuest: { does: 'The file systems of the guest are thawed.' },
  publishOverlays: {
    does: 'The onCommit program is told of the overlays.',
    undo: 'The onCommit program is told of the disks as they were.',
    undone: 'The onCommit program was told of the disks as they were.',
  },
  askWhetherToKeep: { does: 'The mirrors are gone: was the saga asked to keep the snapshot?' },
};

export function stepDescription(key: StepKey): string {
  return toldOf(key).does;
}

export function undoDescription(key: StepKey): string {
  return toldOf(key).undo ?? '';
}

/** In the past tense; empty for what is no step. */
export function undoneDescription(key: string): string {
  const { step } = splitKey(key);
  return isStep(step) ? (STEPS[step].undone ?? '') : '';
}

function toldOf(key: StepKey): Told {
  const { step } = splitKey(key);
  invariant(isStep(step), `${key} is a step`);
  return STEPS[step];
}

/** What the whole saga does. */
export const CHARTS: Readonly<Record<ChartName, string>> = {
  snapshot: 'Overlays come in front of N disks in one instant, on all of them or on none.',
  copy: 'N disks are mirrored to new images, and switched to them in one pause, all or none.',
  commit:
    'The active images of N disks are merged into images below them, and switched to those in one pause.',
  rewrite: 'The chains of N disks are shortened below their active images, all or none.',
  revert: 'N disks of a paused guest are reverted to older images, each on a new overlay.',
  snapshotMirror:
    'Overlays come in front of N disks and are then mirrored to a second place, with one rollback for both.',
};

export const COMPENSATING = 'What has begun is undone, newest first.';

export const BACKING_OFF =
  'The last bytes took too long: the guest is resumed, the mirrors follow, nothing is lost. The next pause comes later each time.';

export const STRANDED =
  'Neither rolled forward nor back: the guest is resumed and thawed, the rest waits for resume.';

export const ENDS: Readonly<Record<SagaEnd, string>> = {
  committed: 'Done on all disks.',
  rolledBack: 'Undone on all disks.',
  needsRecovery: 'What is left to do waits for resume.',
};
