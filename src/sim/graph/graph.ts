/**
 * Changes of the block graph: what uses which node, and when a node goes because nothing does. Checks no permissions:
 * the caller does, once, when its change is complete, as QEMU does (bdrv_replace_node(), bdrv_attach_child(), block.c).
 */

import { type Context, nodeOf } from '../state/context.ts';
import type { Job } from '../state/job.ts';
import { refuse } from '../state/refusal.ts';
import {
  ALL_PERMISSIONS,
  type BlockNode,
  type ChildLink,
  type Edge,
  type ParentKind,
} from '../state/state.ts';
import { claimBitmaps, storeBitmaps } from './stored-bitmaps.ts';

type NodeChanges = Parameters<BlockNode['with']>[0];

export function patchNode(ctx: Context, name: string, changes: NodeChanges): BlockNode {
  const node = nodeOf(ctx.q, name).with(changes);
  ctx.q.edit('nodes').set(name, node);
  return node;
}

/** bdrv_reopen_set_read_only(): reaches the children that were opened with the node. */
export function setReadOnly(ctx: Context, name: string, readOnly: boolean): void {
  const node = ctx.q.nodes.get(name);
  if (node === undefined) return;
  carryBitmaps(ctx, node, readOnly);
  ctx.q.edit('nodes').set(name, node.with(asOpened(ctx, node, readOnly)));
  const file = childOf(node, 'file');
  if (file !== undefined && ctx.q.nodes.get(file)?.inherits === true) setReadOnly(ctx, file, readOnly);
}

/** What is written no more has its bitmaps in the image; what is written again has them in use. */
export function carryBitmaps(ctx: Context, node: BlockNode, isToBeReadOnly: boolean): void {
  if (node.driver !== 'qcow2' || node.readOnly === isToBeReadOnly) return;
  if (isToBeReadOnly) storeBitmaps(ctx, node);
  else ctx.onSuccess(() => claimBitmaps(ctx, node));
}

/** raw_reconfigure_getfd(), block/file-posix.c: with another access mode a file is opened anew, by its name. */
export function asOpened(
  { host }: Context,
  { path, opened, readOnly }: BlockNode,
  isToBe: boolean,
): NodeChanges {
  if (path === undefined || readOnly === isToBe) return { readOnly: isToBe };
  return { readOnly: isToBe, opened: host.files.get(path)?.birth ?? opened };
}

/** A name that QEMU chose: `#block` + counter + two random digits. */
export function automaticName(ctx: Context): string {
  const name = `#block${ctx.q.serial}${String(ctx.chance.below(100)).padStart(2, '0')}`;
  ctx.q.serial += 1;
  return name;
}

/** Adds a user; users that are not nodes say what they need and share. */
export function addUser(ctx: Context, child: string, edge: Edge): void {
  const node = nodeOf(ctx.q, child);
  const serial = ctx.q.serial++;
  ctx.q.edit('nodes').set(child, node.with({ parents: [{ ...edge, serial }, ...node.parents] }));
}

export function nodeEdge(parent: string, role: ChildLink['role']): Edge {
  return { kind: 'node', parent, role, perm: 0, shared: 0 };
}

/** A job's use of its main node. */
export function addMainUser(
  ctx: Context,
  child: string,
  { id, type }: Pick<Job, 'id' | 'type'>,
  needs: Pick<Edge, 'perm' | 'shared'>,
): void {
  const own = ctx.profile.jobsHaveBackend;
  if (own) addUser(ctx, child, { kind: 'blk', parent: id, role: 'root', ...needs });
  const left = own ? { perm: 0, shared: ALL_PERMISSIONS } : needs;
  addUser(ctx, child, { kind: 'job', parent: id, jobType: type, role: 'main node', ...left });
}

/** Removes a user; the node goes when it was the last one and the monitor does not hold it. */
export function removeUser(
  ctx: Context,
  child: string,
  kind: ParentKind,
  parent: string,
  role?: string,
): void {
  const node = ctx.q.nodes.get(child);
  if (node === undefined) return;
  const parents = node.parents.filter(
    edge => edge.kind !== kind || edge.parent !== parent || (role !== undefined && edge.role !== role),
  );
  ctx.q.edit('nodes').set(child, node.with({ parents }));
  reap(ctx, child);
}

/** Closes a node that nothing refers to any more, and what it alone referred to. */
export function reap(ctx: Context, name: string): void {
  const node = ctx.q.nodes.get(name);
  if (node === undefined || node.monitorOwned || node.parents.length > 0) return;
  storeBitmaps(ctx, node);
  if (node.opened !== undefined) ctx.host.flushFile(node.opened);
  ctx.q.edit('nodes').delete(name);
  for (const link of node.children) removeUser(ctx, link.child, 'node', name, link.role);
}

export function childOf(node: BlockNode, role: ChildLink['role']): string | undefined {
  for (const link of node.children) if (link.role === role) return link.child;
  return undefined;
}

/** Points one of a node's links at another node, or cuts it. */
export function setChild(
  ctx: Context,
  name: string,
  role: ChildLink['role'],
  child: string | undefined,
): void {
  const node = nodeOf(ctx.q, name);
  const old = childOf(node, role);
  if (old === child) return;
  if (child !== undefined) refuseCycle(ctx, name, role, child);
  const others = node.children.filter(link => link.role !== role);
  const children = child === undefined ? others : [...others, { role, child }];
  ctx.q.edit('nodes').set(name, node.with({ children }));
  if (child !== undefined) addUser(ctx, child, nodeEdge(name, role));
  if (old !== undefined) removeUser(ctx, old, 'node', name, role);
}

export function refuseCycle(ctx: Context, parent: string, role: string, child: string): void {
  if (reaches(ctx, child, parent)) {
    refuse(`Making '${child}' a ${role} child of '${parent}' would create a cycle`);
  }
}

/** Whether the graph leads down from one node to another. */
export function reaches(ctx: Context, from: string, to: string): boolean {
  if (from === to) return true;
  return ctx.q.nodes.get(from)?.children.some(link => reaches(ctx, link.child, to)) ?? false;
}

/** All users of `from` use `to` instead: a pivot. Jobs stay where they are, and so do links from `to` itself. */
export function replaceNode(ctx: Context, from: string, to: string): void {
  const stays = (edge: Edge): boolean =>
    edge.kind === 'job' || (edge.kind === 'node' && reaches(ctx, to, edge.parent));
  const old = nodeOf(ctx.q, from);
  for (const edge of old.parents) {
    if (stays(edge)) continue;
    if (edge.kind === 'node') relink(ctx, edge.parent, edge.role as ChildLink['role'], to);
    if (edge.kind === 'backend') {
      const backend = ctx.q.backends.get(edge.parent);
      if (backend !== undefined) ctx.q.edit('backends').set(edge.parent, backend.with(to));
    }
    if (edge.kind === 'export') {
      const block = ctx.q.exports.get(edge.parent);
      if (block !== undefined) ctx.q.edit('exports').set(edge.parent, { ...block, node: to });
    }
    if (edge.kind === 'blk') retarget(ctx, edge.parent, from, to);
    addUser(ctx, to, edge);
  }
  patchNode(ctx, from, { parents: nodeOf(ctx.q, from).parents.filter(stays) });
}

/** A mirror writes to whatever its backend for the target is at. */
function retarget(ctx: Context, id: string, from: string, to: string): void {
  const job = ctx.q.jobs.get(id);
  if (job?.work.kind !== 'mirror' || job.work.target !== from) return;
  ctx.q.edit('jobs').set(id, job.with({ work: { ...job.work, target: to } }));
}

/** A child that is replaced becomes the newest (bdrv_child_cb_attach(), block.c). */
function relink(ctx: Context, parent: string, role: ChildLink['role'], child: string): void {
  const node = nodeOf(ctx.q, parent);
  const children = [...node.children.filter(link => link.role !== role), { role, child }];
  ctx.q.edit('nodes').set(parent, node.with({ children }));
}

/** The node below that carries the guest's data on: a filter's child or an overlay's backing node. */
export function below(node: BlockNode): string | undefined {
  if (!node.isFilter) return childOf(node, 'backing');
  return childOf(node, 'file') ?? childOf(node, 'backing');
}

/** The first node from here down that is no filter. */
export function skipFilters(ctx: Context, name: string): BlockNode {
  let node = nodeOf(ctx.q, name);
  for (let next = below(node); node.isFilter && next !== undefined; next = below(node)) {
    node = nodeOf(ctx.q, next);
  }
  return node;
}

/** The first node from here down that is no filter of a job. */
export function skipImplicitFilters(ctx: Context, name: string): BlockNode {
  let node = nodeOf(ctx.q, name);
  for (let next = below(node); node.implicit && next !== undefined; next = below(node)) {
    node = nodeOf(ctx.q, next);
  }
  return node;
}

/** The nodes from `name` down through filters and backing links, `name` first. */
export function chain(ctx: Context, name: string): BlockNode[] {
  const nodes: BlockNode[] = [];
  for (let next: string | undefined = name; next !== undefined; ) {
    const node: BlockNode = nodeOf(ctx.q, next);
    nodes.push(node);
    next = below(node);
  }
  return nodes;
}

/** A root has only backends above it: no node, and no job. */
export function refuseUnlessRoot(node: BlockNode): void {
  if (node.parents.some(edge => edge.kind === 'node' || edge.kind === 'job'))
    refuse('Need a root block node');
}

export type Operation =
  | 'mirrorSource'
  | 'mirrorTarget'
  | 'snapshot'
  | 'stream'
  | 'backupSource'
  | 'backupTarget'
  | 'commitSource'
  | 'commitTarget'
  | 'resize'
  | 'delete'
  | 'replace';

const BELOW_OVERLAYS: ReadonlySet<Operation> = new Set([
  'commitTarget',
  'stream',
  'backupSource',
  'backupTarget',
]);

/** QEMU's op blockers: a job blocks everything on its nodes, a backing link all but commit, stream and backup. */
export function refuseIfBlocked(ctx: Context, node: BlockNode, operation: Operation): void {
  const blocker = node.blockedBy.at(-1);
  const overlay = BELOW_OVERLAYS.has(operation) ? undefined : overlayOf(ctx, node);
  if (overlay !== undefined && (overlay.serial ?? 0) > (blocker?.serial ?? -1)) {
    refuse(`Node '${node.name}' is busy: node is used as backing hd of '${overlay.parent}'`);
  }
  if (blocker !== undefined) {
    refuse(`Node '${node.name}' is busy: block device is in use by block job: ${blocker.type}`);
  }
}

function overlayOf(ctx: Context, node: BlockNode): Edge | undefined {
  return node.parents.find(
    edge =>
      edge.kind === 'node' && edge.role === 'backing' && ctx.q.nodes.get(edge.parent)?.isFilter === false,
  );
}
