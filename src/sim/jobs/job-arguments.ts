/** What commands that start a job take alike: its id and its speed. */
import type { Json } from '../../qmp/transport.ts';
import type { Context } from '../state/context.ts';
import { refuse } from '../state/refusal.ts';
import type { BlockNode } from '../state/state.ts';
import { withdraw } from './jobs.ts';

/** Looked at last, when the job exists already: a refusal shows as a job that came and went. */
export function checkedSpeed(ctx: Context, id: string, given: Json | undefined): number {
  const speed = numberOr(given, 0);
  if (speed >= 0) return speed;
  withdraw(ctx, id);
  return refuse("Parameter 'speed' expects a non-negative value");
}

/** The id that was given, or the name of the BlockBackend that sits on the node. */
export function jobId(ctx: Context, given: Json | undefined, node: BlockNode): string {
  if (typeof given === 'string') return given;
  for (const edge of node.parents) {
    if (edge.kind === 'backend') return ctx.q.backends.get(edge.parent)?.name ?? '';
  }
  return '';
}

export function numberOr(value: Json | undefined, fallback: number): number {
  return typeof value === 'number' ? value : typeof value === 'bigint' ? Number(value) : fallback;
}
