/** How a job reopens an image of the chain for writing, and for reading again. */

import { type Context, nodeOf } from '../state/context.ts';
import { setReadOnly } from './graph.ts';

/** A read-only node becomes writable, or the command is refused; gives whether it was read-only. */
export function makeWritable(ctx: Context, name: string): boolean {
  if (!nodeOf(ctx.q, name).readOnly) return false;
  setReadOnly(ctx, name, false);
  return true;
}
