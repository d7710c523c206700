/**
 * The mirror job, also as active commit: the filter above the source, the dirty bitmap, READY, and the pivot
 * (block/mirror.c of 7.2). Which disks may be mirrored is decided by the commands, in `mirror-commands.ts`.
 */

import {
  covered,
  EMPTY,
  type Extents,
  firstBytes,
  granules,
  minus,
  put,
  slice,
  withData,
} from './contents.ts';
import type { Context, Track } from './context.ts';
import { nodeOf } from './context.ts';
import {
  addUser,
  automaticName,
  below,
  childOf,
  nodeEdge,
  patchNode,
  removeUser,
  replaceNode,
  setChild,
  setReadOnly,
} from './graph.ts';
import { allocatedAbove, copyRanges, flushNode, imageOf, pathOf, readNode, sizeOf } from './image-io.ts';
import {
  blockEvent,
  enter,
  type JobDriver,
  rate,
  registerDriver,
  release,
  startJob,
  task,
  withdraw,
  workDone,
  workFailed,
} from './jobs.ts';
import { fileOptions, openNode } from './open-node.ts';
import { checkPermissions } from './permissions.ts';
import { Refusal } from './refusal.ts';
import {
  ALL_PERMISSIONS,
  type BlockNode,
  CONSISTENT_READ,
  type Job,
  newNode,
  RESIZE,
  WRITE,
  WRITE_UNCHANGED,
} from './state.ts';

export interface MirrorRequest {
  readonly id: string;
  readonly source: string;
  readonly target: string;
  readonly sync: 'full' | 'top' | 'none';
  readonly replaces: string | undefined;
  readonly filterName: string | undefined;
  readonly speed: number;
  readonly granularity: number;
  readonly writeBlocking: boolean;
  readonly autoFinalize: boolean;
  readonly autoDismiss: boolean;
  readonly commit: boolean;
  readonly baseWasReadOnly: boolean;
  readonly opensTarget: boolean;
  /** Everything counts as unknown on the target: zero it first, or copy it all. */
  readonly zeroesTarget: boolean;
  readonly backing: string | undefined;
  readonly onTargetError: string;
  readonly onSourceError: string;
}

const CLUSTER_BYTES = 65_536;
/** A bulk copy is seen at this many points. */
const SLICES = 4;
const NEVER_READY_POLL_MS = 50;
const SHARE_READ_WRITE = CONSISTENT_READ | WRITE | WRITE_UNCHANGED;

/** Puts the filter in, blocks the nodes and starts; on a refusal the job was created and is gone again. */
export function startMirror(ctx: Context, request: MirrorRequest): void {
  const { id, source, target } = request;
  const backing = below(nodeOf(ctx.q, source));
  const between: string[] = [];
  if (request.commit) {
    for (let next = backing; next !== undefined && next !== target; next = below(nodeOf(ctx.q, next))) {
      between.push(next);
    }
  }
  const filter = insertFilter(ctx, request);
  try {
    addUser(ctx, target, { kind: 'blk', parent: id, role: 'root', ...targetNeeds(ctx, request) });
    addJobUser(ctx, request, filter, 'main node', CONSISTENT_READ, SHARE_READ_WRITE);
    addJobUser(ctx, request, source, 'source', 0, SHARE_READ_WRITE);
    addJobUser(ctx, request, target, 'target', 0, ALL_PERMISSIONS);
    for (const name of between)
      addJobUser(ctx, request, name, 'intermediate node', 0, WRITE | WRITE_UNCHANGED);
    checkPermissions(ctx, [filter, source, target, ...between]);
  } catch (refusal) {
    if (refusal instanceof Refusal) withdraw(ctx, id);
    throw refusal;
  }
  for (const name of [filter, source, target, ...between])
    block(ctx, name, id, request.commit ? 'commit' : 'mirror');
  if (request.commit)
    for (const name of [filter, source, ...between]) patchNode(ctx, name, { frozenBy: [id] });
  patchNode(ctx, source, { trackedBy: [...nodeOf(ctx.q, source).trackedBy, id] });
  const base = request.commit ? target : request.sync === 'top' ? backingBelow(ctx, source) : undefined;
  startJob(ctx, {
    id,
    type: request.commit ? 'commit' : 'mirror',
    speed: request.speed,
    autoFinalize: request.autoFinalize,
    autoDismiss: request.autoDismiss,
    work: {
      kind: 'mirror',
      source,
      filter,
      target,
      replaces: request.replaces,
      commit: request.commit,
      base,
      baseWasReadOnly: request.baseWasReadOnly,
      between,
      writeBlocking: request.writeBlocking,
      granularity: request.granularity,
      backing: request.backing,
      opensTarget: request.opensTarget,
      onTargetError: request.onTargetError,
      onSourceError: request.onSourceError,
    },
  });
  const dirty = firstDirty(ctx, request, base);
  if (request.zeroesTarget && canZero(ctx, target)) zero(ctx, source, target);
  const track: Track = {
    dirty,
    offset: 0,
    len: covered(dirty),
    bytesPerMs: rate(ctx, request.speed),
    synced: false,
  };
  ctx.onSuccess(() => ctx.tracks.set(id, track));
}

function insertFilter(ctx: Context, request: MirrorRequest): string {
  const { source, filterName } = request;
  const name = filterName ?? automaticName(ctx);
  ctx.q.edit('nodes')[name] = newNode({
    name,
    driver: 'mirror_top',
    implicit: filterName === undefined,
    job: request.id,
    commits: request.commit,
    children: [{ role: 'backing', child: source }],
    readOnly: nodeOf(ctx.q, source).readOnly,
    serial: ctx.q.serial++,
  });
  addUser(ctx, source, nodeEdge(name, 'backing'));
  replaceNode(ctx, source, name);
  return name;
}

function addJobUser(
  ctx: Context,
  request: MirrorRequest,
  node: string,
  role: string,
  perm: number,
  shared: number,
): void {
  const jobType = request.commit ? 'commit' : 'mirror';
  addUser(ctx, node, { kind: 'job', parent: request.id, jobType, role, perm, shared });
}

function block(ctx: Context, name: string, job: string, type: string): void {
  patchNode(ctx, name, {
    blockedBy: [...nodeOf(ctx.q, name).blockedBy, { job, type, serial: ctx.q.serial++ }],
  });
}

function targetNeeds(
  ctx: Context,
  { source, target, commit }: MirrorRequest,
): { perm: number; shared: number } {
  const resize =
    commit && sizeOf(ctx, nodeOf(ctx.q, target)) < sizeOf(ctx, nodeOf(ctx.q, source)) ? RESIZE : 0;
  const shared = commit ? CONSISTENT_READ | WRITE | WRITE_UNCHANGED : WRITE_UNCHANGED;
  return { perm: WRITE | resize, shared };
}

/** The backing node below the filters and the image at `name`. */
export function backingBelow(ctx: Context, name: string): string | undefined {
  let node = nodeOf(ctx.q, name);
  for (let next = below(node); node.isFilter && next !== undefined; next = below(node))
    node = nodeOf(ctx.q, next);
  return childOf(node, 'backing');
}

function firstDirty(ctx: Context, request: MirrorRequest, base: string | undefined): Extents {
  if (request.sync === 'none') return EMPTY;
  const size = sizeOf(ctx, nodeOf(ctx.q, request.source));
  if (request.zeroesTarget && !canZero(ctx, request.target)) return put(EMPTY, 0, size, 1);
  return granules(allocatedAbove(ctx, request.source, base), request.granularity, size);
}

/** Zeroes are written without taking space, when the target was opened with discard. */
function canZero(ctx: Context, target: string): boolean {
  return nodeOf(ctx.q, target).unmap || ctx.profile.countsDataOnly;
}

const mirror: JobDriver = {
  completes: true,
  holds: 'untilConcluded',

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
      const idleMs = copied === 0 ? NEVER_READY_POLL_MS : 0;
      ctx.later(Math.max(ctx.timing.queryMs, copied / track.bytesPerMs, idleMs), task(job, 'work'));
      return;
    }
    flushNode(ctx, job.work.target);
    track.synced = true;
    enter(ctx, job.id, 'ready');
    blockEvent(ctx, job.id, 'BLOCK_JOB_READY');
  },

  prepare(ctx, job) {
    return exit(ctx, job, job.completeAsked);
  },

  abort(ctx, job) {
    exit(ctx, job, false);
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
function zero(ctx: Context, source: string, target: string): void {
  const path = pathOf(ctx.q, target);
  const image = imageOf(ctx, target);
  if (sizeOf(ctx, nodeOf(ctx.q, source)) !== sizeOf(ctx, nodeOf(ctx.q, target))) return;
  const zeroes = put(EMPTY, 0, image.sizeBytes, 0);
  if (path !== undefined) ctx.host.write(path, { ...image, contents: zeroes });
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
  const path = pathOf(ctx.q, job.work.target);
  if (targetSize < size && path !== undefined) {
    ctx.host.write(path, { ...imageOf(ctx, job.work.target), sizeBytes: size });
  }
  return undefined;
}

function failWriting(ctx: Context, job: Job, error: string): void {
  ctx.emit('BLOCK_JOB_ERROR', { device: job.id, operation: 'write', action: 'report' });
  workFailed(ctx, job.id, error);
}

/** mirror_exit_common(): the pivot if it is wanted, then the filter goes. Gives the error of a refused pivot. */
function exit(ctx: Context, job: Job, pivot: boolean): string | undefined {
  if (job.work.kind !== 'mirror') return undefined;
  const { source, filter, target, replaces, opensTarget, backing } = job.work;
  removeUser(ctx, target, 'blk', job.id);
  // Referred to until the end of this, whatever else lets go of it.
  patchNode(ctx, filter, { stopped: true, monitorOwned: true });
  let refused: string | undefined;
  if (pivot) {
    const replaced = replaces ?? source;
    if (opensTarget) restoreBacking(ctx, target, backing);
    if (ctx.jobFault(job)?.refusePivot === true || !canReplace(ctx, source, replaced)) {
      refused = 'Operation not permitted';
    } else {
      refused = replaceChecked(ctx, replaced, target);
    }
  }
  release(ctx, job.id);
  const kept = childOf(nodeOf(ctx.q, filter), 'backing');
  if (kept !== undefined) {
    replaceNode(ctx, filter, kept);
    removeUser(ctx, kept, 'node', filter);
  }
  delete ctx.q.edit('nodes')[filter];
  return refused;
}

/** Replaces, or puts everything back and says why not. */
function replaceChecked(ctx: Context, replaced: string, target: string): string | undefined {
  const before = { ...ctx.q.nodes };
  const backends = { ...ctx.q.backends };
  const exports = { ...ctx.q.exports };
  const { readOnly } = nodeOf(ctx.q, replaced);
  setReadOnly(ctx, target, readOnly);
  try {
    replaceNode(ctx, replaced, target);
    checkPermissions(ctx, [target]);
    return undefined;
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    ctx.q.nodes = before;
    ctx.q.backends = backends;
    ctx.q.exports = exports;
    return 'Operation not permitted';
  }
}

/** bdrv_recurse_can_replace(): only through filters, whose data is the same. */
export function canReplace(ctx: Context, from: string, replaced: string): boolean {
  for (let next: string | undefined = from; next !== undefined; ) {
    if (next === replaced) return true;
    const node: BlockNode | undefined = ctx.q.nodes[next];
    next = node?.isFilter === true ? below(node) : undefined;
  }
  return false;
}

/** drive-mirror opened its target without a backing file and attaches it at the end. */
function restoreBacking(ctx: Context, target: string, backing: string | undefined): void {
  if (childOf(nodeOf(ctx.q, target), 'backing') !== undefined) return;
  if (backing !== undefined) {
    if (ctx.q.nodes[backing] !== undefined) setChild(ctx, target, 'backing', backing);
    return;
  }
  const image = imageOf(ctx, target);
  if (image.backing === undefined) return;
  const opened = openNode(ctx, fileOptions(image.backing, image.backingFormat ?? 'raw'), {
    readOnly: true,
    inherits: true,
  });
  setChild(ctx, target, 'backing', opened.name);
}
