/** What QEMU serves to others: its NBD server, and exports of nodes (blockdev-nbd.c, block/export/export.c). */

import type { Json } from '../../qmp/transport.ts';
import { addUser, patchNode, removeUser } from '../graph/graph.ts';
import { checkPermissions } from '../graph/permissions.ts';
import type { Arguments } from '../state/arguments.ts';
import { type Context, lookupNode } from '../state/context.ts';
import { refuse } from '../state/refusal.ts';
import { ALL_PERMISSIONS, CONSISTENT_READ, GRAPH_MOD, WRITE, WRITE_UNCHANGED } from '../state/state.ts';

/** What an export needs of the node that its clients write to. */
export const EXPORT_NEEDS = {
  perm: CONSISTENT_READ | WRITE,
  shared: CONSISTENT_READ | WRITE_UNCHANGED | WRITE | GRAPH_MOD,
};

export function nbdServerStart(ctx: Context): Json {
  if (ctx.q.nbdServer) refuse('NBD server already running');
  ctx.q.nbdServer = true;
  return {};
}

export function nbdServerStop(ctx: Context): Json {
  if (!ctx.q.nbdServer) refuse('NBD server not running');
  for (const id of [...ctx.q.exports.keys()]) removeExport(ctx, id);
  ctx.q.nbdServer = false;
  return {};
}

export function blockExportAdd(ctx: Context, args: Arguments): Json {
  const id = String(args['id']);
  if (ctx.q.exports.get(id) !== undefined || isServed(ctx, id))
    refuse(`Block export id '${id}' is already in use`);
  const node = lookupNode(ctx, undefined, String(args['node-name']));
  if (!ctx.q.nbdServer) refuse('NBD server not running');
  const writable = args['writable'] === true;
  if (writable && node.readOnly) refuse('Cannot export read-only node as writable');
  const perm = CONSISTENT_READ | (writable ? WRITE : 0);
  const { shared } = EXPORT_NEEDS;
  ctx.q.edit('exports').set(id, {
    id,
    type: String(args['type']),
    node: node.name,
    writable,
    shuttingDown: false,
  });
  const edge = { kind: 'export', parent: id, role: 'root', perm } as const;
  addUser(ctx, node.name, { ...edge, shared: ALL_PERMISSIONS });
  checkPermissions(ctx, [node.name]);
  // The server forbids resizing in a second step, which decides what an error names.
  patchNode(ctx, node.name, { parents: [{ ...edge, shared }, ...node.parents] });
  checkPermissions(ctx, [node.name]);
  return {};
}

export function blockExportDel(ctx: Context, args: Arguments): Json {
  const id = String(args['id']);
  if (isServed(ctx, id)) return removeServed(ctx, id);
  if (ctx.q.exports.get(id) === undefined) refuse(`Export '${id}' is not found`);
  removeExport(ctx, id);
  return {};
}

/** Whether a storage daemon was started with this export. */
function isServed(ctx: Context, id: string): boolean {
  return ctx.profile.servesExports && ctx.q.devices.has(id);
}

function removeServed(ctx: Context, id: string): Json {
  const path = ctx.q.devices.get(id)?.path ?? '';
  const node = ctx.q.backends.get(path)?.node;
  ctx.q.edit('devices').delete(id);
  ctx.q.edit('backends').delete(path);
  if (node !== undefined) removeUser(ctx, node, 'backend', path);
  ctx.emit('BLOCK_EXPORT_DELETED', { id });
  return {};
}

function removeExport(ctx: Context, id: string): void {
  const block = ctx.q.exports.get(id);
  if (block === undefined) return;
  ctx.q.edit('exports').delete(id);
  removeUser(ctx, block.node, 'export', id);
  ctx.emit('BLOCK_EXPORT_DELETED', { id });
}
