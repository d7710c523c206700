/** x-debug-query-block-graph: nodes, jobs, backends and who needs what of whom; the best oracle for a comparison. */

import type { Json } from '../../qmp/transport.ts';
import { edgeNeeds } from '../graph/permissions.ts';
import type { Context } from '../state/context.ts';
import {
  ALL_PERMISSIONS,
  CONSISTENT_READ,
  type Edge,
  GRAPH_MOD,
  RESIZE,
  WRITE,
  WRITE_UNCHANGED,
} from '../state/state.ts';

const WIRE_NAMES: readonly (readonly [number, string])[] = [
  [GRAPH_MOD, 'graph-mod'],
  [RESIZE, 'resize'],
  [WRITE_UNCHANGED, 'write-unchanged'],
  [WRITE, 'write'],
  [CONSISTENT_READ, 'consistent-read'],
];

export function queryBlockGraph(ctx: Context): Json {
  const ids = new Map<string, number>();
  const nodes: Json[] = [];
  const edges: Json[] = [];
  const known = ctx.profile.hasGraphMod ? ALL_PERMISSIONS : ALL_PERMISSIONS & ~GRAPH_MOD;
  const idOf = (key: string, name: string, type: string): number => {
    const known = ids.get(key);
    if (known !== undefined) return known;
    const id = ids.size + 1;
    ids.set(key, id);
    nodes.push({ id, type, name });
    return id;
  };
  for (const job of ctx.q.jobs.values()) {
    if (job.type !== 'create') idOf(`job ${job.id}`, job.id, 'block-job');
  }
  for (const node of ctx.q.nodes.values()) {
    const child = idOf(`node ${node.name}`, node.name, 'block-driver');
    for (const edge of node.parents) {
      const parent = parentId(edge, idOf, ctx, node.name);
      const { perm, shared } = edgeNeeds(ctx.q, edge);
      edges.push({
        name: edge.role,
        parent,
        child,
        perm: NAMES[perm & known] ?? [],
        'shared-perm': NAMES[shared & known] ?? [],
      });
    }
  }
  return { edges, nodes };
}

function parentId(
  edge: Edge,
  idOf: (key: string, name: string, type: string) => number,
  ctx: Context,
  child: string,
): number {
  switch (edge.kind) {
    case 'node':
      return idOf(`node ${edge.parent}`, edge.parent, 'block-driver');
    case 'job':
      return idOf(`job ${edge.parent}`, edge.parent, 'block-job');
    case 'backend':
      return idOf(
        `backend ${edge.parent}`,
        ctx.profile.servesExports ? '' : ctx.q.backends.get(edge.parent)?.name || edge.parent,
        'block-backend',
      );
    case 'blk':
    case 'export':
      // A job of 5.2 has two: one on its main node, one on its target.
      return idOf(`${edge.kind} ${edge.parent} ${child}`, '', 'block-backend');
  }
}

/** By the bits. */
const NAMES = Array.from({ length: ALL_PERMISSIONS + 1 }, (_, bits) =>
  WIRE_NAMES.filter(([bit]) => (bits & bit) !== 0).map(([, name]) => name),
);
