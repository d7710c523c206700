/** Persistent dirty bitmaps of a real QEMU go on in the overlays, so that a backup that counts on them has no gap. */
import { expect, test } from 'vitest';
import type { BlockDeviceInfo } from '../../src/qmp/schema.generated.ts';
import { describeOnQemu } from './real-qemu.ts';
import { stage } from './witnessed.ts';

describeOnQemu('a snapshot of disks with bitmaps', () => {
  test.each([
    ['transaction', []],
    ['transactionSync', ['blockdev-add']],
  ])('carries on those that record, in the same transaction: %s', async (method, without) => {
    await using on = await stage({ disks: 2, format: 'qcow2' });
    const bitmap = {
      node: on.vm.disks[1]?.node ?? '',
      name: 'backup',
      granularity: 131_072,
      persistent: true,
    };
    await on.vm.witness.execute('block-dirty-bitmap-add', bitmap);
    const { disks, ...basics } = on.snapshotAll();
    const saga = await on.engine.snapshot({ ...basics, disks, without });
    expect(await saga.result).toMatchObject({ outcome: 'committed', strategy: method });
    const nodes = (await on.vm.witness.execute('query-named-block-nodes')) as readonly BlockDeviceInfo[];
    const bitmapsOf = (file = '') =>
      nodes.find(node => node.drv === 'qcow2' && node.file === file)?.['dirty-bitmaps'] ?? [];
    expect(bitmapsOf(disks[0]?.overlay)).toEqual([]);
    expect(bitmapsOf(disks[1]?.overlay)).toMatchObject([
      { name: 'backup', granularity: 131_072, persistent: true, recording: true },
    ]);
  });
});
