/** block-stream: pulls what is below into a node and cuts the chain there (block/stream.c of 7.2). */

import type { Json } from '../../qmp/transport.ts';
import { setBackingHeader } from '../graph/backing-header.ts';
import { fileName } from '../graph/file-name.ts';
import {
  addMainUser,
  addUser,
  automaticName,
  below,
  chain,
  nodeEdge,
  patchNode,
  refuseIfBlocked,
  removeUser,
  replaceNode,
  setChild,
  setReadOnly,
  skipFilters,
} from '../graph/graph.ts';
import { allocatedAbove, copyRanges, flushNode, ownContents, pathOf, sizeOf } from '../graph/image-io.ts';
import { makeWritable } from '../graph/make-writable.ts';
import { refuseBadName } from '../graph/open-node.ts';
import { checkPermissions, tryReadOnly } from '../graph/permissions.ts';
import { covered, EMPTY, granules, minus, slice } from '../host/contents.ts';
import type { Arguments } from '../state/arguments.ts';
import { type Context, lookupNode, nodeOf } from '../state/context.ts';
import type { Job } from '../state/job.ts';
import { Death, Refusal, refuse } from '../state/refusal.ts';
import {
  ALL_PERMISSIONS,
  BlockNode,
  CONSISTENT_READ,
  GRAPH_MOD,
  WRITE,
  WRITE_UNCHANGED,
} from '../state/state.ts';
import { failWriting, isHeldUp } from './held-up.ts';
import { checkedSpeed, jobId } from './job-arguments.ts';
import { rate, timeFor } from './job-progress.ts';
import {
  type JobDriver,
  refuseBadJobId,
  registerDriver,
  startJob,
  task,
  withdraw,
  workDone,
} from './jobs.ts';
import { backingBelow } from './mirror.ts';

const GRANULARITY_BYTES = 65_536;
const STEPS = 4;
export function blockStream(ctx: Context, args: Arguments): Json {
  const isModern = ctx.profile.version.major >= 6;
  if (isModern) refuseTwoBases(args);
  const device = String(args['device']);
  const node = lookupNode(ctx, device, device);
  if (!isModern) refuseTwoBases(args);
  const base = baseNode(ctx, args, node);
  for (const one of chain(ctx, node.name)) {
    if (one.name === base?.name) break;
    refuseIfBlocked(ctx, one, 'stream');
  }
  const backingFile = typeof args['backing-file'] === 'string' ? args['backing-file'] : undefined;
  if (base === undefined && backingFile !== undefined) {
    refuse('backing file specified, but streaming the entire chain');
  }
  if (base !== undefined && skipFilters(ctx, base.name).name === skipFilters(ctx, node.name).name) {
    refuse(`'${base.name}' is not in the backing chain of '${node.name}'`);
  }
  const filterName = typeof args['filter-node-name'] === 'string' ? args['filter-node-name'] : undefined;
  if (filterName !== undefined) refuseBadName(ctx, filterName);
  const id = jobId(ctx, args['job-id'], node);
  refuseBadJobId(ctx, id);
  const speed = checkedSpeed(ctx, id, args['speed']);
  startStream(ctx, args, { id, node: node.name, base: base?.name, backingFile, speed, filterName });
  return {};
}

function refuseTwoBases(args: Arguments): void {
  const given = ['base', 'base-node', 'bottom'].filter(name => args[name] !== undefined);
  if (given.length > 1) refuse(`'${given[0]}' and '${given[1]}' cannot be specified at the same time`);
}

function baseNode(ctx: Context, args: Arguments, node: BlockNode): BlockNode | undefined {
  const under = chain(ctx, node.name).slice(1);
  if (typeof args['base'] === 'string') {
    const file = args['base'];
    return (
      under.find(one => fileName(ctx, one) === file || pathOf(ctx.q, one.name) === file) ??
      refuse(`Can't find '${file}' in the backing chain`)
    );
  }
  if (typeof args['base-node'] === 'string') {
    const name = args['base-node'];
    const base = lookupNode(ctx, undefined, name);
    if (!under.some(one => one.name === base.name)) {
      refuse(`Node '${name}' is not a backing image of '${node.name}'`);
    }
    return base;
  }
  if (typeof args['bottom'] === 'string') {
    const name = args['bottom'];
    const bottom = lookupNode(ctx, undefined, name);
    if (!chain(ctx, node.name).some(one => one.name === bottom.name)) {
      refuse(`Node '${name}' is not in a chain starting from '${node.name}'`);
    }
    const next = below(bottom);
    return next === undefined ? undefined : nodeOf(ctx.q, next);
  }
  return undefined;
}

interface StreamRequest {
  readonly id: string;
  readonly node: string;
  readonly base: string | undefined;
  readonly backingFile: string | undefined;
  readonly speed: number;
  readonly filterName: string | undefined;
}

function startStream(ctx: Context, args: Arguments, request: StreamRequest): void {
  const { id, node, base } = request;
  const between: string[] = [];
  for (
    let next = below(nodeOf(ctx.q, node));
    next !== undefined && next !== base;
    next = below(nodeOf(ctx.q, next))
  ) {
    between.push(next);
  }
  const wasReadOnly = makeWritable(ctx, node);
  const basic = CONSISTENT_READ | WRITE_UNCHANGED;
  const use = (name: string, role: string, perm: number, shared: number): void =>
    addUser(ctx, name, { kind: 'job', parent: id, jobType: 'stream', role, perm, shared });
  const filter = ctx.profile.streamHasFilter ? insertFilter(ctx, request) : node;
  let isBegun = false;
  try {
    if (ctx.profile.streamHasFilter) {
      use(filter, 'main node', 0, ALL_PERMISSIONS);
      addUser(ctx, filter, {
        kind: 'blk',
        parent: id,
        role: 'root',
        perm: CONSISTENT_READ,
        shared: basic | WRITE,
      });
      use(node, 'active node', 0, basic | WRITE);
    } else {
      addMainUser(ctx, node, { id, type: 'stream' }, { perm: basic | GRAPH_MOD, shared: basic | WRITE });
    }
    if (!ctx.profile.streamHasFilter) checkPermissions(ctx, [node]);
    isBegun = true;
    for (const name of between) use(name, 'intermediate node', 0, basic);
    checkPermissions(ctx, [filter, node, ...between]);
  } catch (refusal) {
    if (refusal instanceof Refusal) {
      if (isBegun && ctx.profile.diesOnStreamConflict) throw new Death('SIGABRT', refusal.desc);
      withdraw(ctx, id);
    }
    throw refusal;
  }
  for (const name of new Set([filter, node, ...between])) {
    patchNode(ctx, name, {
      blockedBy: [...nodeOf(ctx.q, name).blockedBy, { job: id, type: 'stream', serial: ctx.q.serial++ }],
    });
  }
  for (const name of [node, ...between])
    patchNode(ctx, name, { frozenBy: [...nodeOf(ctx.q, name).frozenBy, id] });
  startJob(ctx, {
    id,
    type: 'stream',
    speed: request.speed,
    autoFinalize: args['auto-finalize'] !== false,
    autoDismiss: args['auto-dismiss'] !== false,
    work: { kind: 'stream', node, base, between, backingFile: request.backingFile, wasReadOnly },
  });
  const under = backingBelow(ctx, node);
  const len = under === undefined || under === base ? 0 : sizeOf(ctx, nodeOf(ctx.q, node));
  ctx.onSuccess(() =>
    ctx.tracks.set(id, { dirty: EMPTY, offset: 0, len, bytesPerMs: rate(ctx, request.speed), synced: false }),
  );
}

function insertFilter(ctx: Context, { id, node, filterName }: StreamRequest): string {
  const filter = filterName ?? automaticName(ctx);
  ctx.q.edit('nodes').set(
    filter,
    new BlockNode({
      name: filter,
      driver: 'copy-on-read',
      implicit: filterName === undefined,
      job: id,
      children: [{ role: 'file', child: node }],
      serial: ctx.q.serial++,
    }),
  );
  addUser(ctx, node, nodeEdge(filter, 'file'));
  replaceNode(ctx, node, filter);
  return filter;
}

const stream: JobDriver = {
  completes: false,
  holds: 'untilDismissed',
  work(ctx, job) {
    const track = ctx.tracks.get(job.id);
    if (job.work.kind !== 'stream' || track === undefined || job.userPaused) return;
    if (isHeldUp(ctx, job, track, failWriting)) return;
    if (track.offset < track.len) {
      const bytes = pull(ctx, job, track.offset, track.offset + Math.ceil(track.len / STEPS));
      track.offset = Math.min(track.len, track.offset + Math.ceil(track.len / STEPS));
      track.paidBytes = bytes;
      ctx.later(timeFor(ctx, track), task(job, 'work'));
      return;
    }
    flushNode(ctx, job.work.node);
    workDone(ctx, job.id);
  },
  prepare(ctx, job) {
    if (job.work.kind !== 'stream') return undefined;
    const { node, base, between, backingFile, wasReadOnly } = job.work;
    dropFilter(ctx, job);
    const header = base === undefined ? undefined : (backingFile ?? fileName(ctx, nodeOf(ctx.q, base)));
    const format = base === undefined ? undefined : nodeOf(ctx.q, base).driver;
    setChild(ctx, node, 'backing', base);
    setBackingHeader(ctx, node, header, format);
    flushNode(ctx, node);
    if (wasReadOnly) backToReadOnly(ctx, job, node);
    if (base !== undefined && between.length > 0 && ctx.profile.streamLeavesBaseWritable)
      setReadOnly(ctx, base, false);
    return undefined;
  },
  abort(ctx, job) {
    if (job.work.kind !== 'stream') return;
    dropFilter(ctx, job);
    if (job.work.wasReadOnly) backToReadOnly(ctx, job, job.work.node);
  },
};

registerDriver('stream', stream);

/** From 10.0 on this fails, for the filter is still there and writes. */
function backToReadOnly(ctx: Context, job: Job, node: string): void {
  if (ctx.profile.jobsHaveBackend) {
    const edges = nodeOf(ctx.q, node).parents.map(edge =>
      edge.kind === 'blk' && edge.parent === job.id ? { ...edge, perm: 0, shared: ALL_PERMISSIONS } : edge,
    );
    patchNode(ctx, node, { parents: edges });
  }
  tryReadOnly(ctx, node);
}

/** Copies up what lies below and is not yet in the node itself. */
function pull(ctx: Context, job: Job, start: number, end: number): number {
  if (job.work.kind !== 'stream') return 0;
  const { node, base } = job.work;
  const under = below(nodeOf(ctx.q, node));
  if (under === undefined) return 0;
  const size = sizeOf(ctx, nodeOf(ctx.q, node));
  const own = ownContents(ctx, nodeOf(ctx.q, node));
  const lower = granules(allocatedAbove(ctx, under, base), GRANULARITY_BYTES, size);
  const inside = slice(minus(lower, own), start, end);
  copyRanges(ctx, node, node, inside);
  return covered(inside);
}

function dropFilter(ctx: Context, job: Job): void {
  if (job.work.kind !== 'stream') return;
  const { node } = job.work;
  for (const edge of nodeOf(ctx.q, node).parents) {
    const parent = edge.kind === 'node' ? ctx.q.nodes.get(edge.parent) : undefined;
    if (parent?.job !== job.id) continue;
    removeUser(ctx, parent.name, 'blk', job.id);
    replaceNode(ctx, parent.name, node);
    if (!ctx.profile.diesOnConcludedStream) return;
    removeUser(ctx, node, 'node', parent.name);
    patchNode(ctx, parent.name, { children: [] });
    return;
  }
}
