/** x-debug-query-block-graph: nodes, jobs, backends and who needs what of whom; the best oracle for a comparison. */

import type { Json } from '../qmp/transport.ts';
import type { Context } from './context.ts';
import { edgeNeeds } from './permissions.ts';
import { CONSISTENT_READ, type Edge, RESIZE, WRITE, WRITE_UNCHANGED } from './state.ts';

const WIRE_NAMES: readonly (readonly [number, string])[] = [
  [RESIZE, 'resize'],
  [WRITE_UNCHANGED, 'write-unchanged'],
  [WRITE, 'write'],
  [CONSISTENT_READ, 'consistent-read'],
];

export function queryBlockGraph(ctx: Context): Json {
  const ids = new Map<string, number>();
  const nodes: Json[] = [];
  const edges: Json[] = [];
  const idOf = (key: string, name: string, type: string): number => {
    const known = ids.get(key);
    if (known !== undefined) return known;
    const id = ids.size + 1;
    ids.set(key, id);
    nodes.push({ id, type, name });
    return id;
  };
  for (const job of Object.values(ctx.q.jobs)) {
    if (job.type !== 'create') idOf(`job ${job.id}`, job.id, 'block-job');
  }
  for (const node of Object.values(ctx.q.nodes)) {
    const child = idOf(`node ${node.name}`, node.name, 'block-driver');
    for (const edge of node.parents) {
      const parent = parentId(edge, idOf, ctx);
      const { perm, shared } = edgeNeeds(ctx.q, edge);
      edges.push({ name: edge.role, parent, child, perm: names(perm), 'shared-perm': names(shared) });
    }
  }
  return { edges, nodes };
}

function parentId(
  edge: Edge,
  idOf: (key: string, name: string, type: string) => number,
  ctx: Context,
): number {
  switch (edge.kind) {
    case 'node':
      return idOf(`node ${edge.parent}`, edge.parent, 'block-driver');
    case 'job':
      return idOf(`job ${edge.parent}`, edge.parent, 'block-job');
    case 'backend':
      return idOf(
        `backend ${edge.parent}`,
        ctx.q.backends[edge.parent]?.name || edge.parent,
        'block-backend',
      );
    case 'blk':
    case 'export':
      return idOf(`${edge.kind} ${edge.parent}`, '', 'block-backend');
  }
}

function names(bits: number): string[] {
  return WIRE_NAMES.filter(([bit]) => (bits & bit) !== 0).map(([, name]) => name);
}
