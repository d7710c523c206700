/** What QEMU tells of dirty bitmaps: those that clients made, and those of jobs, with nodes and with devices. */

import type { Json } from '../../qmp/transport.ts';
import { skipImplicitFilters } from '../graph/graph.ts';
import { sizeOf } from '../graph/image-io.ts';
import { covered, type Extents, granules } from '../host/contents.ts';
import type { Context } from '../state/context.ts';
import { since } from '../state/later-members.ts';
import type { BlockNode } from '../state/state.ts';

/** Until 5.2 a device lists the bitmaps of its node itself as well. */
export function deviceBitmaps(
  ctx: Context,
  node: string | undefined,
): { readonly 'dirty-bitmaps'?: Json; readonly dirty?: Json } {
  if (ctx.profile.version.major >= 6 || node === undefined) return {};
  const bitmaps = describeBitmaps(ctx, skipImplicitFilters(ctx, node)) as unknown as readonly Bitmap[];
  const [first] = bitmaps;
  if (first === undefined) return {};
  if (since(ctx.profile, 2, 11)) return { 'dirty-bitmaps': bitmaps };
  const { count, granularity } = first;
  if (!since(ctx.profile, 1, 7)) return { dirty: { count, granularity } };
  // They were counted in sectors until 2.11 (`bdrv_query_dirty_bitmaps`, block/dirty-bitmap.c).
  return { 'dirty-bitmaps': bitmaps.map(bitmap => ({ ...bitmap, count: bitmap.count / SECTOR_BYTES })) };
}

type Bitmap = { readonly [key: string]: Json } & { readonly count: number; readonly granularity: number };

const SECTOR_BYTES = 512;

export function hasBitmaps({ bitmaps, trackedBy, driver }: BlockNode): boolean {
  return bitmaps.length > 0 || trackedBy.length > 0 || driver === 'copy-before-write';
}

/** What a reader of the old state may look at, and what has been copied before a write (cbw_open(), block/copy-before-write.c). */
function ofFilter(ctx: Context, node: BlockNode): readonly (readonly [number, Json])[] {
  if (node.driver !== 'copy-before-write') return [];
  const written = covered(ctx.tracks.get(node.job ?? '')?.written ?? []);
  const fields = { recording: false, persistent: false, busy: false, granularity: 65_536 };
  return [counted([0, sizeOf(ctx, node), 1], 65_536), written].map(
    count => [Number.POSITIVE_INFINITY, { ...fields, count }] as const,
  );
}

/** Whole granules, also where the disk ends within the last one. */
function counted(recorded: Extents, granularity: number): number {
  return covered(granules(recorded, granularity, Number.MAX_SAFE_INTEGER));
}

export function describeBitmaps(ctx: Context, node: BlockNode): Json[] {
  if (!hasBitmaps(node)) return [];
  const status = (active: boolean): { readonly status?: string } =>
    ctx.profile.version.major < 6 ? { status: active ? 'active' : 'disabled' } : {};
  const frozen: { readonly status?: string } = ctx.profile.version.major < 6 ? { status: 'frozen' } : {};
  const named = node.bitmaps.map(
    ({ serial, name, heldBy, successorOf: _, leaving, ...bitmap }) =>
      [
        serial,
        {
          ...(name === '' ? {} : { name }),
          ...bitmap,
          busy: heldBy !== undefined || leaving === true,
          ...(heldBy === undefined ? status(bitmap.recording) : frozen),
          count: counted(ctx.recorded.get(serial) ?? [], bitmap.granularity),
        },
      ] as const,
  );
  const unnamed = node.trackedBy.map(id => {
    const job = ctx.q.jobs.get(id);
    const work = job?.work;
    const granularity = work?.kind === 'mirror' ? work.granularity : 65_536;
    const dirty = ctx.tracks.get(id)?.dirty ?? [];
    const count = counted(granules(dirty, granularity, sizeOf(ctx, node)), granularity);
    const recording = work?.kind === 'mirror' && !work.writeBlocking && !ctx.profile.mirrorFilterTracks;
    const active = work?.kind !== 'backup';
    const fields = { recording, persistent: false, busy: false, ...status(active), granularity, count };
    return [job?.serial ?? 0, fields] as const;
  });
  return [...ofFilter(ctx, node), ...unnamed, ...named].sort(([a], [b]) => b - a).map(([, bitmap]) => bitmap);
}
