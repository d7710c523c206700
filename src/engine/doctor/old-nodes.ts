/**
 * Nodes of images that a committed saga has taken its disks off and that QEMU has open still: while they are, their files are
 * locked, and no saga switches back onto them. They are known by their names and their files; QEMU refuses to close one in use.
 */
import { Edges } from '../../guest/edges.ts';
import { listNodes, plainName } from '../../guest/graph.ts';
import type { SagaRow } from '../../journal/journal.ts';
import type { DiskPlan, Plan } from '../../plan/plan.ts';
import type { QmpClient } from '../../qmp/client.ts';
import { valueIfKnown } from '../../qmp/reply-values.ts';
import { stagesOf } from '../../steps/stages.ts';
import type { Removable } from './finding.ts';

/** `used` are the nodes that disks of the guest are on. */
export async function oldNodes(
  qmp: QmpClient,
  rows: readonly SagaRow[],
  used: ReadonlySet<string>,
): Promise<readonly Removable[]> {
  const left = new Map<string, { readonly saga: string; readonly files: ReadonlySet<string> }>();
  for (const { id, plan } of rows) {
    for (const disk of stagesOf(plan as object as Plan).flatMap(stage => stage.plan.disks)) {
      // Those that QEMU has named by itself it closes by itself; a name of a saga's own tells whose it is.
      const names = disk.retiring.filter(node => !node.startsWith('#') && !used.has(node));
      for (const name of names) if (!left.has(name)) left.set(name, { saga: id, files: filesOf(disk) });
    }
  }
  if (left.size === 0) return [];
  const [nodes, graph] = await qmp.pipeline([listNodes(qmp), { execute: 'x-debug-query-block-graph' }]);
  const open = (valueIfKnown(nodes) ?? []).flatMap(node => {
    const name = node['node-name'] ?? '';
    const known = left.get(name);
    return known?.files.has(plainName(node.file))
      ? [{ name, saga: known.saga, file: plainName(node.file) }]
      : [];
  });
  const known = valueIfKnown(graph);
  const edges = known === undefined ? undefined : new Edges(known);
  const isHeld = (name: string) => edges?.isHeldBesides(name, new Set(open.map(node => node.name))) ?? false;
  return open.map(({ name, saga, file }): Removable => {
    const about = { kind: 'node', name, saga } as const;
    const what = `saga ${saga} has taken a disk off ${file}, which QEMU has open still`;
    if (isHeld(name)) {
      const why = `${what}, for another user, such as an export or a job: end that, then QMP's blockdev-del closes it`;
      return { ...about, why, removable: false, remove: undefined };
    }
    const remove = async () => {
      await qmp.execute('blockdev-del', { 'node-name': name });
    };
    return {
      ...about,
      why: `${what}, and nothing uses it: as long as it is open its file is locked`,
      removable: true,
      remove,
    };
  });
}

function filesOf({ chain, file }: DiskPlan): ReadonlySet<string> {
  return new Set([file, ...chain.flatMap(image => [image.file, ...(image.dataFile ?? [])])].map(plainName));
}
