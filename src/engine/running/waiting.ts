/**
 * Copies that wait at READY for a signal: whether one does, and what has become of its mirrors while no process watched
 * them. It only asks, and decides nothing: the resumed saga looks for itself.
 */
import { BlocksagaError } from '../../errors.ts';
import { jobsOfPlan } from '../../guest/jobs-of-plan.ts';
import { isMigrating, lookAtGuest } from '../../guest/migration.ts';
import type { JournalRecord, SagaRow } from '../../journal/journal.ts';
import type { Plan } from '../../plan/plan.ts';
import type { QmpClient } from '../../qmp/client.ts';
import { jobAlive } from '../../steps/jobs/run-jobs.ts';
import { expectMark } from '../../steps/pause/mark-qemu.ts';
import { splitKey } from '../../steps/stages.ts';
import { SEEN_ON } from '../durable/seen-on.ts';
import { UNPLUGGED } from '../durable/unplugged.ts';
import { WATCHED } from '../durable/watched.ts';
import type { SagaResult } from './result.ts';

/** Whether a saga that has not ended waits for `pivot` or `abort`. */
export function isWaiting({ state }: Pick<SagaRow, 'state'>, records: readonly JournalRecord[]): boolean {
  const last = records.findLast(
    ({ kind, step }) => kind !== 'signal' && step !== WATCHED && step !== UNPLUGGED && step !== SEEN_ON,
  );
  return state === 'open' && last?.kind === 'intent' && splitKey(last.step).step === 'awaitSignal';
}

/** One sentence about the mirrors of a saga that waits. Throws as `QmpClient.execute`. */
export async function mirrorsInWords(id: string, plan: Plan, qmp: QmpClient): Promise<string> {
  try {
    if (plan.marksQemu) await expectMark(qmp, plan);
  } catch (error) {
    if (!(error instanceof BlocksagaError) || error.code !== 'QEMU_REPLACED') throw error;
    return `another QEMU answers now, the one with its mirrors is gone: "blocksaga resume --offline ${id}" says which images are the right ones`;
  }
  const sight = await lookAtGuest(qmp);
  if (isMigrating(sight) || sight.status === 'postmigrate') {
    return `it waits for a live migration (migration "${sight.migration}", run state "${sight.status}"): pivot is refused until that is over, "blocksaga abort ${id}" takes the mirrors away`;
  }
  const table = await jobsOfPlan(plan, qmp).list(plan.disks.map(disk => disk.names.job));
  const failures = plan.disks.flatMap(disk => {
    try {
      jobAlive(table, disk);
      return [];
    } catch (error) {
      if (!(error instanceof BlocksagaError)) throw error;
      return [error.message];
    }
  });
  const keepsCopies =
    plan.operation === 'copy' ? `, with --keep-copies it leaves them as copies of one instant` : '';
  const isSnapshot = plan.operation === 'snapshotMirror';
  const keeps = isSnapshot ? `, "blocksaga abort ${id} --keep-snapshot" does without them` : '';
  if (failures.length === 0 && isSnapshot) {
    return `its mirrors follow the guest: "blocksaga pivot ${id}" switches all disks to them${keeps}, "blocksaga abort ${id}" rolls the snapshot back too`;
  }
  if (failures.length === 0) {
    return `its mirrors follow the guest: "blocksaga pivot ${id}" switches all disks, "blocksaga abort ${id}" takes them away${keepsCopies}`;
  }
  if (isSnapshot) {
    return `it cannot be switched any more: ${failures.join('; ')}. The guest is on the overlays${keeps}, "blocksaga abort ${id}" rolls the snapshot back too`;
  }
  return `it cannot be switched any more: ${failures.join('; ')}. "blocksaga abort ${id}" takes away what is left; the guest is on its old images`;
}

/** Why a saga has ended as it did, where that was a failure. */
export function reasonOf({ result }: Pick<SagaRow, 'result'>): string | null {
  return (result as object | null as SagaResult | null)?.error?.message ?? null;
}
