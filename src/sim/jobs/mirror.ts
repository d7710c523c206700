/**
 * The mirror job, also as active commit: how it starts, with the filter above the source and the dirty bitmap
 * (block/mirror.c of 7.2). Which disks may be mirrored is decided by the commands, in `mirror-commands.ts`.
 */

import {
  addMainUser,
  addUser,
  automaticName,
  below,
  childOf,
  nodeEdge,
  patchNode,
  replaceNode,
  skipFilters,
} from '../graph/graph.ts';
import { allocatedAbove, sizeOf } from '../graph/image-io.ts';
import { checkPermissions } from '../graph/permissions.ts';
import { covered, EMPTY, type Extents, granules, put } from '../host/contents.ts';
import { type Context, nodeOf, type Track } from '../state/context.ts';
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
import { rate } from './job-progress.ts';
import { startJob, withdraw } from './jobs.ts';
import { zero } from './mirror-job.ts';

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

const SHARE_READ_WRITE = CONSISTENT_READ | WRITE | WRITE_UNCHANGED | GRAPH_MOD;

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
    const type = request.commit ? 'commit' : 'mirror';
    addMainUser(ctx, filter, { id, type }, { perm: CONSISTENT_READ, shared: SHARE_READ_WRITE });
    addJobUser(ctx, request, source, 'source', 0, SHARE_READ_WRITE & ~GRAPH_MOD);
    addJobUser(ctx, request, target, 'target', 0, ALL_PERMISSIONS);
    for (const name of between)
      addJobUser(ctx, request, name, 'intermediate node', 0, sharedBetween(ctx, name, target));
    checkPermissions(ctx, [filter, source, target, ...between]);
  } catch (refusal) {
    if (refusal instanceof Refusal) withdraw(ctx, id);
    throw refusal;
  }
  for (const name of [filter, source, target, ...between])
    block(ctx, name, id, request.commit ? 'commit' : 'mirror');
  if (request.commit)
    for (const name of [filter, source, ...between]) patchNode(ctx, name, { frozenBy: [id] });
  const tracker = ctx.profile.mirrorFilterTracks ? filter : source;
  patchNode(ctx, tracker, { trackedBy: [...nodeOf(ctx.q, tracker).trackedBy, id] });
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
  ctx.q.edit('nodes').set(
    name,
    new BlockNode({
      name,
      driver: 'mirror_top',
      implicit: filterName === undefined,
      job: request.id,
      lenient: !ctx.profile.mirrorNeedsAll,
      commits: request.commit,
      children: [{ role: 'backing', child: source }],
      serial: ctx.q.serial++,
    }),
  );
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
  { source, target, commit, opensTarget }: MirrorRequest,
): { perm: number; shared: number } {
  const resize =
    commit && sizeOf(ctx, nodeOf(ctx.q, target)) < sizeOf(ctx, nodeOf(ctx.q, source)) ? RESIZE : 0;
  const shared = commit ? SHARE_READ_WRITE : WRITE_UNCHANGED;
  const graph = opensTarget && ctx.profile.hasGraphMod ? GRAPH_MOD : 0;
  return { perm: WRITE | resize | graph, shared };
}

/**
 * What a commit shares of a node between top and base: not consistent reads, for the base changes below it, unless the
 * node is only a filter over the base.
 */
export function sharedBetween(ctx: Context, name: string, base: string): number {
  const isFilterOfBase = skipFilters(ctx, name).name === skipFilters(ctx, base).name;
  return WRITE | WRITE_UNCHANGED | (isFilterOfBase ? CONSISTENT_READ : 0);
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
