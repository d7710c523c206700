/** What is asked about what goes on: jobs, exports and the run state. Changes nothing. */

import type { Json } from '../qmp/transport.ts';
import type { Context } from './context.ts';
import { progress } from './jobs.ts';
import type { Job } from './state.ts';

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
    .map(job => ({
      'auto-finalize': job.autoFinalize,
      'io-status': job.ioStatus,
      device: job.id,
      'auto-dismiss': job.autoDismiss,
      busy: false,
      ...progress(ctx, job),
      status: job.status,
      paused: job.userPaused || job.status === 'pending',
      speed: job.speed,
      ready: job.status === 'ready' || job.status === 'standby',
      type: job.type,
      ...(job.error === undefined ? {} : { error: job.error }),
    }));
}

function newestFirst(ctx: Context): Job[] {
  return Object.values(ctx.q.jobs).sort((a, b) => b.serial - a.serial);
}

export function queryBlockExports(ctx: Context): Json {
  return Object.values(ctx.q.exports).map(block => ({
    'node-name': block.node,
    'shutting-down': block.shuttingDown,
    type: block.type,
    id: block.id,
  }));
}

export function queryStatus(ctx: Context): Json {
  const running = ctx.q.runState === 'running';
  const singlestep = ctx.profile.version.major < 9 ? { singlestep: false } : {};
  return { status: ctx.q.runState, ...singlestep, running };
}
