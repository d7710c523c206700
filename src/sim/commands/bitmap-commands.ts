/**
 * Named dirty bitmaps, as far as operations on disks touch them: added, removed, cleared, merged, switched on and off. What
 * they record is noted where data pass (`image-io.ts`).
 */

import type { Json } from '../../qmp/transport.ts';
import { patchNode } from '../graph/graph.ts';
import { sizeOf } from '../graph/image-io.ts';
import { forgetStored, isStored } from '../graph/stored-bitmaps.ts';
import { EMPTY, granules, over } from '../host/contents.ts';
import type { Arguments } from '../state/arguments.ts';
import { type Context, lookupNode, nodeOf } from '../state/context.ts';
import { Death, Refusal, refuse } from '../state/refusal.ts';
import type { BlockNode, NamedBitmap } from '../state/state.ts';
import type { Taken } from './snapshot-commands.ts';

const GRANULARITY_BYTES = 65_536;
const NAME_MAX = 1_023;

export function bitmapAdd(ctx: Context, args: Arguments): Json {
  const node = lookupNode(ctx, String(args['node']), String(args['node']));
  const name = String(args['name']);
  const granularity = Number(args['granularity'] ?? GRANULARITY_BYTES);
  if (name === '') refuse('Bitmap name cannot be empty');
  if (granularity < 512 || (granularity & (granularity - 1)) !== 0) {
    refuse('Granularity must be power of 2 and at least 512');
  }
  if (args['persistent'] === true) refuseToKeep(ctx, node, name);
  if (node.bitmaps.some(bitmap => bitmap.name === name)) refuse(`Bitmap already exists: ${name}`);
  if (name.length > NAME_MAX) refuse(`Bitmap name too long: ${name}`);
  const bitmap = {
    name,
    granularity,
    recording: args['disabled'] !== true,
    persistent: args['persistent'] === true,
    serial: ctx.q.serial++,
  };
  patchNode(ctx, node.name, { bitmaps: [...node.bitmaps, bitmap] });
  return {};
}

/** qcow2_co_can_store_new_dirty_bitmap(), block/qcow2-bitmap.c. */
function refuseToKeep({ profile }: Context, { name: node, driver, readOnly }: BlockNode, name: string): void {
  if (readOnly && profile.version.major >= 11)
    refuse(`Cannot add a persistent bitmap to read-only or inactive node '${node}'`);
  if (driver !== 'qcow2') refuse(`Can't store persistent bitmaps to ${node}: Operation not supported`);
  if (name.length <= NAME_MAX) return;
  refuse(
    `Can't make bitmap '${name}' persistent in '${node}': Name length exceeds maximum (${NAME_MAX} characters)`,
  );
}

export function bitmapRemove(ctx: Context, args: Arguments): Json {
  const { node, bitmap } = toRemove(ctx, args);
  remove(ctx, node.name, bitmap.name);
  return {};
}

/** As an action it stays, in use, until all others have succeeded. */
function removeLater(ctx: Context, args: Arguments): Taken {
  const { node, bitmap } = toRemove(ctx, args);
  const mark = (leaving: NamedBitmap[]): BlockNode => patchNode(ctx, node.name, { bitmaps: leaving });
  mark(node.bitmaps.map(each => (each === bitmap ? { ...each, leaving: true } : each)));
  return { hadUsers: false, commit: () => remove(ctx, node.name, bitmap.name), abort: () => undefined };
}

function toRemove(ctx: Context, args: Arguments): { readonly node: BlockNode; readonly bitmap: NamedBitmap } {
  const node = nodeArgument(ctx, args);
  const bitmap = namedIn(node, String(args['name']));
  refuseBusyBitmap(bitmap);
  if (bitmap.persistent && node.readOnly && ctx.profile.version.major >= 11)
    refuse(`Cannot remove persistent bitmap '${bitmap.name}': no write access to node '${node.name}'`);
  refuseReadOnly(ctx, node, bitmap);
  return { node, bitmap };
}

function remove(ctx: Context, nodeName: string, name: string): void {
  const node = nodeOf(ctx.q, nodeName);
  const bitmaps = node.bitmaps.filter(bitmap => bitmap.name !== name);
  if (bitmaps.length < node.bitmaps.length) patchNode(ctx, nodeName, { bitmaps });
  ctx.onSuccess(() => forgetStored(ctx, node, name));
}

/** One that is in the image of a node that may not be written. */
function refuseReadOnly(ctx: Context, node: BlockNode, { name, persistent }: NamedBitmap): void {
  if (persistent && node.readOnly && isStored(ctx, node, name))
    refuse(`Bitmap '${name}' is readonly and cannot be modified`);
}

export function bitmapClear(ctx: Context, args: Arguments): Json {
  const node = nodeArgument(ctx, args);
  const bitmap = namedIn(node, String(args['name']));
  refuseUnusable(ctx, node, bitmap);
  ctx.recorded.delete(bitmap.serial);
  return {};
}

/** A source is named alone, in the same node, or with its node. */
export function bitmapMerge(ctx: Context, args: Arguments): Json {
  const node = nodeArgument(ctx, args);
  const target = namedIn(node, String(args['target']));
  refuseUnusable(ctx, node, target);
  const size = sizeOf(ctx, node);
  const sources = args['bitmaps'] as readonly (string | Arguments)[];
  if (sources.length === 0 && ctx.profile.diesOnEmptyMerge)
    throw new Death('SIGSEGV', 'a dirty bitmap was merged with nothing');
  for (const each of sources) {
    const from = typeof each === 'string' ? node : nodeArgument(ctx, each);
    const source = namedIn(from, String(typeof each === 'string' ? each : each['name']));
    refuseBusyBitmap(source);
    refuseInconsistent(source);
    if (sizeOf(ctx, from) !== size) refuse(ctx.profile.texts.bitmapSizes(size, sizeOf(ctx, from)));
    const recorded = granules(ctx.recorded.get(source.serial) ?? EMPTY, target.granularity, size);
    ctx.recorded.set(target.serial, over(ctx.recorded.get(target.serial) ?? EMPTY, recorded));
  }
  return {};
}

export function bitmapEnable(ctx: Context, args: Arguments): Json {
  return record(ctx, args, true);
}

export function bitmapDisable(ctx: Context, args: Arguments): Json {
  return record(ctx, args, false);
}

function record(ctx: Context, args: Arguments, recording: boolean): Json {
  const node = nodeArgument(ctx, args);
  const { name } = bitmapArgument(node, args);
  const bitmaps = node.bitmaps.map(bitmap => (bitmap.name === name ? { ...bitmap, recording } : bitmap));
  patchNode(ctx, node.name, { bitmaps });
  return {};
}

/** block_dirty_bitmap_lookup() says it in words of its own. */
function nodeArgument(ctx: Context, args: Arguments): BlockNode {
  const name = String(args['node']);
  try {
    return lookupNode(ctx, name, name);
  } catch (refusal) {
    if (refusal instanceof Refusal) refuse(`Node '${name}' not found`);
    throw refusal;
  }
}

/** One that is to be changed. */
function bitmapArgument(node: BlockNode, args: Arguments): NamedBitmap {
  const bitmap = namedIn(node, String(args['name']));
  refuseBusyBitmap(bitmap);
  refuseInconsistent(bitmap);
  return bitmap;
}

function refuseUnusable(ctx: Context, node: BlockNode, bitmap: NamedBitmap): void {
  refuseBusyBitmap(bitmap);
  refuseReadOnly(ctx, node, bitmap);
  refuseInconsistent(bitmap);
}

export function refuseInconsistent({ name, inconsistent }: NamedBitmap): void {
  if (inconsistent) refuse(`Bitmap '${name}' is inconsistent and cannot be used`);
}

function namedIn(node: BlockNode, name: string): NamedBitmap {
  const found = name === '' ? undefined : node.bitmaps.find(bitmap => bitmap.name === name);
  return found ?? refuse(`Dirty bitmap '${name}' not found`);
}

/** One that a backup holds. */
export function refuseBusyBitmap({ name, heldBy, leaving }: NamedBitmap): void {
  if (heldBy !== undefined || leaving === true)
    refuse(`Bitmap '${name}' is currently in use by another operation and cannot be used`);
}

function action(run: (ctx: Context, data: Arguments) => Json): (ctx: Context, data: Arguments) => undefined {
  return (ctx, data) => {
    run(ctx, data);
  };
}

export const bitmapActions = {
  'block-dirty-bitmap-add': action(bitmapAdd),
  'block-dirty-bitmap-remove': removeLater,
  'block-dirty-bitmap-clear': action(bitmapClear),
  'block-dirty-bitmap-enable': action(bitmapEnable),
  'block-dirty-bitmap-disable': action(bitmapDisable),
  'block-dirty-bitmap-merge': action(bitmapMerge),
};
