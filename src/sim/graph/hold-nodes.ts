/**
 * Keeps nodes that nothing else may refer to by now, as when the device of a `-drive` has left, until what is done with them is
 * over: bdrv_ref() and bdrv_unref() of QEMU. Changes nothing else.
 */
import type { Context } from '../state/context.ts';
import { patchNode, reap } from './graph.ts';

/** Nodes that are there are so until `act` has ended; those that it has taken out of the graph are gone then. */
export function holdNodes<T>(ctx: Context, names: readonly string[], act: () => T): T {
  const held = names.filter(name => ctx.q.nodes.get(name)?.monitorOwned === false);
  for (const name of held) patchNode(ctx, name, { monitorOwned: true });
  const result = act();
  for (const name of held) {
    if (ctx.q.nodes.get(name) === undefined) continue;
    patchNode(ctx, name, { monitorOwned: false });
    reap(ctx, name);
  }
  return result;
}
