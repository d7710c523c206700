/**
 * What stands before the mirrors of a snapshot are switched to or taken away: that there are any, and that the snapshot is
 * still what the disks are on; and before any switch, that the guest is not being migrated. Only asks.
 */
import { BlocksagaError } from '../../errors.ts';
import { frontOf } from '../../guest/graph.ts';
import { expectNotMigrating, lookAtGuest } from '../../guest/migration.ts';
import type { JournalRecord } from '../../journal/journal.ts';
import type { Plan } from '../../plan/plan.ts';
import type { QmpClient } from '../../qmp/client.ts';
import type { Clock } from '../../qmp/clock.ts';
import { expectMark } from '../../steps/pause/mark-qemu.ts';
import { type Guest, monitorOf } from '../connection/guest.ts';
import { expectAskable } from '../durable/expect-askable.ts';
import type { SignalName } from '../durable/signals.ts';
import { historyOf, recordsOfStage } from '../durable/stages.ts';

/** A saga, and what it is asked. */
interface Asked {
  readonly id: string;
  readonly plan: Plan;
  readonly records: readonly JournalRecord[];
  readonly signal: SignalName | undefined;
}

/**
 * Throws MIGRATING as `expectNotMigrating`, SAGA_STATE as `expectAskable`, when nothing is mirrored, or when a third
 * party has put other images in front since; nothing is done.
 */
export async function expectCurrent(
  { id, plan, records, signal }: Asked,
  client: () => Promise<QmpClient>,
): Promise<void> {
  const refuse = (why: string, disk?: string): never => {
    throw new BlocksagaError('SAGA_STATE', `saga ${id} ${why}`, {
      saga: id,
      ...(disk === undefined ? {} : { disk }),
    });
  };
  expectAskable({ id, plan, records, signal });
  if (signal === 'pivot' || signal === 'keepCopies') await expectStaying(client);
  if (plan.operation !== 'snapshotMirror') {
    if (signal === 'keepSnapshot') refuse('is no snapshot with mirrors, so that nothing is to be kept');
    return;
  }
  if (signal !== 'keepSnapshot' && signal !== 'pivot') return;
  const mirror = recordsOfStage(records, 'mirror');
  const hasBegun = (name: string) => mirror.some(({ kind, step }) => kind === 'intent' && step === name);
  const isTaken = historyOf(records, 'snapshot').decision === 'forward';
  if (signal === 'keepSnapshot' && !(isTaken && hasBegun('mirrorDisks'))) {
    refuse('mirrors nothing: its snapshot has not been taken yet, or has been rolled back');
  }
  // Between the overlays and the mirrors there may be filters of the switch; the steps see to what they find there.
  if (!hasBegun('awaitSignal') || hasBegun('pauseGuest')) return;
  const blocks = await askBlocks(plan, client);
  if (blocks === undefined) return;
  for (const disk of plan.mirror.disks) {
    const front = frontOf(blocks, disk);
    if (front === disk.node) continue;
    refuse(
      `is not what disk ${disk.disk} is on any more: ${front ?? 'nothing'} is in front of its overlay ${disk.file}. ` +
        'Take that away first',
      disk.disk,
    );
  }
}

/**
 * What waits at READY keeps waiting: its copies follow the guest until the migration is over. Where QEMU does not
 * answer, as below.
 */
async function expectStaying(client: () => Promise<QmpClient>): Promise<void> {
  try {
    expectNotMigrating(await lookAtGuest(await client()));
  } catch (error) {
    if (!(error instanceof BlocksagaError) || error.code === 'MIGRATING') throw error;
  }
}

/** The same on a connection of its own, for a saga of another process. */
export async function expectCurrentIn(guest: Guest, clock: Clock, asked: Asked): Promise<void> {
  const monitor = monitorOf(guest, clock);
  try {
    await expectCurrent(asked, () => monitor.client());
  } finally {
    monitor.close();
  }
}

/** Undefined where the saga's own QEMU does not answer: what follows from that is found out by the saga itself. */
async function askBlocks(plan: Plan, client: () => Promise<QmpClient>) {
  try {
    const qmp = await client();
    if (plan.marksQemu) await expectMark(qmp, plan);
    return await qmp.execute('query-block');
  } catch (error) {
    if (error instanceof BlocksagaError) return undefined;
    throw error;
  }
}
