/**
 * The guest's run state and the commands that change it, with QEMU's rules for each (qmp_stop() and qmp_cont() in
 * monitor/qmp-cmds.c, main_loop_should_exit() in softmmu/runstate.c; seen on 5.2, 7.2, 10.0 and 11.1).
 */
import type { Json } from '../../qmp/transport.ts';
import { flushNode } from '../graph/image-io.ts';
import type { Context } from '../state/context.ts';
import { refuse } from '../state/refusal.ts';
import type { RunState } from '../state/run-states.ts';

/** From here on `stop` also takes a guest in S3, and `cont` returns it to S3. */
const HOLDS_SUSPENDED_SINCE = 9;

export function stop(ctx: Context): Json {
  stopGuest(ctx, 'paused');
  return {};
}

/** Stops the guest; everything that it wrote is flushed (vm_stop() flushes all images). */
export function stopGuest(
  ctx: Context,
  runState: 'paused' | 'io-error' | 'shutdown' | 'finish-migrate',
): void {
  const { runState: before } = ctx.q;
  const isLive =
    before === 'running' ||
    (before === 'suspended' && ctx.profile.version.major >= HOLDS_SUSPENDED_SINCE && runState !== 'shutdown');
  if (!isLive) {
    if (runState === 'shutdown' || runState === 'finish-migrate') ctx.q.runState = runState;
    return;
  }
  ctx.q.wasSuspended = before === 'suspended';
  ctx.q.runState = runState;
  ctx.emit('STOP', {});
  for (const name of [...ctx.q.nodes.keys()]) flushNode(ctx, name);
}

export function cont(ctx: Context): Json {
  const { runState } = ctx.q;
  if (NEEDS_RESET.has(runState)) refuse('Resetting the Virtual Machine is required');
  if (runState === 'finish-migrate') refuse('Migration is not finalized yet');
  if (!STAYS.has(runState)) startGuest(ctx);
  return {};
}

const NEEDS_RESET: ReadonlySet<RunState> = new Set<RunState>(['shutdown', 'internal-error']);
/** What `cont` leaves as it is: an incoming guest starts by itself when it has come. */
const STAYS: ReadonlySet<RunState> = new Set<RunState>(['running', 'suspended', 'inmigrate']);

/** vm_start(). */
export function startGuest(ctx: Context): void {
  ctx.q.runState = ctx.q.wasSuspended ? 'suspended' : 'running';
  ctx.q.wasSuspended = false;
  ctx.emit('RESUME', {});
}

export function systemReset(ctx: Context): Json {
  const stays = new Set<RunState>(['running', 'inmigrate', 'finish-migrate']);
  ctx.q.wasSuspended = false;
  if (!stays.has(ctx.q.runState)) ctx.q.runState = 'prelaunch';
  ctx.emit('RESET', { guest: false, reason: 'host-qmp-system-reset' });
  return {};
}

export function systemWakeup(ctx: Context): Json {
  if (ctx.q.runState !== 'suspended') refuse('Unable to wake up: guest is not in suspended state');
  ctx.q.runState = 'running';
  ctx.emit('WAKEUP', {});
  return {};
}

/** The guest's own doing: it shuts down. What it had asked for when it was stopped is told, and stops nothing any more. */
export function shutDownGuest(ctx: Context): void {
  if (ctx.q.runState === 'running') stopGuest(ctx, 'shutdown');
}

/** The guest's own doing: it goes into S3. */
export function suspendGuest(ctx: Context): void {
  if (ctx.q.runState !== 'running') return;
  ctx.q.runState = 'suspended';
  ctx.emit('SUSPEND', {});
}
