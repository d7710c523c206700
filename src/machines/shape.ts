/**
 * What of a plan decides which states its saga can enter. Plans of the same shape have the same chart; what a chart is made
 * from is all in here, so that a chart cannot depend on anything else.
 */

import { filledDisks } from '../plan/filled-disks.ts';
import { hasFilter, ownFilter } from '../plan/filters.ts';
import type {
  ActiveCommitPlan,
  CopyPlan,
  Finish,
  Plan,
  RevertStrategy,
  SnapshotMethod,
  SnapshotPlan,
  Strategy,
} from '../plan/plan.ts';

export type Shape =
  | SnapshotShape
  | CopyShape
  | CommitShape
  | RewriteShape
  | RevertShape
  | SnapshotMirrorShape;

/** The kinds of charts: one for each operation, and one for all that shortens chains below their active images. */
export type ChartName = Shape['chart'];

interface ShapeBase {
  /** Whether QEMU can be marked as the saga's. */
  readonly marksQemu: boolean;
  /** Whether the keeper of the guest's records is told of its new disks. */
  readonly publishes: boolean;
}

/** What has mirrors that are switched to. */
interface SwitchShape extends ShapeBase {
  readonly strategy: Strategy | null;
  /** Ended mirrors are dismissed in the pause then. */
  readonly iothreads: boolean;
  /** Whether disks get filters of the saga's before their mirrors start, and whether any does in the pause. */
  readonly filtersLive: boolean;
  readonly filtersInPause: boolean;
}

interface TakesSnapshot {
  readonly method: SnapshotMethod;
  /** Whether the guest agent freezes the guest's file systems meanwhile. */
  readonly quiesces: boolean;
}

interface MakesCopies {
  /** QEMU makes the new images, opens them, and finds what is below them (`drive-mirror`). */
  readonly qemuOpensTargets: boolean;
}

interface Shortens extends ShapeBase {
  /** Whether files that leave the chains are removed. */
  readonly deletes: boolean;
}

interface MayMeet {
  /** Whether it is of one instant with what other guests come to. */
  readonly inGroup: boolean;
}

export interface SnapshotShape extends ShapeBase, TakesSnapshot, MayMeet {
  readonly chart: 'snapshot';
}

export interface CopyShape extends SwitchShape, MakesCopies, MayMeet {
  readonly chart: 'copy';
  readonly finish: Finish;
  /** Whether the guest agent freezes the guest's file systems for the instant of a clone. */
  readonly quiesces: boolean;
  /** Whether images are streamed into the targets first. */
  readonly streamsIntoTargets: boolean;
}

export interface CommitShape extends SwitchShape, Shortens {
  readonly chart: 'commit';
  readonly finish: Finish;
}

export interface RewriteShape extends Shortens {
  readonly chart: 'rewrite';
  /** Whether all jobs are held in PENDING until the last is there. */
  readonly manualFinalize: boolean;
  readonly severalDisks: boolean;
}

export interface RevertShape extends Shortens {
  readonly chart: 'revert';
  readonly strategy: RevertStrategy;
}

export interface SnapshotMirrorShape extends SwitchShape, TakesSnapshot, MakesCopies {
  readonly chart: 'snapshotMirror';
}

export function shapeOf(plan: Plan): Shape {
  switch (plan.operation) {
    case 'snapshot':
      return {
        ...{ chart: 'snapshot', ...baseOf(plan), ...takingOf(plan) },
        inGroup: plan.group !== undefined,
      };
    case 'copy':
      return {
        ...{ chart: 'copy', ...baseOf(plan), ...switchOf(plan), ...makingOf(plan) },
        ...{ finish: plan.finish, streamsIntoTargets: filledDisks(plan).length > 0 },
        quiesces: plan.quiesce !== undefined,
        inGroup: plan.group !== undefined,
      };
    case 'revert':
      return { chart: 'revert', ...baseOf(plan), strategy: plan.strategy, deletes: plan.deletes };
    case 'snapshotMirror':
      return {
        ...{ chart: 'snapshotMirror', ...baseOf(plan), ...takingOf(plan.snapshot) },
        ...{ ...switchOf(plan.mirror), ...makingOf(plan.mirror) },
      };
    default:
      return plan.kind === 'active'
        ? {
            ...{ chart: 'commit', ...baseOf(plan), ...switchOf(plan) },
            ...{ finish: plan.finish, deletes: plan.deletes },
          }
        : {
            ...{ chart: 'rewrite', ...baseOf(plan), deletes: plan.deletes },
            ...{ manualFinalize: plan.manualFinalize, severalDisks: plan.disks.length > 1 },
          };
  }
}

function baseOf(plan: Plan): ShapeBase {
  const isSeen = !('finish' in plan && plan.finish === 'clone');
  return { marksQemu: plan.marksQemu, publishes: plan.onCommit !== null && isSeen };
}

function takingOf({ method, quiesce }: SnapshotPlan): TakesSnapshot {
  return { method, quiesces: quiesce !== null };
}

function switchOf({ strategy, iothreads, disks }: CopyPlan | ActiveCommitPlan) {
  const filtersLive = disks.some(disk => ownFilter(disk) !== undefined);
  return {
    strategy,
    iothreads,
    filtersLive,
    filtersInPause: strategy === 'reopen' && !disks.every(hasFilter),
  };
}

function makingOf({ mirror }: CopyPlan): MakesCopies {
  return { qemuOpensTargets: mirror.by === 'drive-mirror' };
}
