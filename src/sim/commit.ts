/**
 * block-commit: an active one is a mirror into the base; one further down copies into the base and drops what was above
 * (block/commit.c, qmp_block_commit() of 7.2).
 */

import type { Json } from '../qmp/transport.ts';
import { covered, EMPTY, granules } from './contents.ts';
import type { Arguments, Context } from './context.ts';
import { lookupNode, nodeOf } from './context.ts';
import {
  addUser,
  automaticName,
  below,
  chain,
  nodeEdge,
  patchNode,
  reap,
  refuseIfBlocked,
  refuseUnlessRoot,
  removeUser,
  replaceNode,
  setReadOnly,
  skipFilters,
} from './graph.ts';
import { allocatedAbove, copyRanges, flushNode, imageOf, pathOf, sizeOf } from './image-io.ts';
import {
  type JobDriver,
  rate,
  refuseBadJobId,
  registerDriver,
  release,
  startJob,
  task,
  withdraw,
  workDone,
  workFailed,
} from './jobs.ts';
import { startMirror } from './mirror.ts';
import { checkedSpeed, jobId, makeWritable } from './mirror-commands.ts';
import { setBackingHeader } from './node-commands.ts';
import { refuseBadName } from './open-node.ts';
import { checkPermissions, cumulative } from './permissions.ts';
import { fileName } from './queries.ts';
import { Refusal, refuse } from './refusal.ts';
import {
  ALL_PERMISSIONS,
  type BlockNode,
  CONSISTENT_READ,
  newNode,
  RESIZE,
  WRITE,
  WRITE_UNCHANGED,
} from './state.ts';

const GRANULARITY_BYTES = 65_536;

export function blockCommit(ctx: Context, args: Arguments): Json {
  const device = String(args['device']);
  const root = rootForCommit(ctx, device);
  refuseIfBlocked(ctx, root, 'commitSource');
  const top = topNode(ctx, args, root);
  const base = baseNode(ctx, args, top);
  for (const node of chain(ctx, top.name)) {
    refuseIfBlocked(ctx, node, 'commitTarget');
    if (node.name === base.name) break;
  }
  if (top.name === base.name) refuse('cannot commit an image into itself');
  const isActive = skipFilters(ctx, top.name).name === skipFilters(ctx, root.name).name;
  const hasWriter = (cumulative(ctx.q, top).perm & WRITE) !== 0;
  const filterName = typeof args['filter-node-name'] === 'string' ? args['filter-node-name'] : undefined;
  if (isActive || hasWriter) {
    if (args['backing-file'] !== undefined) {
      refuse(
        `'backing-file' specified, but 'top' ${isActive ? 'is the active layer' : 'has a writer on it'}`,
      );
    }
  }
  const id = jobId(ctx, args['job-id'], root);
  if (filterName !== undefined) refuseBadName(ctx, filterName);
  refuseBadJobId(ctx, id);
  const speed = checkedSpeed(ctx, id, args['speed']);
  const common = {
    id,
    speed,
    autoFinalize: args['auto-finalize'] !== false,
    autoDismiss: args['auto-dismiss'] !== false,
  };
  if (isActive || hasWriter) {
    if (skipFilters(ctx, top.name).name === skipFilters(ctx, base.name).name) {
      refuse("Can't mirror node into itself");
    }
    const baseWasReadOnly = makeWritable(ctx, base.name);
    startMirror(ctx, {
      ...common,
      source: top.name,
      target: base.name,
      sync: 'full',
      replaces: undefined,
      filterName,
      granularity: GRANULARITY_BYTES,
      writeBlocking: false,
      commit: true,
      baseWasReadOnly,
      opensTarget: false,
      zeroesTarget: false,
      backing: undefined,
      onTargetError: String(args['on-error'] ?? 'report'),
      onSourceError: String(args['on-error'] ?? 'report'),
    });
    return {};
  }
  const overlay = chain(ctx, root.name).find(node => below(node) === top.name);
  if (overlay === undefined) refuse(`'${top.name}' is not in this backing file chain`);
  refuseIfBlocked(ctx, overlay, 'commitTarget');
  const backingFile = typeof args['backing-file'] === 'string' ? args['backing-file'] : undefined;
  startCommit(ctx, { ...common, root, overlay, top, base, backingFile, filterName });
  return {};
}

function rootForCommit(ctx: Context, device: string): BlockNode {
  const known =
    ctx.q.nodes[device] !== undefined ||
    Object.values(ctx.q.backends).some(backend => backend.name === device);
  if (!known) refuse(`Device '${device}' not found`, 'DeviceNotFound');
  const node = lookupNode(ctx, device, device);
  refuseUnlessRoot(node);
  return node;
}

function topNode(ctx: Context, args: Arguments, root: BlockNode): BlockNode {
  if (args['top-node'] !== undefined && args['top'] !== undefined) {
    refuse("'top-node' and 'top' are mutually exclusive");
  }
  if (typeof args['top-node'] === 'string') {
    const name = args['top-node'];
    const node = lookupNode(ctx, undefined, name);
    if (!chain(ctx, root.name).some(one => one.name === node.name))
      refuse(`'${name}' is not in this backing file chain`);
    return node;
  }
  if (typeof args['top'] === 'string') {
    const file = args['top'];
    return (
      chain(ctx, root.name).find(node => fileName(ctx, node) === file || pathOf(ctx.q, node.name) === file) ??
      refuse(`Top image file ${file} not found`)
    );
  }
  return root;
}

function baseNode(ctx: Context, args: Arguments, top: BlockNode): BlockNode {
  if (args['base-node'] !== undefined && args['base'] !== undefined) {
    refuse("'base-node' and 'base' are mutually exclusive");
  }
  const under = chain(ctx, top.name);
  if (typeof args['base-node'] === 'string') {
    const name = args['base-node'];
    const node = lookupNode(ctx, undefined, name);
    if (!under.some(one => one.name === node.name)) refuse(`'${name}' is not in this backing file chain`);
    return node;
  }
  if (typeof args['base'] === 'string') {
    const file = args['base'];
    return (
      under.slice(1).find(node => fileName(ctx, node) === file || pathOf(ctx.q, node.name) === file) ??
      refuse(`Can't find '${file}' in the backing chain`)
    );
  }
  return under.at(-1) ?? top;
}

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

function startCommit(ctx: Context, request: CommitRequest): void {
  const { id, top, base, overlay, root } = request;
  const baseWasReadOnly = makeWritable(ctx, base.name);
  const filter = request.filterName ?? automaticName(ctx);
  ctx.q.edit('nodes')[filter] = newNode({
    name: filter,
    driver: 'commit_top',
    implicit: request.filterName === undefined,
    job: id,
    children: [{ role: 'backing', child: top.name }],
    readOnly: true,
    serial: ctx.q.serial++,
  });
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
    use(root.name, 'main node', 0, ALL_PERMISSIONS);
    for (const name of between) use(name, 'intermediate node', 0, WRITE | WRITE_UNCHANGED);
    use(base.name, 'base', 0, ALL_PERMISSIONS);
    addUser(ctx, base.name, {
      kind: 'blk',
      parent: id,
      role: 'root',
      perm: CONSISTENT_READ | WRITE | resize,
      shared: CONSISTENT_READ | WRITE_UNCHANGED,
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
    const fault = ctx.jobFault(job);
    const done = track.len === 0 ? 100 : (100 * track.offset) / track.len;
    if (fault?.failAtPercent !== undefined && done >= fault.failAtPercent) {
      workFailed(ctx, job.id, fault.error ?? 'Input/output error');
      return;
    }
    if (fault?.neverReady === true && track.offset > 0) {
      ctx.later(NEVER_DONE_POLL_MS, task(job, 'work'));
      return;
    }
    if (track.offset < track.len) {
      const { top, base } = job.work;
      const size = sizeOf(ctx, nodeOf(ctx.q, top));
      const all = granules(allocatedAbove(ctx, top, base), GRANULARITY_BYTES, size);
      growBase(ctx, base, size);
      copyRanges(ctx, top, base, all);
      const step = Math.ceil(track.len / HALVES);
      track.offset = Math.min(track.len, track.offset + step);
      const ms = Math.max(ctx.timing.queryMs, covered(all) / HALVES / track.bytesPerMs);
      ctx.later(ms, task(job, 'work'));
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
    removeUser(ctx, base, 'blk', job.id);
    release(ctx, job.id);
    replaceNode(ctx, filter, top);
    removeUser(ctx, top, 'node', filter);
    delete ctx.q.edit('nodes')[filter];
    if (baseWasReadOnly) setReadOnly(ctx, base, true);
  },
};

const NEVER_DONE_POLL_MS = 50;

registerDriver('commit', commit);

function growBase(ctx: Context, base: string, sizeBytes: number): void {
  const path = pathOf(ctx.q, base);
  const image = imageOf(ctx, base);
  if (path !== undefined && image.sizeBytes < sizeBytes) ctx.host.write(path, { ...image, sizeBytes });
}
