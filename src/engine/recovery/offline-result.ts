/** What an offline recovery has come to, as the result of its saga. Pure. */
import type { UnpluggedDisk } from '../../guest/unplugged.ts';
import type { SagaRow } from '../../journal/journal.ts';
import type { DiskPlan } from '../../plan/plan.ts';
import type { BootImage, SagaResult } from '../running/result.ts';
import type { OfflineVerdict } from './decide-offline.ts';

export function offlineResult(
  row: SagaRow,
  disks: readonly DiskPlan[],
  strategy: string | null,
  verdict: OfflineVerdict,
  found: Pick<SagaResult, 'leftovers' | 'notRemoved'> & {
    readonly boot: readonly BootImage[];
    readonly chains: readonly (readonly string[])[];
    readonly unplugged: readonly UnpluggedDisk[];
  },
): SagaResult {
  const { boot, chains, leftovers, notRemoved = [], unplugged } = found;
  return {
    saga: row.id,
    operation: row.operation,
    outcome: verdict.outcome,
    strategy,
    disks: disks.map(({ disk, node, file, index, image }) => {
      const common = { disk, before: { node, file }, image: image.file };
      const left = unplugged.find(each => each.index === index);
      if (left !== undefined)
        return { ...common, after: null, unplugged: { file: left.file, format: left.format } };
      const at = boot.findIndex(each => each.disk === disk);
      return { ...common, after: { node: '', file: boot[at]?.file ?? '', chain: chains[at] ?? [] } };
    }),
    blackoutMs: null,
    error: null,
    leftovers,
    ...(notRemoved.length === 0 ? {} : { notRemoved }),
    why: verdict.why,
    boot,
  };
}
