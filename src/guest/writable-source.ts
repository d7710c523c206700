/**
 * The node that an undo puts a disk back on, where a third party may have taken a snapshot of the old image while the guest was on the
 * new one: QEMU made the old image read-only for that. It moves no device.
 */
import type { DiskPlan } from '../plan/plan.ts';
import type { QmpClient } from '../qmp/client.ts';
import { Edges } from './edges.ts';
import { type Graph, readGraph } from './graph.ts';
import { reviveSource } from './revive-source.ts';

/** The overlay, as if it had been there before; where QEMU did not keep it, since nothing used it, the image opened anew. */
export async function writableSource(qmp: QmpClient, graph: Graph, disk: DiskPlan): Promise<string> {
  const source = await reviveSource(qmp, graph, disk);
  // The disk's own new image, where that was put on it, is committed back.
  if (graph.node(source)?.ro !== true || graph.coversSource(disk)) return source;
  const [tree] = await qmp.pipeline([{ execute: 'x-debug-query-block-graph' }]);
  const top = tree.ok ? new Edges(tree.value).top(source) : source;
  if (top !== source) return top;
  const open = [...new Set([...disk.retiring, source])].filter(node => graph.node(node) !== undefined);
  await qmp.pipeline(
    open.map(node => ({ execute: 'blockdev-del', arguments: { 'node-name': node } }) as const),
  );
  return reviveSource(qmp, await readGraph(qmp), disk);
}
