/**
 * Which nodes were written to since they were opened, by the end of the highest write that QEMU remembers of each
 * (`wr_highest_offset`, bdrv_co_write_req_finish() in block/io.c). A new image that is open and not mirrored to yet has none: one
 * that has was the disk of the guest for a moment. What QEMU itself writes to make the image goes to the node below.
 */
import type { QmpClient } from '../qmp/client.ts';

/** Of these nodes; one that is not there was not written to. */
export async function writtenNodes(qmp: QmpClient, names: readonly string[]): Promise<ReadonlySet<string>> {
  if (names.length === 0) return new Set();
  const nodes = await qmp.execute('query-blockstats', { 'query-nodes': true });
  const written = nodes.filter(({ stats }) => stats.wr_highest_offset > 0);
  const found = new Set(written.map(node => node['node-name'] ?? ''));
  return new Set(names.filter(name => found.has(name)));
}
