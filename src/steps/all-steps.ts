/**
 * Every step by its name. The same name is the step's file or export, its state in the charts and its journal rows.
 */

import { publishDefinitions, publishOverlays } from './finish/publish-definitions.ts';
import { closeCopies, closeOldNodes } from './finish/release-nodes.ts';
import { removeLeaving } from './finish/remove-leaving.ts';
import { awaitGo, awaitMembers, decideWithGroup } from './group/with-group.ts';
import { askWhetherToKeep } from './mirror/ask-whether-to-keep.ts';
import { awaitConvergence } from './mirror/await-convergence.ts';
import { awaitSignal } from './mirror/await-signal.ts';
import { dismissMirrors } from './mirror/dismiss-mirrors.ts';
import { endMirrorsInPlace } from './mirror/end-mirrors-in-place.ts';
import { mirrorDisks } from './mirror/mirror-disks.ts';
import { markQemu, unmarkQemu } from './pause/mark-qemu.ts';
import { pauseGuest, resumeGuest } from './pause/pause-guest.ts';
import { freezeGuest, thawGuest } from './pause/quiesce.ts';
import { claimFiles } from './prepare/claim-files.ts';
import { createImages } from './prepare/create-images.ts';
import { attachChains, openChains, standOnBases } from './prepare/stand-on-chains.ts';
import { streamIntoTargets } from './prepare/stream-into-targets.ts';
import { rebaseOverlays } from './revert/rebase-overlays.ts';
import { finalizeRest, finalizeRewrites, rewriteChains } from './rewrite/rewrite-chains.ts';
import { rewriteFirst, rewriteRest } from './rewrite/rewrite-in-turn.ts';
import {
  takeSnapshot,
  takeSnapshotInPause,
  takeSnapshotSync,
  takeSnapshotsOneByOne,
} from './snapshot/take-snapshot.ts';
import { commitRemainingDisks } from './switch/commit-remaining-disks.ts';
import { commitRevert } from './switch/commit-revert.ts';
import { insertFiltersLive, removeFiltersLive } from './switch/live-filters.ts';
import { completeMirrors, finalizeMirrors, parkMirrors } from './switch/switch-by-pivot.ts';
import { insertFilters, removeFilters, reopenFilters } from './switch/switch-by-reopen.ts';

export const ALL_STEPS = {
  markQemu,
  claimFiles,
  createImages,
  streamIntoTargets,
  standOnBases,
  insertFiltersLive,
  mirrorDisks,
  rewriteChains,
  finalizeRewrites,
  finalizeRest,
  rewriteFirst,
  rewriteRest,
  awaitSignal,
  openChains,
  attachChains,
  awaitConvergence,
  pauseGuest,
  endMirrorsInPlace,
  insertFilters,
  reopenFilters,
  rebaseOverlays,
  commitRevert,
  removeFilters,
  parkMirrors,
  finalizeMirrors,
  completeMirrors,
  commitRemainingDisks,
  resumeGuest,
  publishDefinitions,
  removeFiltersLive,
  dismissMirrors,
  unmarkQemu,
  closeOldNodes,
  removeLeaving,
  closeCopies,
  freezeGuest,
  takeSnapshot,
  takeSnapshotSync,
  takeSnapshotsOneByOne,
  takeSnapshotInPause,
  awaitMembers,
  awaitGo,
  decideWithGroup,
  thawGuest,
  publishOverlays,
  askWhetherToKeep,
} as const;

export type StepName = keyof typeof ALL_STEPS;

export function isStep(name: string): name is StepName {
  return Object.hasOwn(ALL_STEPS, name);
}

/** What keeps the guest still or frozen, and what ends that: seen to when nothing else can be done any more. */
export const GUEST_FIRST = [
  ['pauseGuest', 'resumeGuest'],
  ['freezeGuest', 'thawGuest'],
] as const;
