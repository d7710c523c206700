/**
 * New image files: what blockdev-create and the commands that make files themselves put on the host's disk.
 */

import { EMPTY } from '../host/contents.ts';
import { BLANK, directoryOf, type ImageFormat } from '../host/host.ts';
import type { Context } from '../state/context.ts';
import { refuse } from '../state/refusal.ts';
import { RESIZE, WRITE } from '../state/state.ts';
import { openNode } from './open-node.ts';
import { cumulative } from './permissions.ts';

export interface NewImage {
  readonly path: string;
  readonly format: string;
  readonly sizeBytes: number;
  readonly backing: string | undefined;
  readonly backingFormat: string | undefined;
}

const METADATA_BYTES = 262_144;

/** bdrv_img_create(): makes or truncates the file; it stays when the command fails later. */
export function createImage(ctx: Context, image: NewImage): void {
  const format = asFormat(image.format);
  if (format === undefined) refuse(`Unknown file format '${image.format}'`);
  if (image.backing !== undefined && format !== 'qcow2' && format !== 'qed' && format !== 'vmdk') {
    refuse(`Backing file not supported for file format '${format}'`);
  }
  createFile(ctx, image.path, 0);
  if (format !== 'raw') takeSpace(ctx, METADATA_BYTES);
  ctx.host.write(image.path, {
    format,
    sizeBytes: image.sizeBytes,
    backing: image.backing,
    backingFormat: image.backingFormat === undefined ? undefined : asFormat(image.backingFormat),
    contents: EMPTY,
  });
  // Its maker closes it again, and closing flushes (bdrv_close, block.c).
  ctx.host.flush(image.path);
}

/** A blank file; the lock of a user of one of that name is respected. */
export function createFile(ctx: Context, path: string, sizeBytes: number): void {
  if (!ctx.host.directories.has(directoryOf(path))) {
    refuse(`Could not create '${path}': No such file or directory`);
  }
  const birth = ctx.host.files.get(path)?.birth;
  for (const node of ctx.q.nodes.values()) {
    if (birth === undefined || node.opened !== birth || node.sharesAll) continue;
    const held = cumulative(ctx.q, node);
    if ((held.shared & WRITE) === 0) refuse('Failed to get "write" lock');
    if ((held.shared & RESIZE) === 0) refuse('Failed to get "resize" lock');
  }
  ctx.host.write(path, { ...BLANK, sizeBytes });
}

export function asFormat(name: string): ImageFormat | undefined {
  return FORMATS.find(format => format === name);
}

const FORMATS: readonly ImageFormat[] = ['raw', 'qcow2', 'qed', 'vmdk', 'vdi', 'vhdx', 'luks'];

function takeSpace(ctx: Context, bytes: number): void {
  if (ctx.host.freeBytes < bytes) refuse('Could not write qcow2 header: No space left on device');
  ctx.host.freeBytes -= bytes;
}

/** Opens an overlay that was just created, or that exists, without a backing node. */
export function openOverlay(ctx: Context, path: string, format: string, name: string | undefined): string {
  return openNode(ctx, {
    driver: format,
    file: { driver: 'file', filename: path },
    ...(format === 'raw' ? {} : { backing: null }),
    ...(name === undefined ? {} : { 'node-name': name }),
  }).name;
}
