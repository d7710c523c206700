/**
 * The bitmaps that a qcow2 image keeps: read where it is opened, written where it is closed or is not to be written any more
 * (block/qcow2-bitmap.c). In between the image says that they are in use, so that they count for nothing after a crash.
 */

import { EMPTY } from '../host/contents.ts';
import type { HostFile, StoredBitmap } from '../host/host.ts';
import type { Context } from '../state/context.ts';
import type { BlockNode, NamedBitmap } from '../state/state.ts';

/** Gives the bitmaps of an image that has just been opened. */
export function loadBitmaps(ctx: Context, node: BlockNode, isReadOnly: boolean): readonly NamedBitmap[] {
  const stored = fileOf(ctx, node)?.written.bitmaps ?? [];
  const loaded = stored.map(({ name, granularity, recording, inUse, recorded }): NamedBitmap => {
    const serial = ctx.q.serial++;
    if (inUse) return { name, granularity, recording: false, persistent: true, serial, inconsistent: true };
    ctx.recorded.set(serial, recorded);
    return { name, granularity, recording, persistent: true, serial };
  });
  if (!isReadOnly) ctx.onSuccess(() => claimBitmaps(ctx, node));
  return loaded;
}

/** What is in the image is in use from now on. */
export function claimBitmaps(ctx: Context, node: BlockNode): void {
  change(ctx, node, stored => stored.map(each => ({ ...each, inUse: true })));
}

/** The persistent ones of a node that has been written go into its image: those that were there keep their places. */
export function storeBitmaps(ctx: Context, node: BlockNode): void {
  if (node.driver !== 'qcow2' || node.readOnly) return;
  const kept = node.bitmaps.filter(({ persistent }) => persistent).toReversed();
  change(ctx, node, stored => {
    const names = stored.map(({ name }) => name);
    const news = kept.filter(({ name }) => !names.includes(name)).map(({ name }) => name);
    return [...names, ...news].flatMap(name => {
      const bitmap = kept.find(each => each.name === name);
      return bitmap === undefined ? [] : [asStored(ctx, bitmap)];
    });
  });
}

function asStored(ctx: Context, bitmap: NamedBitmap): StoredBitmap {
  const { name, granularity, recording, serial, inconsistent = false } = bitmap;
  return { name, granularity, recording, inUse: inconsistent, recorded: ctx.recorded.get(serial) ?? EMPTY };
}

/** QEMU ends: each image is closed, and what was written reaches the disk. */
export function closeImages(ctx: Context): void {
  for (const node of ctx.q.nodes.values()) storeBitmaps(ctx, node);
  for (const path of ctx.host.files.keys()) ctx.host.flush(path);
}

/** One that is removed goes from the image as well. */
export function forgetStored(ctx: Context, node: BlockNode, name: string): void {
  change(ctx, node, stored => stored.filter(each => each.name !== name));
}

export function isStored(ctx: Context, node: BlockNode, name: string): boolean {
  return fileOf(ctx, node)?.written.bitmaps?.some(each => each.name === name) === true;
}

function change(
  ctx: Context,
  node: BlockNode,
  recipe: (stored: readonly StoredBitmap[]) => readonly StoredBitmap[],
): void {
  const file = fileOf(ctx, node);
  if (file === undefined) return;
  const { bitmaps: before = [], ...image } = file.written;
  const bitmaps = recipe(before);
  if (before.length === 0 && bitmaps.length === 0) return;
  ctx.host.writeTo(file.birth, bitmaps.length === 0 ? image : { ...image, bitmaps });
  if (file.flushed === file.written || before.length > 0) ctx.host.flushFile(file.birth);
}

/** The file that is open below a node. */
function fileOf(ctx: Context, node: BlockNode): HostFile | undefined {
  for (let next: BlockNode | undefined = node; next !== undefined; ) {
    if (next.opened !== undefined) return ctx.host.file(next.opened);
    const file: string | undefined = next.children.find(({ role }) => role === 'file')?.child;
    next = file === undefined ? undefined : ctx.q.nodes.get(file);
  }
  return undefined;
}
