/**
 * What QEMU says of a guest's run state and of a live migration, and which of it forbids a change of the disks: a migration
 * that is under way leads to a QEMU that has opened the images as they are now. It only looks.
 */
import { BlocksagaError, type Effect } from '../errors.ts';
import type { QmpClient, Reply } from '../qmp/client.ts';
import { valueIn } from '../qmp/reply-values.ts';
import type { MigrationInfo, StatusInfo } from '../qmp/schema.generated.ts';

/** The commands of one look, to be sent alone or with others. */
export const SIGHT = [{ execute: 'query-status' }, { execute: 'query-migrate' }] as const;

type RunState = Pick<StatusInfo, 'running' | 'status'>;

/** What one look has found. */
export interface Sight {
  readonly running: boolean;
  /** `RunState` (qapi/run-state.json); `postmigrate` also after a `system_reset` there, which QEMU calls `prelaunch`. */
  readonly status: string;
  /** `MigrationStatus` (qapi/migration.json) of the last migration; `none` where there was none. */
  readonly migration: string;
}

/** The look that two replies are. Throws what QEMU refused, to be asked again: that says nothing of what went before it. */
export function sightOf(status: Reply<RunState>, migration: Reply<MigrationInfo>): Sight {
  try {
    return sightIn(valueIn(status), migration);
  } catch (error) {
    if (!(error instanceof BlocksagaError)) throw error;
    throw BlocksagaError.fromRecord({ ...error.toJSON(), retryable: true, effect: 'unknown' });
  }
}

/** The same of a run state that was told. Throws what QEMU refused. */
export function sightIn({ running, status }: RunState, migration: Reply<MigrationInfo>): Sight {
  const isGone = status === 'prelaunch' && hasSent(migration);
  return { running, status: isGone ? 'postmigrate' : status, migration: migrationOf(migration) };
}

export async function lookAtGuest(qmp: QmpClient): Promise<Sight> {
  return sightOf(...(await qmp.pipeline(SIGHT)));
}

/** Whether this QEMU is the source of a migration that has ended: only there it tells how long that took (`populate_time_info`, migration.c). */
function hasSent(reply: Reply<MigrationInfo>): boolean {
  return reply.ok && reply.value.status === 'completed' && reply.value['total-time'] !== undefined;
}

/** What cannot migrate does not. Throws what QEMU refused. */
function migrationOf(reply: Reply<MigrationInfo>): string {
  if (reply.ok) return reply.value.status ?? 'none';
  if (reply.error.qmp?.class === 'CommandNotFound') return 'none';
  throw reply.error;
}

/** Whether the guest executes, or is in S3 and may wake up at any time; `stop` ends both. */
export function isLive({ running, status }: Pick<Sight, 'running' | 'status'>): boolean {
  return running || status === 'suspended';
}

/** Whether a live migration of this guest has begun and is not over; a status that is not known yet is none that is over. */
export function isMigrating({ status, migration }: Pick<Sight, 'status' | 'migration'>): boolean {
  return !MIGRATION_OVER.has(migration) || RUN_STATES.get(status) === 'under way';
}

/**
 * Throws MIGRATING while a migration, or saving or loading the machine's state, is under way, or when this QEMU is one that
 * the guest has left or has yet to come to. What was asked for has not been done, unless it was looked behind that.
 */
export function expectNotMigrating(sight: Sight, effect: Effect = 'notApplied'): void {
  const { status, migration } = sight;
  const found = `(migration "${migration}", run state "${status}")`;
  if (RUN_STATES.get(status) === 'gone') {
    throw refusal(
      `the guest has been migrated away from this QEMU ${found}: change its disks where it is now. ` +
        'Where the migration has failed on the other side, resume the guest here (cont), then try again',
      effect,
    );
  }
  if (!isMigrating(sight)) return;
  throw refusal(
    `a live migration, or saving or loading the state of the machine, is under way ${found}, and the other side has opened ` +
      'the images as they are: wait until it is over, or cancel it (migrate_cancel), then try again',
    effect,
  );
}

function refusal(message: string, effect: Effect): BlocksagaError {
  return new BlocksagaError('MIGRATING', message, { effect });
}

const MIGRATION_OVER: ReadonlySet<string> = new Set(['none', 'completed', 'failed', 'cancelled']);

/** The run states in which a guest's disks are another QEMU's, or are about to be. */
const RUN_STATES: ReadonlyMap<string, 'under way' | 'gone'> = new Map([
  ['inmigrate', 'under way'],
  ['finish-migrate', 'under way'],
  ['save-vm', 'under way'],
  ['restore-vm', 'under way'],
  ['colo', 'under way'],
  ['postmigrate', 'gone'],
]);
