/**
 * Named dirty bitmaps, as far as operations on disks touch them: added, removed, cleared, switched on and off. What they
 * count is not simulated.
 */

import type { Json } from '../../qmp/transport.ts';
import { patchNode } from '../graph/graph.ts';
import type { Arguments } from '../state/arguments.ts';
import { type Context, lookupNode } from '../state/context.ts';
import { refuse } from '../state/refusal.ts';
import type { BlockNode, NamedBitmap } from '../state/state.ts';

const GRANULARITY_BYTES = 65_536;

export function bitmapAdd(ctx: Context, args: Arguments): Json {
  const node = nodeArgument(ctx, args);
  const name = String(args['name']);
  const granularity = Number(args['granularity'] ?? GRANULARITY_BYTES);
  if (name === '') refuse('Bitmap name cannot be empty');
  if (granularity < 512 || (granularity & (granularity - 1)) !== 0) {
    refuse('Granularity must be power of 2 and at least 512');
  }
  if (node.bitmaps.some(bitmap => bitmap.name === name)) refuse(`Bitmap already exists: ${name}`);
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

export function bitmapRemove(ctx: Context, args: Arguments): Json {
  const node = nodeArgument(ctx, args);
  const { name } = bitmapArgument(node, args);
  patchNode(ctx, node.name, { bitmaps: node.bitmaps.filter(bitmap => bitmap.name !== name) });
  return {};
}

export function bitmapClear(ctx: Context, args: Arguments): Json {
  bitmapArgument(nodeArgument(ctx, args), args);
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

function nodeArgument(ctx: Context, args: Arguments): BlockNode {
  return lookupNode(ctx, String(args['node']), String(args['node']));
}

function bitmapArgument(node: BlockNode, args: Arguments): NamedBitmap {
  const name = String(args['name']);
  return node.bitmaps.find(bitmap => bitmap.name === name) ?? refuse(`Dirty bitmap '${name}' not found`);
}

function action(run: (ctx: Context, data: Arguments) => Json): (ctx: Context, data: Arguments) => undefined {
  return (ctx, data) => {
    run(ctx, data);
  };
}

export const bitmapActions = {
  'block-dirty-bitmap-add': action(bitmapAdd),
  'block-dirty-bitmap-remove': action(bitmapRemove),
  'block-dirty-bitmap-clear': action(bitmapClear),
  'block-dirty-bitmap-enable': action(bitmapEnable),
  'block-dirty-bitmap-disable': action(bitmapDisable),
};
