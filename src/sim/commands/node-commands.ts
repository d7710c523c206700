/**
 * blockdev-add, -del, -reopen, -create, block_resize and change-backing-file: nodes that come, change and go
 * (blockdev.c, block.c of 7.2).
 */

import type { Json } from '../../qmp/transport.ts';
import { setBackingHeader } from '../graph/backing-header.ts';
import {
  addUser,
  asOpened,
  below,
  carryBitmaps,
  childOf,
  patchNode,
  reaches,
  reap,
  refuseIfBlocked,
  removeUser,
  setChild,
} from '../graph/graph.ts';
import { flushNode, imageOf, putImage } from '../graph/image-io.ts';
import { BACKING_DRIVERS, isUnmap, openNode } from '../graph/open-node.ts';
import { checkPermissions } from '../graph/permissions.ts';
import { slice } from '../host/contents.ts';
import { refuseBadJobId, startJob } from '../jobs/jobs.ts';
import type { Arguments } from '../state/arguments.ts';
import { type Context, lookupNode, nodeOf } from '../state/context.ts';
import { Death, refuse } from '../state/refusal.ts';
import { ALL_PERMISSIONS, type BlockNode, RESIZE } from '../state/state.ts';

export function blockdevAdd(ctx: Context, args: Arguments): Json {
  if (args['node-name'] === undefined) refuse("'node-name' must be specified for the root node");
  dieUnderRunningIothread(ctx, args);
  openNode(ctx, args, { monitorOwned: true });
  return {};
}

/**
 * A node put above one that a device in an iothread uses: SIGSEGV in 7.2, 10.0 and 11.1 unless the guest is stopped. As
 * backing node it does no harm.
 */
function dieUnderRunningIothread(ctx: Context, args: Arguments): void {
  const file = args['file'];
  if (typeof file !== 'string' || ctx.q.runState !== 'running') return;
  for (const device of ctx.q.devices.values()) {
    const root = device.iothread ? ctx.q.backends.get(device.path)?.node : undefined;
    if (root !== undefined && reaches(ctx, root, file)) {
      throw new Death(
        'SIGSEGV',
        `a node above ${file}, which a device in an iothread uses, while the guest runs`,
      );
    }
  }
}

export function blockdevDel(ctx: Context, args: Arguments): Json {
  const name = String(args['node-name']);
  const node = ctx.q.nodes.get(name) ?? refuse(ctx.profile.texts.cannotFindNode(name));
  if (node.parents.some(edge => edge.kind === 'backend' || edge.kind === 'blk' || edge.kind === 'export')) {
    refuse(`Node ${name} is in use`);
  }
  refuseIfBlocked(ctx, node, 'delete');
  if (!node.monitorOwned) refuse(`Node ${name} is not owned by the monitor`);
  if (node.parents.length > 0) refuse(`Block device ${name} is in use`);
  patchNode(ctx, name, { monitorOwned: false });
  reap(ctx, name);
  return {};
}

/** All entries or none: the draft is only kept when the permissions of all that changed hold together. */
export function blockdevReopen(ctx: Context, args: Arguments): Json {
  const list = args['options'] as readonly Arguments[];
  if (list.length === 0 && ctx.profile.diesOnEmptyReopen)
    throw new Death('SIGSEGV', 'blockdev-reopen of nothing');
  const touched = new Set<string>();
  const released = new Set<string>();
  const writable = new Set<string>();
  const queue = new Map<string, Arguments>();
  for (const options of list) {
    const name = options['node-name'];
    if (typeof name !== 'string') refuse('node-name not specified');
    queue.set(nodeOf(ctx.q, name).name, { ...queue.get(name), ...options });
  }
  for (const [name, options] of queue) {
    const node = nodeOf(ctx.q, name);
    if (!node.readOnly) writable.add(name);
    touched.add(name);
    for (const link of node.children) released.add(link.child);
    reopenNode(ctx, node, options);
  }
  checkPermissions(ctx, [...touched, ...released], writable);
  return {};
}

/** Drivers without bdrv_reopen_prepare(), which is asked for before anything else is looked at. */
const CANNOT_REOPEN: ReadonlySet<string> = new Set(['copy-on-read', 'mirror_top', 'commit_top']);

function reopenNode(ctx: Context, node: BlockNode, options: Arguments): void {
  if (CANNOT_REOPEN.has(node.driver))
    refuse(`Block format '${node.driver}' used by node '${node.name}' does not support reopening files`);
  if (node.throttleGroup !== undefined && options['throttle-group'] === undefined) {
    refuse("Option 'throttle-group' cannot be reset to its default value");
  }
  if (options['driver'] !== node.driver) refuse("Cannot change the option 'driver'");
  if (node.path !== undefined && options['filename'] !== node.path)
    refuse("Cannot change the option 'filename'");
  flushNode(ctx, node.name);
  const group = options['throttle-group'];
  if (typeof group === 'string' && !ctx.q.throttleGroups.has(group)) {
    refuse(`Throttle group '${group}' does not exist`);
  }
  const changes = { readOnly: options['read-only'] === true, unmap: isUnmap(options['discard']) };
  const mode = asOpened(ctx, node, changes.readOnly);
  carryBitmaps(ctx, node, changes.readOnly);
  patchNode(ctx, node.name, {
    ...{ ...changes, ...mode },
    throttleGroup: typeof group === 'string' ? group : undefined,
  });
  if (BACKING_DRIVERS.has(node.driver)) reopenBacking(ctx, node, options['backing']);
  if (node.path === undefined) reopenChild(ctx, node, 'file', options['file']);
  for (const link of node.children) {
    const child = ctx.q.nodes.get(link.child);
    if (link.role === 'file' && child?.inherits === true)
      patchNode(ctx, child.name, { ...changes, ...asOpened(ctx, child, changes.readOnly) });
  }
}

function reopenBacking(ctx: Context, node: BlockNode, value: Json | undefined): void {
  if (value === undefined) {
    if (childOf(node, 'backing') !== undefined) refuse(`backing is missing for '${node.name}'`);
    return;
  }
  reopenChild(ctx, node, 'backing', value);
}

function reopenChild(ctx: Context, node: BlockNode, role: 'file' | 'backing', value: Json | undefined): void {
  const old = childOf(node, role);
  if (value !== null && typeof value !== 'string') return;
  const child = value === null ? undefined : lookupNode(ctx, undefined, value).name;
  if (child === old) return;
  if (old !== undefined && old === below(node) && node.frozenBy.length > 0) {
    refuse(`Cannot change frozen '${role}' link from '${node.name}' to '${old}'`);
  }
  if (old !== undefined && ctx.q.nodes.get(old)?.implicit === true) {
    refuse(`Cannot replace implicit ${role} child of ${node.name}`);
  }
  setChild(ctx, node.name, role, child);
}

export function blockdevCreate(ctx: Context, args: Arguments): Json {
  const id = String(args['job-id']);
  const options = args['options'] as Arguments;
  if (ctx.profile.schema.formats[String(options['driver'])] === '')
    refuse('Driver does not support blockdev-create');
  refuseBadJobId(ctx, id);
  const text = (name: string): string | undefined =>
    typeof options[name] === 'string' ? options[name] : undefined;
  startJob(ctx, {
    id,
    type: 'create',
    autoDismiss: false,
    work: {
      kind: 'create',
      options: {
        driver: String(options['driver']),
        filename: text('filename'),
        file: text('file'),
        sizeBytes: Number(options['size']),
        backingFile: text('backing-file'),
        backingFormat: text('backing-fmt'),
        given: options,
      },
    },
  });
  return {};
}

export function blockResize(ctx: Context, args: Arguments): Json {
  const device = typeof args['device'] === 'string' ? args['device'] : undefined;
  const named = typeof args['node-name'] === 'string' ? args['node-name'] : undefined;
  const node = lookupNode(ctx, device, named);
  const size = Number(args['size']);
  if (size < 0) refuse("Parameter 'size' expects a >0 size");
  if (node.blockedBy.length > 0) refuse(`Device '${device ?? '(null)'}' is in use`);
  refuseResizer(ctx, node);
  if (node.driver.startsWith('null-')) refuse('Image format driver does not support resize');
  const image = imageOf(ctx, node.name);
  const rounded = Math.ceil(size / 512) * 512;
  putImage(ctx, node.name, { ...image, sizeBytes: rounded, contents: slice(image.contents, 0, rounded) });
  return {};
}

/** It has a backend of its own for the moment. */
function refuseResizer(ctx: Context, node: BlockNode): void {
  const edge = {
    kind: 'blk',
    parent: 'resize',
    role: 'root',
    perm: RESIZE,
    shared: ALL_PERMISSIONS,
  } as const;
  addUser(ctx, node.name, edge);
  checkPermissions(ctx, [node.name]);
  removeUser(ctx, node.name, 'blk', 'resize');
}

export function changeBackingFile(ctx: Context, args: Arguments): Json {
  const root = lookupNode(ctx, String(args['device']), String(args['device']));
  const image = lookupNode(ctx, undefined, String(args['image-node-name']));
  if (!BACKING_DRIVERS.has(image.driver)) refuse('image-node-name does not support backing files');
  if (childOf(image, 'backing') === undefined)
    refuse('not allowing backing file change on an image without a backing file');
  refuseIfBlocked(ctx, root, 'snapshot');
  setBackingHeader(ctx, image.name, String(args['backing-file']), undefined);
  return {};
}
