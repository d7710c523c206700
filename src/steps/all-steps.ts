/**
 * Every step by its name. The same name is the step's file or export, its state in the charts and its journal rows.
 */

import { publishDefinitions, publishOverlays } from './finish/publish-definitions.ts';
import { releaseTargets, retireSources } from './finish/release-nodes.ts';
import { removeLeaving } from './finish/remove-leaving.ts';
import { askWhetherToKeep } from './mirror/ask-whether-to-keep.ts';
import { awaitSignal } from './mirror/await-signal.ts';
import { dismissMirrors } from './mirror/dismiss-mirrors.ts';
import { mirrorDisks } from './mirror/mirror-disks.ts';
import { awaitNearlyClean, settleMirrors } from './mirror/settle-mirrors.ts';
import { markQemu, unmarkQemu } from './pause/mark-qemu.ts';
import { pauseGuest, resumeGuest } from './pause/pause-guest.ts';
import { freezeGuest, thawGuest } from './pause/quiesce.ts';
import { claimFiles } from './prepare/claim-files.ts';
import { createImages } from './prepare/create-images.ts';
import { fillTargets } from './prepare/fill-targets.ts';
import { attachChains, openChains, standOnBases } from './prepare/stand-on-chains.ts';
import { rewriteAtOnce, rewriteRest } from './rewrite/rewrite-at-once.ts';
import { finalizeRest, finalizeRewrites, rewriteChains } from './rewrite/rewrite-chains.ts';
import { takeSnapshot, takeSnapshotSync, takeSnapshotsOneByOne } from './snapshot/take-snapshot.ts';
import { keepReverted } from './switch/keep-reverted.ts';
import { mergeRest } from './switch/merge-rest.ts';
import { completeMirrors, finalizeMirrors, parkMirrors } from './switch/switch-by-pivot.ts';
import { insertFilters, removeFilters, reopenFilters } from './switch/switch-by-reopen.ts';

export const ALL_STEPS = {
  markQemu,
  claimFiles,
  createImages,
  fillTargets,
  standOnBases,
  mirrorDisks,
  rewriteChains,
  finalizeRewrites,
  finalizeRest,
  rewriteAtOnce,
  rewriteRest,
  awaitSignal,
  openChains,
  attachChains,
  awaitNearlyClean,
  pauseGuest,
  settleMirrors,
  insertFilters,
  reopenFilters,
  keepReverted,
  removeFilters,
  parkMirrors,
  finalizeMirrors,
  completeMirrors,
  mergeRest,
  resumeGuest,
  publishDefinitions,
  dismissMirrors,
  unmarkQemu,
  retireSources,
  removeLeaving,
  releaseTargets,
  freezeGuest,
  takeSnapshot,
  takeSnapshotSync,
  takeSnapshotsOneByOne,
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
