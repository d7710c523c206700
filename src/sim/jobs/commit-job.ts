/**
 * A commit further down a chain: copies into the base and drops what was above (block/commit.c of 7.2). An active commit is
 * a mirror.
 */

import { setBackingHeader } from '../graph/backing-header.ts';
import { fileName } from '../graph/file-name.ts';
import {
  addMainUser,
  addUser,
  automaticName,
  below,
  nodeEdge,
  patchNode,
  reap,
  removeUser,
  replaceNode,
  setReadOnly,
} from '../graph/graph.ts';
import { holdNodes } from '../graph/hold-nodes.ts';
import { allocatedAbove, copyRanges, flushNode, imageOf, putImage, sizeOf } from '../graph/image-io.ts';
import { makeWritable } from '../graph/make-writable.ts';
import { checkPermissions } from '../graph/permissions.ts';
import { covered, EMPTY, granules } from '../host/contents.ts';
import { type Context, nodeOf } from '../state/context.ts';
import { Refusal } from '../state/refusal.ts';
import {
  ALL_PERMISSIONS,
  BlockNode,
  CONSISTENT_READ,
  GRAPH_MOD,
  RESIZE,
  WRITE,
  WRITE_UNCHANGED,
} from '../state/state.ts';
import { isHeldUp } from './held-up.ts';
import { rate, timeFor } from './job-progress.ts';
import {
  type JobDriver,
  registerDriver,
  release,
  startJob,
  task,
  withdraw,
  workDone,
  workFailed,
} from './jobs.ts';
import { sharedBetween } from './mirror.ts';

const GRANULARITY_BYTES = 65_536;

interface CommitRequest {
  readonly id: string;
  readonly speed: number;
  readonly autoFinalize: boolean;
  readonly autoDismiss: boolean;
  readonly root: BlockNode;
  readonly overlay: BlockNode;
  readonly top: BlockNode;
  readonly base: BlockNode;
  readonly backingFile: string | undefined;
  readonly filterName: string | undefined;
}

export function startCommit(ctx: Context, request: CommitRequest): void {
  const { id, top, base, overlay, root } = request;
  const baseWasReadOnly = makeWritable(ctx, base.name);
  const filter = request.filterName ?? automaticName(ctx);
  ctx.q.edit('nodes').set(
    filter,
    new BlockNode({
      name: filter,
      driver: 'commit_top',
      implicit: request.filterName === undefined,
      job: id,
      children: [{ role: 'backing', child: top.name }],
      readOnly: true,
      serial: ctx.q.serial++,
    }),
  );
  addUser(ctx, top.name, nodeEdge(filter, 'backing'));
  replaceNode(ctx, top.name, filter);
  const between: string[] = [];
  for (let next: string | undefined = top.name; next !== undefined && next !== base.name; ) {
    between.push(next);
    next = below(nodeOf(ctx.q, next));
  }
  const resize = sizeOf(ctx, nodeOf(ctx.q, base.name)) < sizeOf(ctx, top) ? RESIZE : 0;
  const use = (name: string, role: string, perm: number, shared: number): void =>
    addUser(ctx, name, { kind: 'job', parent: id, jobType: 'commit', role, perm, shared });
  try {
    addMainUser(ctx, root.name, { id, type: 'commit' }, { perm: 0, shared: ALL_PERMISSIONS });
    for (const name of between) use(name, 'intermediate node', 0, sharedBetween(ctx, name, base.name));
    use(base.name, 'base', 0, ALL_PERMISSIONS);
    addUser(ctx, base.name, {
      kind: 'blk',
      parent: id,
      role: 'root',
      perm: CONSISTENT_READ | WRITE | resize,
      shared: CONSISTENT_READ | WRITE_UNCHANGED | GRAPH_MOD,
    });
    checkPermissions(ctx, [root.name, filter, base.name]);
  } catch (refusal) {
    if (refusal instanceof Refusal) withdraw(ctx, id);
    throw refusal;
  }
  const blocked = new Set([root.name, ...between, base.name]);
  for (const name of blocked) {
    const node = nodeOf(ctx.q, name);
    patchNode(ctx, name, {
      blockedBy: [...node.blockedBy, { job: id, type: 'commit', serial: ctx.q.serial++ }],
    });
  }
  for (const name of [filter, ...between]) patchNode(ctx, name, { frozenBy: [id] });
  const job = startJob(ctx, {
    id,
    type: 'commit',
    speed: request.speed,
    autoFinalize: request.autoFinalize,
    autoDismiss: request.autoDismiss,
    work: {
      kind: 'commit',
      top: top.name,
      base: base.name,
      filter,
      overlay: overlay.name,
      between,
      backingFile: request.backingFile,
      baseWasReadOnly,
      overlayWasReadOnly: overlay.readOnly,
    },
  });
  const len = sizeOf(ctx, top);
  ctx.onSuccess(() =>
    ctx.tracks.set(job.id, {
      dirty: EMPTY,
      offset: 0,
      len,
      bytesPerMs: rate(ctx, request.speed),
      synced: false,
    }),
  );
}

const HALVES = 2;

const commit: JobDriver = {
  completes: false,
  holds: 'untilDismissedOnSuccess',
  work(ctx, job) {
    const track = ctx.tracks.get(job.id);
    if (job.work.kind !== 'commit' || track === undefined || job.userPaused) return;
    if (isHeldUp(ctx, job, track, (_, { id }, error) => workFailed(ctx, id, error))) return;
    if (track.offset < track.len) {
      const { top, base } = job.work;
      const size = sizeOf(ctx, nodeOf(ctx.q, top));
      const all = granules(allocatedAbove(ctx, top, base), GRANULARITY_BYTES, size);
      growBase(ctx, base, size);
      copyRanges(ctx, top, base, all);
      const step = Math.ceil(track.len / HALVES);
      track.offset = Math.min(track.len, track.offset + step);
      track.paidBytes = covered(all) / HALVES;
      ctx.later(timeFor(ctx, track), task(job, 'work'));
      return;
    }
    flushNode(ctx, job.work.base);
    workDone(ctx, job.id);
  },
  prepare(ctx, job) {
    if (job.work.kind !== 'commit') return undefined;
    const { filter, base, overlay, backingFile, baseWasReadOnly } = job.work;
    const header = backingFile ?? fileName(ctx, nodeOf(ctx.q, base));
    const format = nodeOf(ctx.q, base).driver;
    for (const name of [filter, ...job.work.between]) patchNode(ctx, name, { frozenBy: [] });
    removeUser(ctx, base, 'blk', job.id);
    replaceNode(ctx, filter, base);
    setBackingHeader(ctx, overlay, header, format);
    flushNode(ctx, overlay);
    reap(ctx, filter);
    if (baseWasReadOnly) setReadOnly(ctx, base, true);
    return undefined;
  },
  abort(ctx, job) {
    if (job.work.kind !== 'commit') return;
    const { filter, top, base, baseWasReadOnly } = job.work;
    holdNodes(ctx, [filter, top], () => {
      removeUser(ctx, base, 'blk', job.id);
      release(ctx, job.id);
      replaceNode(ctx, filter, top);
      removeUser(ctx, top, 'node', filter);
      ctx.q.edit('nodes').delete(filter);
      if (baseWasReadOnly) setReadOnly(ctx, base, true);
    });
  },
};

registerDriver('commit', commit);

function growBase(ctx: Context, base: string, sizeBytes: number): void {
  const image = imageOf(ctx, base);
  if (image.sizeBytes < sizeBytes) putImage(ctx, base, { ...image, sizeBytes });
}
