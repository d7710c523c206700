/**
 * The bitmap of a backup: it is held while the job runs and a successor records in its place; in the end the two become one again
 * (bdrv_dirty_bitmap_create_successor() and those after it, block/dirty-bitmap.c of 7.2).
 */

import { patchNode } from '../graph/graph.ts';
import { EMPTY, over } from '../host/contents.ts';
import { type Context, nodeOf } from '../state/context.ts';
import type { NamedBitmap } from '../state/state.ts';

/** A bitmap of the source, and whether it is to say what has not been backed up. */
export interface HeldBitmap {
  readonly name: string;
  readonly mode: 'on-success' | 'never' | 'always';
}

export function holdBitmap(ctx: Context, source: string, { name }: HeldBitmap, job: string): void {
  const { bitmaps } = nodeOf(ctx.q, source);
  const held = bitmaps.find(bitmap => bitmap.name === name);
  if (held === undefined) return;
  const successor = { ...held, name: '', persistent: false, successorOf: job, serial: ctx.q.serial++ };
  const others = bitmaps.map(bitmap => (bitmap === held ? { ...bitmap, heldBy: job } : bitmap));
  patchNode(ctx, source, { bitmaps: [...others, successor] });
}

export function endBitmap(
  ctx: Context,
  source: string,
  { mode }: HeldBitmap,
  { job, succeeded }: { readonly job: string; readonly succeeded: boolean },
): void {
  const { bitmaps } = nodeOf(ctx.q, source);
  const held = bitmaps.find(({ heldBy }) => heldBy === job);
  const successor = bitmaps.find(({ successorOf }) => successorOf === job);
  if (held === undefined || successor === undefined) return;
  const recordedIn = ({ serial }: NamedBitmap) => ctx.recorded.get(serial) ?? EMPTY;
  const since = recordedIn(successor);
  const isSynced = mode === 'always' || (succeeded && mode === 'on-success');
  const uncopied = succeeded ? EMPTY : (ctx.tracks.get(job)?.dirty ?? EMPTY);
  const now = isSynced ? over(uncopied, since) : over(recordedIn(held), since);
  ctx.recorded.set(held.serial, now);
  ctx.recorded.delete(successor.serial);
  const { heldBy: _, ...free } = held;
  patchNode(ctx, source, {
    bitmaps: bitmaps.filter(each => each !== successor).map(each => (each === held ? free : each)),
  });
}
