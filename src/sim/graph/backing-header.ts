/** Writes into an image's header which file lies below it. */
import type { Context } from '../state/context.ts';
import { imageOf, putImage } from './image-io.ts';
import { asFormat } from './images.ts';

/** Rewrites what an image's header says about its backing file. */
export function setBackingHeader(
  ctx: Context,
  name: string,
  backing: string | undefined,
  format: string | undefined,
): void {
  const image = imageOf(ctx, name);
  const backingFormat = format === undefined ? undefined : asFormat(format);
  putImage(ctx, name, { ...image, backing, backingFormat });
}
