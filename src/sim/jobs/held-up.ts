/** What a fault makes of a job's next piece of work: it fails, or comes to no end. Mirrors look at it by themselves. */

import type { Context, Track } from '../state/context.ts';
import type { Job } from '../state/job.ts';
import { task, workFailed } from './jobs.ts';

const NEVER_DONE_POLL_MS = 50;

/** Whether the job goes no further now; `fail` is how it fails. */
export function isHeldUp(ctx: Context, job: Job, track: Track, fail: typeof failWriting): boolean {
  const fault = ctx.jobFault(job);
  const done = track.len === 0 ? 100 : (100 * track.offset) / track.len;
  if (fault?.failAtPercent !== undefined && done >= fault.failAtPercent) {
    fail(ctx, job, fault.error ?? 'Input/output error');
    return true;
  }
  if (fault?.neverReady !== true || track.offset === 0) return false;
  ctx.later(NEVER_DONE_POLL_MS, task(job, 'work'));
  return true;
}

export function failWriting(ctx: Context, job: Job, error: string): void {
  ctx.emit('BLOCK_JOB_ERROR', { device: job.id, operation: 'write', action: 'report' });
  workFailed(ctx, job.id, error);
}
