/** Queries about what is under way: jobs, exports and the run state. Changes nothing. */

import type { Json } from '../../qmp/transport.ts';
import { progress } from '../jobs/job-progress.ts';
import type { Context } from '../state/context.ts';
import type { Job } from '../state/job.ts';
import { type Came, since, withoutLaterMembers } from '../state/later-members.ts';

export function queryJobs(ctx: Context): Json {
  return newestFirst(ctx).map(job => {
    const { len, offset } = progress(ctx, job);
    return {
      'current-progress': offset,
      status: job.status,
      'total-progress': len,
      type: job.type,
      id: job.id,
      ...(job.error === undefined ? {} : { error: job.error }),
    };
  });
}

export function queryBlockJobs(ctx: Context): Json {
  return newestFirst(ctx)
    .filter(job => job.type !== 'create')
    .map(job =>
      withoutLaterMembers(ctx.profile, CAME, {
        'auto-finalize': job.autoFinalize,
        'io-status': job.ioStatus,
        device: job.id,
        'auto-dismiss': job.autoDismiss,
        busy: false,
        ...progress(ctx, job),
        status: job.status,
        paused: job.userPaused || (job.status === 'pending' && job.work.kind === 'mirror'),
        speed: job.speed,
        ready: job.status === 'ready' || job.status === 'standby',
        type: job.type,
        ...(job.error === undefined ? {} : { error: job.error }),
        ...(job.type === 'mirror' && since(ctx.profile, 8, 2) ? { 'actively-synced': false } : {}),
      }),
    );
}

/** When members of BlockJobInfo came (the `Since:` tags of QEMU's qapi/block-core.json). */
const CAME: Came = [
  ['busy', 1, 3],
  ['paused', 1, 3],
  ['io-status', 1, 3],
  ['ready', 2, 2],
  ['status', 2, 12],
  ['auto-finalize', 2, 12],
  ['auto-dismiss', 2, 12],
  ['error', 2, 12],
];

function newestFirst(ctx: Context): Job[] {
  return [...ctx.q.jobs.values()].sort((a, b) => b.serial - a.serial);
}

export function queryBlockExports(ctx: Context): Json {
  const exports = [...ctx.q.exports.values()].map(block => ({
    'node-name': block.node,
    'shutting-down': block.shuttingDown,
    type: block.type,
    id: block.id,
  }));
  return [...exports, ...(ctx.profile.servesExports ? served(ctx) : [])];
}

/** What a storage daemon was started with: what uses its disks is told as exports. */
function served({ q }: Context): readonly Json[] {
  return [...q.devices.values()].flatMap(({ id, path }) => {
    const node = q.backends.get(path)?.node;
    return node === undefined ? [] : [{ 'node-name': node, 'shutting-down': false, type: 'nbd', id }];
  });
}

export function queryStatus(ctx: Context): Json {
  const running = ctx.q.runState === 'running';
  const singlestep = ctx.profile.version.major < 9 ? { singlestep: false } : {};
  return { status: ctx.q.runState, ...singlestep, running };
}
