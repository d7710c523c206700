/**
 * An outgoing live migration, as its source shows it: the states that `query-migrate` tells and what they do to the guest
 * (migration/migration.c; seen on 5.2, 7.2, 10.0 and 11.1). Nothing is sent anywhere, and no destination is simulated.
 */
import type { Json } from '../../qmp/transport.ts';
import type { Arguments } from '../state/arguments.ts';
import type { Context, MigrationTask } from '../state/context.ts';
import { refuse } from '../state/refusal.ts';
import type { Migration } from '../state/run-states.ts';
import { startGuest, stopGuest } from './run-state.ts';

const SETUP_MS = 1;
const SWITCHOVER_MS = 2;
const CANCEL_MS = 1;
/** How long the memory takes when the address does not say: that of a guest of 32 MiB that is paused. */
const COPY_MS = 5;

export const NO_MIGRATION: Migration = { status: 'none', serial: 0, cameFrom: 'running' };

const OVER: ReadonlySet<Migration['status']> = new Set<Migration['status']>([
  'none',
  'cancelled',
  'completed',
]);

/** `uri` may say how long the memory takes: `exec:sleep 40` takes 40 ms. */
export function migrate(ctx: Context, args: Arguments): Json {
  if (!OVER.has(ctx.q.migration.status)) refuse("There's a migration process in progress");
  if (ctx.q.runState === 'inmigrate') refuse('Guest is waiting for an incoming migration');
  if (ctx.q.runState === 'postmigrate') refuse("Can't migrate the vm that was migrated previously");
  const serial = ctx.q.migration.serial + 1;
  ctx.q.migration = { status: 'setup', serial, cameFrom: ctx.q.runState };
  const copyMs = Number(/^exec:sleep (\d+)$/.exec(String(args['uri']))?.[1] ?? COPY_MS);
  ctx.later(SETUP_MS, { migration: serial, phase: 'active' });
  ctx.later(SETUP_MS + copyMs, { migration: serial, phase: 'switchover' });
  ctx.later(SETUP_MS + copyMs + SWITCHOVER_MS, { migration: serial, phase: 'completed' });
  return {};
}

export function migrateCancel(ctx: Context): Json {
  const { migration } = ctx.q;
  if (OVER.has(migration.status) || migration.status === 'cancelling') return {};
  ctx.q.migration = { ...migration, status: 'cancelling' };
  ctx.later(CANCEL_MS, { migration: migration.serial, phase: 'cancelled' });
  return {};
}

/** A source tells how long it took once that is over. */
const TOTAL_MS = 1;

export function queryMigrate(ctx: Context): Json {
  const { status } = ctx.q.migration;
  if (status === 'none') return {};
  return status === 'completed' ? { status, 'total-time': TOTAL_MS } : { status };
}

export function runMigration(ctx: Context, { migration: serial, phase }: MigrationTask): void {
  const { migration } = ctx.q;
  if (migration.serial !== serial) return;
  if (phase === 'cancelled') {
    cancelled(ctx);
    return;
  }
  if (OVER.has(migration.status) || migration.status === 'cancelling') return;
  if (phase === 'active') {
    ctx.q.migration = { ...migration, status: 'active' };
  } else if (phase === 'switchover') {
    const status = ctx.profile.version.major >= DEVICE_SINCE ? 'device' : 'active';
    ctx.q.migration = { ...migration, status, cameFrom: ctx.q.runState };
    stopGuest(ctx, 'finish-migrate');
  } else {
    ctx.q.migration = { ...migration, status: 'completed' };
    ctx.q.runState = 'postmigrate';
  }
}

/** From here on the source tells the phase in which the devices are sent. */
const DEVICE_SINCE = 10;
/** Before, one whose guest was not running when it came to its end leaves that guest in `postmigrate`. */
const GIVES_BACK_SINCE = 9;

function cancelled(ctx: Context): void {
  const { migration, runState } = ctx.q;
  ctx.q.migration = { ...migration, status: 'cancelled' };
  if (runState !== 'finish-migrate') return;
  if (migration.cameFrom === 'running') startGuest(ctx);
  else ctx.q.runState = ctx.profile.version.major >= GIVES_BACK_SINCE ? migration.cameFrom : 'postmigrate';
}
