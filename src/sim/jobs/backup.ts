/**
 * The backup job: a filter above the source copies what the guest is about to overwrite, and the job copies the rest, so that the
 * target becomes what the source was when it began (block/backup.c, block/copy-before-write.c of 7.2). What bitmaps come to is in
 * `backup-bitmap.ts`.
 */

import {
  addMainUser,
  addUser,
  automaticName,
  below,
  nodeEdge,
  patchNode,
  removeUser,
  replaceNode,
} from '../graph/graph.ts';
import {
  allocatedAbove,
  BACKUP_CLUSTER_BYTES as CLUSTER_BYTES,
  copyRanges,
  flushNode,
  sizeOf,
} from '../graph/image-io.ts';
import { refuseBadName } from '../graph/open-node.ts';
import { checkPermissions } from '../graph/permissions.ts';
import { covered, type Extents, firstBytes, granules, minus, put } from '../host/contents.ts';
import { type Context, nodeOf, type Track } from '../state/context.ts';
import type { Job } from '../state/job.ts';
import { Refusal, refuse } from '../state/refusal.ts';
import { ALL_PERMISSIONS, BlockNode } from '../state/state.ts';
import { endBitmap, type HeldBitmap, holdBitmap } from './backup-bitmap.ts';
import { failWriting, isHeldUp } from './held-up.ts';
import { rate, timeFor } from './job-progress.ts';
import { createJob, type JobDriver, registerDriver, release, task, workDone } from './jobs.ts';
import { backingBelow } from './mirror.ts';

export interface BackupRequest {
  readonly id: string;
  readonly source: string;
  readonly target: string;
  readonly sync: 'full' | 'top' | 'none' | 'bitmap';
  readonly bitmap: HeldBitmap | undefined;
  readonly filterName: string | undefined;
  readonly autoFinalize: boolean;
  readonly autoDismiss: boolean;
  /** Of jobs that end all or none. */
  readonly group: string | undefined;
}

const SLICES = 4;

/** Puts the filter in and makes the job, which does not run yet. `checked` refuses what QEMU looks at when the filter is there. */
export function createBackup(ctx: Context, request: BackupRequest, checked: () => number): Job {
  const { id, source, target } = request;
  if (request.bitmap !== undefined) holdBitmap(ctx, source, request.bitmap, id);
  const before = ctx.q.nodes;
  const filter = insertFilter(ctx, request);
  const speed = checked();
  addMainUser(ctx, filter, { id, type: 'backup' }, { perm: 0, shared: ALL_PERMISSIONS });
  const needs = { perm: 0, shared: ALL_PERMISSIONS };
  addUser(ctx, target, { kind: 'job', parent: id, jobType: 'backup', role: 'target', ...needs });
  for (const name of [filter, target]) {
    const { blockedBy } = nodeOf(ctx.q, name);
    patchNode(ctx, name, {
      blockedBy: [...blockedBy, { job: id, type: 'backup', serial: ctx.q.serial++ }],
    });
  }
  const tracker = ctx.profile.mirrorFilterTracks ? filter : source;
  patchNode(ctx, tracker, { trackedBy: [...nodeOf(ctx.q, tracker).trackedBy, id] });
  const { sync, bitmap, autoFinalize, autoDismiss, group } = request;
  const work = { kind: 'backup' as const, source, filter, target, sync, bitmap };
  const fields = { id, type: 'backup' as const, speed, autoFinalize, autoDismiss, group, work };
  const dirty = toCopy(ctx, request, before);
  const size = sizeOf(ctx, nodeOf(ctx.q, source));
  ctx.onSuccess(() => {
    const len = sync === 'none' ? size : covered(dirty);
    ctx.tracks.set(id, { dirty, offset: 0, len, bytesPerMs: rate(ctx, speed), synced: false });
  });
  return createJob(ctx, fields);
}

function insertFilter(ctx: Context, { id, source, target, filterName }: BackupRequest): string {
  const name = filterName ?? automaticName(ctx);
  const { filterOfBackup: driver } = ctx.profile;
  const role = driver === 'backup-top' ? 'backing' : 'file';
  const children = [
    { role, child: source },
    { role: 'target', child: target },
  ] as const;
  const { serial } = ctx.q;
  ctx.q.serial += 1;
  prefixed(ctx.profile.texts.noFilter, () => {
    if (filterName !== undefined) refuseBadName(ctx, filterName);
    ctx.q.edit('nodes').set(name, new BlockNode({ name, driver, job: id, children, serial }));
    for (const { child, role: as } of children) addUser(ctx, child, nodeEdge(name, as));
    checkPermissions(ctx, [target, source]);
  });
  prefixed(ctx.profile.texts.filterNotInserted, () => {
    replaceNode(ctx, source, name);
    checkPermissions(ctx, [name, source, target]);
  });
  return name;
}

function prefixed(words: string, act: () => void): void {
  try {
    act();
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    refuse(`${words}${refusal.desc}`);
  }
}

function toCopy(ctx: Context, request: BackupRequest, before: Context['q']['nodes']): Extents {
  const { source, sync, bitmap } = request;
  const size = sizeOf(ctx, nodeOf(ctx.q, source));
  if (sync === 'bitmap') {
    const held = before.get(source)?.bitmaps.find(({ name }) => name === bitmap?.name);
    return granules((held && ctx.recorded.get(held.serial)) ?? [], CLUSTER_BYTES, size);
  }
  if (sync !== 'top') return put([], 0, size, 1);
  return granules(allocatedAbove(ctx, source, backingBelow(ctx, source)), CLUSTER_BYTES, size);
}

const backup: JobDriver = {
  completes: false,
  // Its exit lets go of everything by itself.
  holds: 'untilDismissed',

  work(ctx, job) {
    const track = ctx.tracks.get(job.id);
    if (job.work.kind !== 'backup' || track === undefined || job.userPaused) return;
    if (isHeldUp(ctx, job, track, failWriting)) return;
    // With `none` the filter alone copies, until the job is cancelled.
    if (job.work.sync === 'none') return;
    if (track.dirty.length > 0) {
      const slice = Math.max(Math.ceil(track.len / SLICES), CLUSTER_BYTES);
      const bytes = job.speed === 0 ? slice : ctx.profile.backupChunkBytes;
      track.paidBytes = copy(ctx, job.work, track, firstBytes(track.dirty, bytes));
      ctx.later(timeFor(ctx, track), task(job, 'work'));
      return;
    }
    flushNode(ctx, job.work.target);
    workDone(ctx, job.id);
  },

  prepare(ctx, job) {
    exitBackup(ctx, job, true);
    return undefined;
  },

  abort(ctx, job) {
    exitBackup(ctx, job, false);
  },
};

registerDriver('backup', backup);

function copy(ctx: Context, work: Job['work'], track: Track, ranges: Extents): number {
  if (work.kind !== 'backup') return 0;
  copyRanges(ctx, work.source, work.target, ranges);
  track.dirty = minus(track.dirty, ranges);
  const bytes = covered(ranges);
  track.offset += bytes;
  return bytes;
}

/** bdrv_cbw_drop(): the filter goes, and the bitmap becomes what it is to be. */
export function exitBackup(ctx: Context, job: Job, succeeded: boolean): void {
  if (job.work.kind !== 'backup') return;
  const { source, filter, target, bitmap } = job.work;
  if (bitmap !== undefined) endBitmap(ctx, source, bitmap, { job: job.id, succeeded });
  patchNode(ctx, filter, { monitorOwned: true });
  // Another backup's filter may be between the two by now.
  const kept = below(nodeOf(ctx.q, filter)) ?? source;
  replaceNode(ctx, filter, kept);
  removeUser(ctx, kept, 'node', filter);
  const { trackedBy } = nodeOf(ctx.q, source);
  patchNode(ctx, source, { trackedBy: trackedBy.filter(id => id !== job.id) });
  if (ctx.profile.jobsHaveBackend) {
    // The job keeps its filter, over nothing but the target, until it is dismissed.
    const children = nodeOf(ctx.q, filter).children.filter(({ role }) => role === 'target');
    patchNode(ctx, filter, { children, monitorOwned: false });
    return;
  }
  removeUser(ctx, target, 'node', filter);
  release(ctx, job.id);
  ctx.q.edit('nodes').delete(filter);
}
