/**
 * blockdev-backup, alone and as an action of a transaction: what it checks, in QEMU's order (blockdev.c of 7.2:
 * blockdev_backup_prepare(), do_backup_common(); block/backup.c: backup_job_create()).
 */

import type { Json } from '../../qmp/transport.ts';
import { refuseIfBlocked } from '../graph/graph.ts';
import { BACKUP_CLUSTER_BYTES, sizeOf } from '../graph/image-io.ts';
import { type BackupRequest, createBackup, exitBackup } from '../jobs/backup.ts';
import type { HeldBitmap } from '../jobs/backup-bitmap.ts';
import { checkedSpeed, jobId, numberOr } from '../jobs/job-arguments.ts';
import { enter, forget, refuseBadJobId, runJob } from '../jobs/jobs.ts';
import type { Arguments } from '../state/arguments.ts';
import { type Context, lookupNode } from '../state/context.ts';
import type { Job } from '../state/job.ts';
import { refuse } from '../state/refusal.ts';
import type { BlockNode } from '../state/state.ts';
import { refuseBusyBitmap, refuseInconsistent } from './bitmap-commands.ts';
import type { Taken } from './snapshot-commands.ts';

export function blockdevBackup(ctx: Context, args: Arguments): Json {
  prepareBackup(ctx, args).commit();
  return {};
}

/** The job is there and has not begun; `group` is of those that end all or none. */
export function prepareBackup(ctx: Context, args: Arguments, group?: string): Taken {
  const device = String(args['device']);
  const source = lookupNode(ctx, device, device);
  const target = lookupNode(ctx, String(args['target']), String(args['target']));
  const job = createBackup(ctx, requestOf(ctx, args, source, target, group), () => {
    const id = jobId(ctx, args['job-id'], source);
    const chunk = numberOr(((args['x-perf'] ?? {}) as Arguments)['max-chunk'], 0);
    if (chunk > 0 && chunk < BACKUP_CLUSTER_BYTES)
      refuse(`Required max-chunk (${chunk}) is less than backup cluster size (${BACKUP_CLUSTER_BYTES})`);
    refuseBadJobId(ctx, id);
    return checkedSpeed(ctx, id, args['speed']);
  });
  return {
    hadUsers: false,
    commit: () => runQuiesced(ctx, job.id),
    withdraw: () => emitWithdrawal(ctx, job),
    abort() {
      exitBackup(ctx, job, false);
      forget(ctx, job.id);
    },
  };
}

/** The job begins while the command still quiesces the source. */
function runQuiesced(ctx: Context, id: string): void {
  runJob(ctx, id);
  enter(ctx, id, 'paused');
  enter(ctx, id, 'running');
}

/** A job of a transaction that fails is cancelled before it has run. */
function emitWithdrawal(ctx: Context, { id }: Job): void {
  for (const status of ['aborting', 'concluded', 'null'] as const) {
    ctx.emit('JOB_STATUS_CHANGE', { status, id });
  }
}

function requestOf(
  ctx: Context,
  args: Arguments,
  source: BlockNode,
  target: BlockNode,
  group: string | undefined,
): BackupRequest {
  const bitmap = bitmapOf(args, source);
  const sync = args['sync'] === 'incremental' ? 'bitmap' : (args['sync'] as BackupRequest['sync']);
  const perf = (args['x-perf'] ?? {}) as Arguments;
  if (source.name === target.name) refuse('Source and target cannot be the same');
  refuseIfBlocked(ctx, source, 'backupSource');
  refuseIfBlocked(ctx, target, 'backupTarget');
  refusePerf(perf);
  if (sizeOf(ctx, source) !== sizeOf(ctx, target)) refuse('Source and target image have different sizes');
  const named = args['filter-node-name'];
  const filterName = typeof named === 'string' ? named : undefined;
  return {
    id: jobId(ctx, args['job-id'], source),
    ...{ source: source.name, target: target.name, sync, bitmap, filterName, group },
    autoFinalize: args['auto-finalize'] !== false,
    autoDismiss: args['auto-dismiss'] !== false,
  };
}

function refusePerf({ 'max-workers': workers = 64, 'max-chunk': chunk = 0 }: Arguments): void {
  if (numberOr(workers, 0) < 1 || numberOr(workers, 0) > WORKERS_MAX)
    refuse(`max-workers must be between 1 and ${WORKERS_MAX}`);
  if (numberOr(chunk, 0) < 0) refuse('max-chunk must be zero (which means no limit) or positive');
}

const WORKERS_MAX = 2_147_483_647;

function bitmapOf(args: Arguments, source: BlockNode): HeldBitmap | undefined {
  const { sync, bitmap: named, 'bitmap-mode': given } = args;
  const isInput = sync === 'bitmap' || sync === 'incremental';
  if (isInput && named === undefined)
    refuse(`must provide a valid bitmap name for '${String(sync)}' sync mode`);
  if (sync === 'incremental' && given !== undefined && given !== 'on-success')
    refuse("Bitmap sync mode must be 'on-success' when using sync mode 'incremental'");
  if (named === undefined) {
    if (given !== undefined) refuse('Cannot specify bitmap sync mode without a bitmap');
    return undefined;
  }
  const name = String(named);
  const bitmap = source.bitmaps.find(each => each.name === name && name !== '');
  if (bitmap === undefined) refuse(`Bitmap '${name}' could not be found`);
  const mode = sync === 'incremental' ? 'on-success' : given;
  if (mode === undefined) refuse('Bitmap sync mode must be given when providing a bitmap');
  refuseBusyBitmap(bitmap);
  refuseInconsistent(bitmap);
  if (sync === 'none') refuse("sync mode 'none' does not produce meaningful bitmap outputs");
  if (mode === 'never' && sync !== 'bitmap') {
    refuse(
      `Bitmap sync mode 'never' has no meaningful effect when combined with sync mode '${String(sync)}'`,
    );
  }
  return { name, mode: mode as HeldBitmap['mode'] };
}
