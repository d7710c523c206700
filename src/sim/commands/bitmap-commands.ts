/**
 * Named dirty bitmaps, as far as operations on disks touch them: added, removed, cleared, merged, switched on and off. What
 * they record is noted where data pass (`image-io.ts`).
 */

import type { Json } from '../../qmp/transport.ts';
import { patchNode } from '../graph/graph.ts';
import { sizeOf } from '../graph/image-io.ts';
import { EMPTY, granules, over } from '../host/contents.ts';
import type { Arguments } from '../state/arguments.ts';
import { type Context, lookupNode } from '../state/context.ts';
import { Death, refuse } from '../state/refusal.ts';
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
  ctx.recorded.delete(bitmapArgument(nodeArgument(ctx, args), args).serial);
  return {};
}

/** A source is named alone, in the same node, or with its node. */
export function bitmapMerge(ctx: Context, args: Arguments): Json {
  const node = nodeArgument(ctx, args);
  const target = namedIn(node, String(args['target']));
  refuseBusyBitmap(target);
  const size = sizeOf(ctx, node);
  const sources = args['bitmaps'] as readonly (string | Arguments)[];
  if (sources.length === 0 && ctx.profile.diesOnEmptyMerge)
    throw new Death('SIGSEGV', 'a dirty bitmap was merged with nothing');
  for (const each of sources) {
    const from = typeof each === 'string' ? node : nodeArgument(ctx, each);
    const source = namedIn(from, String(typeof each === 'string' ? each : each['name']));
    if (sizeOf(ctx, from) !== size)
      refuse(
        'Bitmaps are of different sizes (destination size is ' +
          `${size}, source size is ${sizeOf(ctx, from)}) and can't be merged`,
      );
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

function nodeArgument(ctx: Context, args: Arguments): BlockNode {
  return lookupNode(ctx, String(args['node']), String(args['node']));
}

/** One that is to be changed. */
function bitmapArgument(node: BlockNode, args: Arguments): NamedBitmap {
  const bitmap = namedIn(node, String(args['name']));
  refuseBusyBitmap(bitmap);
  return bitmap;
}

function namedIn(node: BlockNode, name: string): NamedBitmap {
  const found = name === '' ? undefined : node.bitmaps.find(bitmap => bitmap.name === name);
  return found ?? refuse(`Dirty bitmap '${name}' not found`);
}

/** One that a backup holds. */
export function refuseBusyBitmap({ name, heldBy }: NamedBitmap): void {
  if (heldBy !== undefined)
    refuse(`Bitmap '${name}' is currently in use by another operation and cannot be used`);
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
  'block-dirty-bitmap-merge': action(bitmapMerge),
};
