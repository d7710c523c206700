/**
 * Which side of each disk the guest may have written to last, and whether it was ever on the new ones, as a saga's records say.
 * Pure.
 */
import { member } from '../../journal/body.ts';
import type { JournalRecord } from '../../journal/journal.ts';
import type { Plan } from '../../plan/plan.ts';
import { RESCUE } from '../durable/history.ts';
import type { Side } from './offline-choices.ts';

/** Steps after which the guest is known to be on the new images. */
const TAKES: ReadonlySet<string> = new Set([
  'takeSnapshot',
  'takeSnapshotSync',
  'takeSnapshotsOneByOne',
  'takeSnapshotInPause',
  'reopenFilters',
  'rebaseOverlays',
  'finalizeMirrors',
  'completeMirrors',
]);

/** Whether a step has taken effect after which the guest is known to be on the new images. */
export function wasOnImages(records: readonly JournalRecord[]): boolean {
  return records.some(
    ({ kind, step, body }) => kind === 'outcome' && TAKES.has(step) && member(body, 'error') === null,
  );
}

/** By its last outcome the step that puts the overlays on all disks at once has done nothing, and none has begun it again. */
export function areNeverTaken(records: readonly JournalRecord[]): boolean {
  let begun = '';
  let isNever = false;
  for (const { kind, step, body } of records) {
    // A saga that is stranded in a step tries it again without another intent.
    if (kind === 'intent' && step === RESCUE) isNever &&= !AT_ONCE.has(begun);
    else if (kind === 'intent') begun = step;
    if (AT_ONCE.has(step) && (kind === 'intent' || kind === 'outcome'))
      isNever = kind === 'outcome' && member(member(body, 'error'), 'effect') === 'notApplied';
  }
  return isNever;
}

const AT_ONCE: ReadonlySet<string> = new Set(['takeSnapshot', 'takeSnapshotSync']);

/** What the last decision says. */
export interface Decided {
  /** By disk, the side that the guest may have written to last: the decision's, or as it was seen after it. */
  readonly sides: readonly Side[];
  /** The same as a look has told it last; old where none has. */
  readonly seen: readonly Side[];
  readonly decided: boolean;
  /** It is about copies that were to be kept without a switch, and was taken with their cut. */
  readonly keepsCopies: boolean;
}

export function readSides(plan: Plan, records: readonly JournalRecord[]): Decided {
  let sides: Side[] = plan.disks.map(() => 'old');
  let seen = sides;
  let decided = false;
  let keepsCopies = false;
  for (const { kind, step, body } of records) {
    if (kind !== 'decision') continue;
    const verdict = member(body, 'verdict');
    const onImage = member(body, 'onImage');
    if (verdict === 'asIs' && Array.isArray(onImage)) {
      sides = plan.disks.map(disk => (onImage.includes(disk.index) ? 'new' : 'old'));
      seen = sides;
    } else {
      decided = verdict === 'forward';
      keepsCopies = decided && step === 'endMirrorsInPlace';
      sides = plan.disks.map(() => (decided ? 'new' : 'old'));
    }
  }
  return { sides, seen, decided, keepsCopies };
}
