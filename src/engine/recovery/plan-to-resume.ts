/** Which plan of a saga is to be resumed, and whether a QEMU bears its mark. */
import { BlocksagaError } from '../../errors.ts';
import type { JournalRecord, SagaRow } from '../../journal/journal.ts';
import { COMMIT_OFFLINE } from '../../operations/plan-commit-offline.ts';
import { PLAN_VERSION, type Plan } from '../../plan/plan.ts';
import { splitKey } from '../../steps/stages.ts';
import { refuseGroup } from '../durable/group-register.ts';

/** The operations and plan versions that this program can resume. */
const KNOWN_PLANS: Readonly<Record<string, readonly number[]>> = {
  snapshot: [PLAN_VERSION],
  copy: [PLAN_VERSION],
  commit: [PLAN_VERSION],
  pull: [PLAN_VERSION],
  revert: [PLAN_VERSION],
  snapshotMirror: [PLAN_VERSION],
};

/** Whether the saga has set its mark in QEMU and not begun to take it away. */
export function isMarkedBy(records: readonly JournalRecord[]): boolean {
  const marks = ['markQemu', 'unmarkQemu', 'undo.markQemu'];
  const last = records.findLast(({ step }) => marks.includes(splitKey(step).step));
  return (
    last !== undefined &&
    splitKey(last.step).step === 'markQemu' &&
    last.kind === 'outcome' &&
    !('error' in (last.body as object))
  );
}

/** The plan that a saga was begun with. Throws JOURNAL for one of another version, SAGA_STATE for one without QEMU. */
export function planToResume({ id, operation, planVersion, plan }: SagaRow): Plan {
  if (KNOWN_PLANS[operation]?.includes(planVersion)) return plan as object as Plan;
  if (operation === COMMIT_OFFLINE) {
    throw new BlocksagaError(
      'SAGA_STATE',
      `saga ${id} commits images without QEMU: run "blocksaga resume --offline ${id}", or with --back before its decision`,
      { saga: id },
    );
  }
  refuseGroup({ id, operation });
  throw new BlocksagaError(
    'JOURNAL',
    `saga ${id} is a ${operation} by plan version ${planVersion}, which this program does not know: resume it with the version of blocksaga that began it`,
    { saga: id, effect: 'notApplied' },
  );
}
