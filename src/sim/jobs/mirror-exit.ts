/**
 * The end of a mirror: the pivot, if it is wanted and still possible, and the filter out of the graph
 * (mirror_exit_common(), block/mirror.c of 7.2).
 */

import {
  addUser,
  below,
  childOf,
  nodeEdge,
  patchNode,
  reap,
  removeUser,
  replaceNode,
  setChild,
  setReadOnly,
} from '../graph/graph.ts';
import { holdNodes } from '../graph/hold-nodes.ts';
import { imageOf } from '../graph/image-io.ts';
import { fileOptions, openNode } from '../graph/open-node.ts';
import { checkPermissions } from '../graph/permissions.ts';
import { type Context, nodeOf } from '../state/context.ts';
import type { Job } from '../state/job.ts';
import { Refusal } from '../state/refusal.ts';
import { ALL_PERMISSIONS, type BlockNode } from '../state/state.ts';
import { release } from './jobs.ts';

/** mirror_exit_common(): the pivot if it is wanted, then the filter goes. Gives the error of a refused pivot. */
export function exitMirror(ctx: Context, job: Job, pivot: boolean): string | undefined {
  if (job.work.kind !== 'mirror') return undefined;
  const { source, target } = job.work;
  return holdNodes(ctx, [source, target], () => exitHeld(ctx, job, job.work, pivot));
}

function exitHeld(ctx: Context, job: Job, work: Job['work'], pivot: boolean): string | undefined {
  if (work.kind !== 'mirror') return undefined;
  const { source, filter, target, replaces, opensTarget, backing } = work;
  removeUser(ctx, target, 'blk', job.id);
  // Referred to until the end of this, whatever else lets go of it.
  patchNode(ctx, filter, { stopped: true, monitorOwned: true });
  let refused: string | undefined;
  if (pivot) {
    const replaced = replaces ?? source;
    refused = opensTarget ? restoreBacking(ctx, target, backing) : undefined;
    if (refused !== undefined) {
      // QEMU refuses that at complete already (mirror_complete(), block/mirror.c); the job ends without a pivot here.
    } else if (ctx.jobFault(job)?.refusePivot === true || !canReplace(ctx, source, replaced)) {
      refused = 'Operation not permitted';
    } else {
      refused = replaceChecked(ctx, replaced, target);
    }
  }
  release(ctx, job.id);
  // The job had a reference to what it replaced: without one of the monitor's that goes with it.
  if (replaces !== undefined) reap(ctx, replaces);
  const kept = childOf(nodeOf(ctx.q, filter), 'backing');
  if (kept !== undefined) {
    replaceNode(ctx, filter, kept);
    removeUser(ctx, kept, 'node', filter);
  }
  if (ctx.profile.jobsHaveBackend && kept !== undefined) {
    // The job's backend returns to its filter, which is thus there until the job is dismissed.
    addUser(ctx, kept, nodeEdge(filter, 'backing'));
    addUser(ctx, filter, { kind: 'blk', parent: job.id, role: 'root', perm: 0, shared: ALL_PERMISSIONS });
    patchNode(ctx, filter, { monitorOwned: false });
    return refused;
  }
  ctx.q.edit('nodes').delete(filter);
  return refused;
}

/** Replaces, or puts everything back and says why not. */
function replaceChecked(ctx: Context, replaced: string, target: string): string | undefined {
  const before = new Map(ctx.q.nodes);
  const backends = new Map(ctx.q.backends);
  const exports = new Map(ctx.q.exports);
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
    const node: BlockNode | undefined = ctx.q.nodes.get(next);
    next = node?.isFilter === true ? below(node) : undefined;
  }
  return false;
}

/** drive-mirror opened its target without a backing file and attaches it at the end. */
function restoreBacking(ctx: Context, target: string, backing: string | undefined): string | undefined {
  if (childOf(nodeOf(ctx.q, target), 'backing') !== undefined) return undefined;
  if (backing !== undefined) {
    if (ctx.q.nodes.get(backing) !== undefined) setChild(ctx, target, 'backing', backing);
    return undefined;
  }
  const image = imageOf(ctx, target);
  if (image.backing === undefined) return undefined;
  try {
    openBacking(ctx, target, image.backing, image.backingFormat ?? 'raw');
    return undefined;
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    return refusal.desc;
  }
}

function openBacking(ctx: Context, target: string, path: string, format: string): void {
  const opened = openNode(ctx, fileOptions(path, format), {
    readOnly: true,
    inherits: true,
  });
  setChild(ctx, target, 'backing', opened.name);
}
