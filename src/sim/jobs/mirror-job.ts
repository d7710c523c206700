/**
 * The mirror job at work: the bulk, then what the guest rewrote, READY, and the last blocks with the source quiesced
 * (mirror_run(), block/mirror.c of 7.2).
 */

import { patchNode, setReadOnly } from '../graph/graph.ts';
import { copyRanges, flushNode, imageOf, putImage, readNode, sizeOf } from '../graph/image-io.ts';
import {
  covered,
  type Extents,
  firstBytes,
  granules,
  minus,
  put,
  slice,
  withData,
} from '../host/contents.ts';
import { type Context, nodeOf, type Track } from '../state/context.ts';
import type { Job } from '../state/job.ts';
import { failWriting } from './held-up.ts';
import { blockEvent, timeFor } from './job-progress.ts';
import { enter, type JobDriver, registerDriver, task, workDone, workFailed } from './jobs.ts';
import { exitMirror } from './mirror-exit.ts';

const CLUSTER_BYTES = 65_536;
/** A bulk copy is seen at this many points. */
const SLICES = 4;
const NEVER_READY_POLL_MS = 50;

const mirror: JobDriver = {
  completes: true,
  // Its exit lets go of everything by itself.
  holds: 'untilDismissed',

  work(ctx, job) {
    const track = ctx.tracks.get(job.id);
    if (job.work.kind !== 'mirror' || track === undefined) return;
    if (job.userPaused) return;
    if (job.status === 'ready') {
      if (job.completeAsked || job.cancelled === 'soft') leave(ctx, job, track);
      return;
    }
    const sizes = matchSizes(ctx, job);
    if (sizes !== undefined) {
      workFailed(ctx, job.id, sizes);
      return;
    }
    const fault = ctx.jobFault(job);
    const done = track.len === 0 ? 100 : (100 * track.offset) / track.len;
    if (fault?.failAtPercent !== undefined && done >= fault.failAtPercent) {
      failWriting(ctx, job, fault.error ?? 'Input/output error');
      return;
    }
    const isLittle =
      track.offset > 0 &&
      covered(track.dirty) <= job.work.granularity + track.bytesPerMs * ctx.timing.queryMs;
    if (isLittle && fault?.neverReady !== true) copySlice(ctx, job, track, track.dirty);
    if (track.dirty.length > 0 || fault?.neverReady === true) {
      const bytes = Math.max(Math.ceil(track.len / SLICES), job.work.granularity);
      if (!takeSpace(ctx, job, firstBytes(track.dirty, bytes))) {
        failWriting(ctx, job, 'No space left on device');
        return;
      }
      const copied = copySlice(ctx, job, track, firstBytes(track.dirty, bytes));
      track.paidBytes = copied;
      const idleMs = copied === 0 ? NEVER_READY_POLL_MS : 0;
      ctx.later(Math.max(timeFor(ctx, track), idleMs), task(job, 'work'));
      return;
    }
    flushNode(ctx, job.work.target);
    track.synced = true;
    enter(ctx, job.id, 'ready');
    blockEvent(ctx, job.id, 'BLOCK_JOB_READY');
  },

  prepare(ctx, job) {
    return exitMirror(ctx, job, job.completeAsked);
  },

  abort(ctx, job) {
    exitMirror(ctx, job, false);
    if (job.work.kind !== 'mirror' || !job.work.commit || !job.work.baseWasReadOnly) return;
    if (!ctx.profile.cancelledCommitLeavesBaseWritable) setReadOnly(ctx, job.work.target, true);
  },
};

registerDriver('mirror', mirror);

/** The last dirty blocks are copied with the source quiesced, which it stays until the job ends. */
function leave(ctx: Context, job: Job, track: Track): void {
  if (job.work.kind !== 'mirror') return;
  copySlice(ctx, job, track, track.dirty);
  flushNode(ctx, job.work.target);
  const source = nodeOf(ctx.q, job.work.source);
  patchNode(ctx, source.name, { drainedBy: [...source.drainedBy, job.id] });
  workDone(ctx, job.id);
}

/** Zeroes the whole target first, before any guest write can reach it; not one of another size, which will fail. */
export function zero(ctx: Context, source: string, target: string): void {
  const image = imageOf(ctx, target);
  const size = sizeOf(ctx, nodeOf(ctx.q, target));
  if (sizeOf(ctx, nodeOf(ctx.q, source)) !== size) return;
  // What is in the file behind a raw node of a size of its own is none of its.
  putImage(ctx, target, { ...image, contents: put(image.contents, 0, size, 0) });
}

function copySlice(ctx: Context, job: Job, track: Track, ranges: Extents): number {
  if (job.work.kind !== 'mirror') return 0;
  copyRanges(ctx, job.work.source, job.work.target, ranges);
  track.dirty = minus(track.dirty, ranges);
  const bytes = covered(ranges);
  track.offset += bytes;
  return bytes;
}

/** Room for what is copied, on a disk that may be full. */
function takeSpace(ctx: Context, job: Job, ranges: Extents): boolean {
  if (job.work.kind !== 'mirror' || ctx.host.freeBytes === Number.POSITIVE_INFINITY) return true;
  const data = withData(readNode(ctx, job.work.source));
  let bytes = 0;
  for (let i = 0; i < ranges.length; i += 3) {
    const inside = slice(data, ranges[i] as number, ranges[i + 1] as number);
    bytes += covered(granules(inside, CLUSTER_BYTES, ranges[i + 1] as number));
  }
  if (bytes > ctx.host.freeBytes) return false;
  ctx.host.freeBytes -= bytes;
  return true;
}

function matchSizes(ctx: Context, job: Job): string | undefined {
  if (job.work.kind !== 'mirror') return undefined;
  const size = sizeOf(ctx, nodeOf(ctx.q, job.work.source));
  const targetSize = sizeOf(ctx, nodeOf(ctx.q, job.work.target));
  if (!job.work.commit) return size === targetSize ? undefined : ctx.profile.sizeMismatch;
  if (targetSize < size)
    putImage(ctx, job.work.target, { ...imageOf(ctx, job.work.target), sizeBytes: size });
  return undefined;
}
