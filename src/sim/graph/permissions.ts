/**
 * QEMU's permission system (block.c, docs/interop/qemu-... "BLK_PERM_*"): what each user of a node needs and what it
 * shares follows from the graph above it, so nothing is stored; after every change the touched nodes are checked.
 */

import type { Context } from '../state/context.ts';
import { Refusal, refuse } from '../state/refusal.ts';
import {
  ALL_PERMISSIONS,
  type BlockNode,
  CONSISTENT_READ,
  type Edge,
  GRAPH_MOD,
  type Qemu,
  RESIZE,
  WRITE,
  WRITE_UNCHANGED,
} from '../state/state.ts';
import { setReadOnly } from './graph.ts';

export interface Needs {
  readonly perm: number;
  readonly shared: number;
}

const NAMES: readonly (readonly [number, string])[] = [
  [CONSISTENT_READ, 'consistent read'],
  [WRITE, 'write'],
  [WRITE_UNCHANGED, 'write unchanged'],
  [RESIZE, 'resize'],
  [GRAPH_MOD, 'change children'],
];

/** What all users of a node need together, and what all of them share. */
export function cumulative(q: Qemu, node: BlockNode): Needs {
  let perm = 0;
  let shared = ALL_PERMISSIONS;
  for (const edge of node.parents) {
    const needs = edgeNeeds(q, edge);
    perm |= needs.perm;
    shared &= needs.shared;
  }
  return { perm, shared };
}

/** What one user needs of the node that it uses. */
export function edgeNeeds(q: Qemu, edge: Edge): Needs {
  if (edge.kind !== 'node') return edge;
  const parent = q.nodes.get(edge.parent);
  if (parent === undefined) return { perm: 0, shared: ALL_PERMISSIONS };
  return childNeeds(parent, edge.role, cumulative(q, parent));
}

/** A driver's bdrv_child_perm(). */
function childNeeds(parent: BlockNode, role: string, { perm, shared }: Needs): Needs {
  perm &= ~GRAPH_MOD;
  shared |= GRAPH_MOD;
  switch (parent.driver) {
    case 'commit_top':
      return { perm: 0, shared: ALL_PERMISSIONS };
    case 'mirror_top':
      if (parent.stopped) return { perm: 0, shared: ALL_PERMISSIONS };
      if (parent.lenient) return { perm: perm & WRITE, shared: ALL_PERMISSIONS };
      return parent.commits ? { perm: perm & ~CONSISTENT_READ, shared: shared | WRITE } : { perm, shared };
    case 'copy-on-read':
      return { perm: perm | WRITE_UNCHANGED, shared };
    case 'copy-before-write':
    case 'backup-top':
      return role === 'target' ? TARGET_OF_BACKUP : belowBackup(parent, { perm, shared });
    case 'raw':
      // One that shows a part of its file relies on how long that is.
      return { perm, shared: parent.sizeAtOpen === undefined ? shared : shared & ~RESIZE };
    case 'luks':
      // Its header is written when it is made only (block_crypto_child_perms(), block/crypto.c).
      return { perm: perm | CONSISTENT_READ, shared };
    case 'throttle':
      return { perm, shared };
  }
  if (role === 'backing') {
    const writers = (shared & WRITE) !== 0 ? WRITE | RESIZE : 0;
    return { perm: perm & CONSISTENT_READ, shared: writers | CONSISTENT_READ | WRITE_UNCHANGED | GRAPH_MOD };
  }
  const metadata = parent.readOnly ? 0 : WRITE | RESIZE;
  return { perm: perm | metadata | CONSISTENT_READ, shared: (shared & ~(WRITE | RESIZE)) | GRAPH_MOD };
}

/** cbw_child_perm(), block/copy-before-write.c. */
const TARGET_OF_BACKUP: Needs = {
  perm: WRITE,
  shared: CONSISTENT_READ | WRITE | WRITE_UNCHANGED | GRAPH_MOD,
};

function belowBackup({ parents }: BlockNode, { perm, shared }: Needs): Needs {
  if (parents.length === 0) return { perm, shared };
  const reads = (perm & WRITE) === 0 ? 0 : CONSISTENT_READ;
  return { perm: perm | reads, shared: shared & ~(WRITE | RESIZE) };
}

/** Refuses what QEMU refuses: users in conflict, writers of read-only nodes, files locked by another node. */
export function checkPermissions(
  ctx: Context,
  names: Iterable<string>,
  wereWritable: ReadonlySet<string> = NONE,
): void {
  const seen = new Set<string>();
  for (const name of names) checkNode(ctx, name, seen, wereWritable);
}

const NONE: ReadonlySet<string> = new Set();

function checkNode(ctx: Context, name: string, seen: Set<string>, wereWritable: ReadonlySet<string>): void {
  const node = ctx.q.nodes.get(name);
  if (node === undefined || seen.has(name)) return;
  seen.add(name);
  const needs = node.parents.map(edge => edgeNeeds(ctx.q, edge));
  let perm = 0;
  let shared = ALL_PERMISSIONS;
  for (let a = 0; a < needs.length; a += 1) {
    const user = needs[a] as Needs;
    for (let b = 0; b < needs.length; b += 1) {
      if (a === b) continue;
      // Since 6.0 each user is asked what it denies the others; before, the newest was held against each of them.
      if (ctx.profile.asksNewest) refuseDenied(ctx, node, needs, b, a);
      refuseDenied(ctx, node, needs, a, b);
    }
    perm |= user.perm;
    shared &= user.shared;
  }
  if ((perm & (WRITE | WRITE_UNCHANGED)) !== 0 && node.readOnly) {
    refuse(
      wereWritable.has(name)
        ? `Read-only block node '${name}' cannot support read-write users`
        : 'Block node is read-only',
    );
  }
  if (node.path !== undefined) checkLock(ctx, node, { perm, shared });
  for (const link of node.children) checkNode(ctx, link.child, seen, wereWritable);
}

/** Refuses what user `a` of a node does not share and user `b` needs; users are ordered from the newest. */
function refuseDenied(ctx: Context, node: BlockNode, needs: readonly Needs[], a: number, b: number): void {
  const denied = (needs[b] as Needs).perm & ~(needs[a] as Needs).shared;
  if (denied === 0) return;
  const needer = useOf(ctx, node.parents[b] as Edge);
  const denier = useOf(ctx, node.parents[a] as Edge);
  const newer = b < a ? 'needer' : 'denier';
  ctx.profile.texts.refusePermission(node.name, permissionNames(denied), needer, denier, newer);
}

/** Makes a node read-only unless something still writes to it; QEMU ignores that, and so do we. */
export function tryReadOnly(ctx: Context, name: string): void {
  if (ctx.q.nodes.get(name) === undefined) return;
  setReadOnly(ctx, name, true);
  try {
    checkPermissions(ctx, [name]);
  } catch (refusal) {
    if (!(refusal instanceof Refusal)) throw refusal;
    setReadOnly(ctx, name, false);
  }
}

/** file-posix.c: OFD locks make two nodes on one file see each other. */
function checkLock(ctx: Context, node: BlockNode, { perm, shared }: Needs): void {
  if (node.sharesAll) return;
  for (const other of ctx.q.nodes.values()) {
    if (other.opened !== node.opened || other.name === node.name || other.sharesAll) continue;
    const held = cumulative(ctx.q, other);
    for (const [bit, name] of NAMES) {
      if ((perm & bit) !== 0 && (held.shared & bit) === 0) refuse(`Failed to get "${name}" lock`);
    }
    for (const [bit, name] of NAMES) {
      if ((shared & bit) === 0 && (held.perm & bit) !== 0) refuse(`Failed to get shared "${name}" lock`);
    }
  }
}

function permissionNames(bits: number): string {
  return NAMES.filter(([bit]) => (bits & bit) !== 0)
    .map(([, name]) => name)
    .join(', ');
}

function useOf(ctx: Context, edge: Edge): { user: string; role: string } {
  return { user: describeParent(ctx, edge), role: edge.role };
}

function describeParent(ctx: Context, edge: Edge): string {
  switch (edge.kind) {
    case 'node':
      return `node '${edge.parent}'`;
    case 'job':
      return `${edge.jobType} job '${edge.parent}'`;
    case 'backend': {
      const backend = ctx.q.backends.get(edge.parent);
      return `block device '${backend?.name || edge.parent}'`;
    }
    case 'blk':
    case 'export':
      return 'an unnamed block device';
  }
}
