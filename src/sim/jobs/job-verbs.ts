/** What a client may ask of a job, by QEMU's table of verbs; the effects come a moment later, as in QEMU. */

import type { Context } from '../state/context.ts';
import type { Job } from '../state/job.ts';
import { accepts, type JobVerb } from '../state/job-table.ts';
import { refuse } from '../state/refusal.ts';
import { rate, timeFor } from './job-progress.ts';
import { abort, dismiss, driverOf, finalize, patchJob, task, wake } from './jobs.ts';

function refuseVerb(ctx: Context, job: Job, verb: JobVerb): void {
  const ok =
    accepts(job.status, verb) &&
    (verb !== 'complete' || job.status === 'ready' || ctx.profile.completesInStandby);
  if (!ok) refuse(`Job '${job.id}' in state '${job.status}' cannot accept command verb '${verb}'`);
}

export function verbCancel(ctx: Context, job: Job, force: boolean): void {
  refuseVerb(ctx, job, 'cancel');
  const soft =
    !(force && ctx.profile.forcesCancel) &&
    driverOf(job).completes &&
    (job.status === 'ready' || job.status === 'standby');
  if (soft) {
    const cancelled = job.cancelled === 'no' ? 'soft' : job.cancelled;
    const asked = patchJob(ctx, job.id, { cancelled });
    ctx.later(ctx.timing.mirrorLagMs, task(asked, 'work'));
    return;
  }
  const cancelled = patchJob(ctx, job.id, { cancelled: 'force', userPaused: false });
  if (job.status === 'waiting' || job.status === 'pending') abort(ctx, job.id);
  else ctx.later(ctx.timing.queryMs, task(cancelled, 'cancel'));
}

export function verbPause(ctx: Context, job: Job): void {
  refuseVerb(ctx, job, 'pause');
  if (job.userPaused) refuse('Job is already paused');
  ctx.later(0, task(patchJob(ctx, job.id, { userPaused: true }), 'pause'));
}

export function verbResume(ctx: Context, job: Job): void {
  if (!job.userPaused) refuse("Can't resume a job that was not paused");
  refuseVerb(ctx, job, 'resume');
  ctx.later(0, task(patchJob(ctx, job.id, { userPaused: false, ioStatus: 'ok' }), 'resume'));
}

export function verbComplete(ctx: Context, job: Job): void {
  refuseVerb(ctx, job, 'complete');
  if (!driverOf(job).completes || job.cancelled !== 'no') {
    refuse(`The active block job '${job.id}' cannot be completed`);
  }
  const asked = patchJob(ctx, job.id, { completeAsked: true });
  ctx.later(ctx.timing.mirrorLagMs, task(asked, 'work'));
}

export function verbFinalize(ctx: Context, job: Job): void {
  refuseVerb(ctx, job, 'finalize');
  finalize(ctx, job.id);
}

export function verbDismiss(ctx: Context, job: Job): void {
  refuseVerb(ctx, job, 'dismiss');
  dismiss(ctx, job.id);
}

export function verbSetSpeed(ctx: Context, job: Job, speed: number): void {
  refuseVerb(ctx, job, 'set-speed');
  if (speed < 0) refuse("Parameter 'speed' expects a non-negative value");
  const paced = patchJob(ctx, job.id, { speed, pace: job.pace + 1 });
  const track = ctx.tracks.get(job.id);
  if (track === undefined) return;
  const faster = { ...track, bytesPerMs: rate(ctx, speed) };
  ctx.onSuccess(() => ctx.tracks.set(job.id, faster));
  // block_job_set_speed() wakes the job from the pause that the old speed gave it.
  ctx.later(job.status === 'running' ? timeFor(ctx, faster) : 0, task(paced, 'work'));
}

/**
 * What QEMU does to its jobs when it ends: all are cancelled by force, also those that are PENDING. One that a client has paused is
 * running, or ready, again before that (seen on 7.2 and 11.1).
 */
export function cancelAllJobs(ctx: Context): void {
  for (const job of [...ctx.q.jobs.values()]) {
    if (!accepts(job.status, 'cancel')) continue;
    wake(ctx, job);
    patchJob(ctx, job.id, { cancelled: 'force' });
    abort(ctx, job.id);
  }
}
