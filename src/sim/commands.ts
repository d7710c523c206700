/**
 * The table of commands. Those marked as reading change nothing and are run on the state as it is; all others are run on
 * a draft that is only kept when they succeed.
 */

import type { Json } from '../qmp/transport.ts';
import { blockdevBackup } from './commands/backup-commands.ts';
import {
  bitmapAdd,
  bitmapClear,
  bitmapDisable,
  bitmapEnable,
  bitmapMerge,
  bitmapRemove,
} from './commands/bitmap-commands.ts';
import { blockCommit } from './jobs/commit.ts';
import type { Arguments } from './state/arguments.ts';
import type { Context } from './state/context.ts';
import './jobs/create-job.ts';
import { blockExportAdd, blockExportDel, nbdServerStart, nbdServerStop } from './commands/export-commands.ts';
import { objectAdd, objectDel, qomGet, qomList, qomSet } from './commands/machine-commands.ts';
import { blockdevMirror, driveMirror } from './commands/mirror-commands.ts';
import {
  blockdevAdd,
  blockdevCreate,
  blockdevDel,
  blockdevReopen,
  blockResize,
  changeBackingFile,
} from './commands/node-commands.ts';
import { queryBlock, queryNamedBlockNodes } from './commands/queries.ts';
import { queryBlockstats } from './commands/query-blockstats.ts';
import { queryBlockGraph } from './commands/query-graph.ts';
import { queryBlockExports, queryBlockJobs, queryJobs, queryStatus } from './commands/query-jobs.ts';
import { querySchema } from './commands/query-schema.ts';
import { blockdevSnapshot, blockdevSnapshotSync } from './commands/snapshot-commands.ts';
import { transaction } from './commands/transaction.ts';
import { numberOr } from './jobs/job-arguments.ts';
import {
  verbCancel,
  verbComplete,
  verbDismiss,
  verbFinalize,
  verbPause,
  verbResume,
  verbSetSpeed,
} from './jobs/job-verbs.ts';
import { blockStream } from './jobs/stream.ts';
import { migrate, migrateCancel, queryMigrate } from './machine/migration.ts';
import { cont, stop, systemReset, systemWakeup } from './machine/run-state.ts';
import { deviceDel, eject } from './machine/unplug.ts';
import { humanMonitorCommand } from './monitor/human-monitor.ts';
import type { Job } from './state/job.ts';
import { type Refusal, refuse } from './state/refusal.ts';

type Handler = (ctx: Context, args: Arguments) => Json | Refusal;

export interface Command {
  readonly run: Handler;
  readonly reads: boolean;
}

/** `job-*` find their job by id. */
function onJob(verb: (ctx: Context, job: Job) => void): Handler {
  return (ctx, args) => {
    verb(ctx, ctx.q.jobs.get(String(args['id'])) ?? refuse('Job not found'));
    return {};
  };
}

/** `block-job-*` know block jobs only, and name what they do not find. */
function onBlockJob(
  member: 'device' | 'id',
  verb: (ctx: Context, job: Job, args: Arguments) => void,
): Handler {
  return (ctx, args) => {
    const id = String(args[member]);
    const job = ctx.q.jobs.get(id);
    if (job === undefined || job.type === 'create') refuse(`Block job '${id}' not found`, 'DeviceNotActive');
    verb(ctx, job, args);
    return {};
  };
}

function cancelBlockJob(ctx: Context, job: Job, args: Arguments): void {
  const force = args['force'] === true;
  if (job.userPaused && !force) refuse(`The block job for device '${job.id}' is currently paused`);
  verbCancel(ctx, job, force);
}

const changing: Readonly<Record<string, Handler>> = {
  transaction,
  'blockdev-snapshot': blockdevSnapshot,
  'blockdev-snapshot-sync': blockdevSnapshotSync,
  'blockdev-mirror': blockdevMirror,
  'drive-mirror': driveMirror,
  'blockdev-backup': blockdevBackup,
  'block-commit': blockCommit,
  'block-stream': blockStream,
  'job-cancel': onJob((ctx, job) => verbCancel(ctx, job, true)),
  'job-pause': onJob(verbPause),
  'job-resume': onJob(verbResume),
  'job-complete': onJob(verbComplete),
  'job-finalize': onJob(verbFinalize),
  'job-dismiss': onJob(verbDismiss),
  'block-job-cancel': onBlockJob('device', cancelBlockJob),
  'block-job-pause': onBlockJob('device', verbPause),
  'block-job-resume': onBlockJob('device', verbResume),
  'block-job-complete': onBlockJob('device', verbComplete),
  'block-job-finalize': onBlockJob('id', verbFinalize),
  'block-job-dismiss': onBlockJob('id', verbDismiss),
  'block-job-set-speed': onBlockJob('device', (ctx, job, args) =>
    verbSetSpeed(ctx, job, numberOr(args['speed'], 0)),
  ),
  'blockdev-add': blockdevAdd,
  'blockdev-del': blockdevDel,
  'blockdev-create': blockdevCreate,
  'blockdev-reopen': blockdevReopen,
  'change-backing-file': changeBackingFile,
  'block-dirty-bitmap-add': bitmapAdd,
  'block-dirty-bitmap-remove': bitmapRemove,
  'block-dirty-bitmap-clear': bitmapClear,
  'block-dirty-bitmap-enable': bitmapEnable,
  'block-dirty-bitmap-disable': bitmapDisable,
  'block-dirty-bitmap-merge': bitmapMerge,
  'block-export-add': blockExportAdd,
  'block-export-del': blockExportDel,
  'nbd-server-start': nbdServerStart,
  'nbd-server-stop': nbdServerStop,
  block_resize: blockResize,
  stop,
  cont,
  system_reset: systemReset,
  system_wakeup: systemWakeup,
  device_del: deviceDel,
  eject,
  migrate,
  migrate_cancel: migrateCancel,
  'qom-set': qomSet,
  'object-add': objectAdd,
  'object-del': objectDel,
  'human-monitor-command': humanMonitorCommand,
};

const reading: Readonly<Record<string, Handler>> = {
  'query-jobs': queryJobs,
  'query-block-jobs': queryBlockJobs,
  'query-block': queryBlock,
  'query-blockstats': queryBlockstats,
  'query-named-block-nodes': queryNamedBlockNodes,
  'query-block-exports': queryBlockExports,
  'query-status': queryStatus,
  'query-migrate': queryMigrate,
  'query-version': ctx => ({ qemu: ctx.profile.version, package: ctx.profile.package }),
  'query-uuid': () => ({ UUID: '00000000-0000-0000-0000-000000000000' }),
  'query-name': ctx => ({ name: ctx.name }),
  'query-commands': ctx => Object.keys(ctx.profile.schema.commands).map(name => ({ name })),
  'query-qmp-schema': querySchema,
  'x-debug-query-block-graph': queryBlockGraph,
  'qom-list': qomList,
  'qom-get': qomGet,
};

export const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ...Object.entries(changing).map(([name, run]) => [name, { run, reads: false }] as const),
  ...Object.entries(reading).map(([name, run]) => [name, { run, reads: true }] as const),
]);
