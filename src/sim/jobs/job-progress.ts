/** How far a block job is, how fast it may go, and the event that says so. */

import { sizeOf } from '../graph/image-io.ts';
import { covered } from '../host/contents.ts';
import type { Context, Track } from '../state/context.ts';
import type { Job } from '../state/job.ts';

export function progress(ctx: Context, job: Job): { len: number; offset: number } {
  const track = ctx.tracks.get(job.id);
  const target = job.work.kind === 'mirror' ? ctx.q.nodes.get(job.work.target) : undefined;
  if (ctx.profile.countsWholeDisk && target !== undefined && track !== undefined) {
    const len = sizeOf(ctx, target);
    return { len, offset: track.synced ? len : len - covered(track.dirty) };
  }
  return { len: track?.len ?? 0, offset: track?.offset ?? 0 };
}

export function blockEvent(ctx: Context, id: string, event: string): void {
  const job = ctx.q.jobs.get(id);
  if (job === undefined || job.type === 'create') return;
  const failed = event === 'BLOCK_JOB_COMPLETED' && job.error !== undefined;
  ctx.emit(event, {
    device: id,
    ...progress(ctx, job),
    speed: job.speed,
    type: job.type,
    ...(failed ? { error: job.error } : {}),
  });
}

/** How long what was copied last takes; a speed that is set meanwhile counts for all of it. */
export function timeFor(ctx: Context, { paidBytes = 0, bytesPerMs }: Track): number {
  return Math.max(ctx.timing.queryMs, paidBytes / bytesPerMs);
}

/** Bytes per virtual millisecond under a limit in bytes per second; 0 is no limit. */
export function rate(ctx: Context, speed: number): number {
  return speed === 0 ? ctx.timing.copyBytesPerMs : Math.min(ctx.timing.copyBytesPerMs, speed / 1000);
}
