/**
 * Every step by its name. The same name is the step's file or export, its state in the charts and its journal rows.
 */
import { askWhetherToKeep } from './ask-whether-to-keep.ts';
import { awaitSignal } from './await-signal.ts';
import { claimFiles } from './claim-files.ts';
import { createImages } from './create-images.ts';
import { fillTargets } from './fill-targets.ts';
import { keepReverted } from './keep-reverted.ts';
import { markQemu, unmarkQemu } from './mark-qemu.ts';
import { mergeRest } from './merge-rest.ts';
import { mirrorDisks } from './mirror-disks.ts';
import { pauseGuest, resumeGuest } from './pause-guest.ts';
import { publishDefinitions, publishOverlays } from './publish-definitions.ts';
import { freezeGuest, thawGuest } from './quiesce.ts';
import { releaseTargets, retireSources } from './release-nodes.ts';
import { removeLeaving } from './remove-leaving.ts';
import { rewriteAtOnce, rewriteRest } from './rewrite-at-once.ts';
import { finalizeRest, finalizeRewrites, rewriteChains } from './rewrite-chains.ts';
import { awaitNearlyClean, dismissMirrors, settleMirrors } from './settle-mirrors.ts';
import { attachChains, openChains, standOnBases } from './stand-on-chains.ts';
import { completeMirrors, finalizeMirrors, parkMirrors } from './switch-by-pivot.ts';
import { insertFilters, removeFilters, reopenFilters } from './switch-by-reopen.ts';
import { takeSnapshot, takeSnapshotSync, takeSnapshotsOneByOne } from './take-snapshot.ts';

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

/** What keeps the guest still or frozen, and what ends that: seen to when nothing else can be done any more. */
export const GUEST_FIRST = [
  ['pauseGuest', 'resumeGuest'],
  ['freezeGuest', 'thawGuest'],
] as const;
