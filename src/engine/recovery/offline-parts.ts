/**
 * A dead saga's stages with what becomes of each, in the order in which that is made true: what was done last is undone
 * first. The last part says what is booted from. Pure.
 */
import { invariant } from '../../errors.ts';
import type { JournalRecord } from '../../journal/journal.ts';
import type { DiskPlan, Plan, StagePlan } from '../../plan/plan.ts';
import { type StageName, stagesOf } from '../../steps/stages.ts';
import { recordsOfStage } from '../durable/stages.ts';
import { decideOffline, type OfflineFacts, type OfflineVerdict } from './decide-offline.ts';

/** One stage that something becomes of. */
export interface OfflinePart {
  readonly stage: StageName | null;
  readonly plan: StagePlan;
  readonly records: readonly JournalRecord[];
  readonly verdict: OfflineVerdict;
}

/** What a dead saga comes to. */
export interface OfflineEnd {
  /** At least one. */
  readonly parts: readonly [...OfflinePart[], OfflinePart];
  /** The disks as they were found, with the images that they end on. */
  readonly disks: readonly DiskPlan[];
  /** New images of an earlier stage that the disks have left: they stay, and are told. */
  readonly passed: readonly string[];
}

/** The stage that is booted from. */
export function lastOf({ parts }: OfflineEnd): OfflinePart {
  const last = parts.at(-1);
  invariant(last !== undefined, 'a saga has a stage');
  return last;
}

/** `back` rolls a snapshot back, not its mirrors. */
function choicesIn({ choices = [] }: OfflineFacts): OfflineFacts {
  return { choices };
}

/** Rolls back stage by stage until one was decided: only then is an earlier one asked. */
export function offlineEnd(
  plan: Plan,
  records: readonly JournalRecord[],
  facts: OfflineFacts = {},
): OfflineEnd {
  if (plan.operation !== 'snapshotMirror') {
    return {
      parts: [{ stage: null, plan, records, verdict: decideOffline(plan, records, facts) }],
      disks: plan.disks,
      passed: [],
    };
  }
  const [snapshot, mirror] = stagesOf(plan).map(stage => recordsOfStage(records, stage.name));
  const mirrored: OfflinePart = {
    stage: 'mirror',
    plan: plan.mirror,
    records: mirror ?? [],
    verdict: decideOffline(plan.mirror, mirror ?? [], choicesIn(facts)),
  };
  if (mirrored.verdict.outcome === 'committed') {
    const passed = plan.snapshot.disks.map(disk => disk.image.file);
    return { parts: [mirrored], disks: plan.disks, passed };
  }
  const verdict = decideOffline(plan.snapshot, snapshot ?? [], facts);
  const why = `the disks had not been switched onto their mirrors; ${verdict.why}`;
  const taken: OfflinePart = {
    stage: 'snapshot',
    plan: plan.snapshot,
    records: snapshot ?? [],
    verdict: { ...verdict, why },
  };
  return { parts: [mirrored, taken], disks: plan.snapshot.disks, passed: [] };
}
