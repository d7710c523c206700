/**
 * By which names a disk can be called, and what a disk says that another client is at work on, on a real QEMU: by each node of
 * its chain, and by the nodes below those; a backup's filter or job makes it busy for as long as the backup runs.
 */
import { expect, test } from 'vitest';
import { describeOnQemu } from './real-qemu.ts';
import { type Stage, stage } from './witnessed.ts';

const SIZE_BYTES = 16 * 1024 * 1024;

const busy = (on: Stage, device: string) => {
  const { disks: _, ...basics } = on.copyAll();
  return on.engine.copy({ ...basics, disks: [{ disk: device, to: on.newFile(0) }] });
};

describeOnQemu('a disk', () => {
  test.for(['disk1', 'disk1-file', 'base1', 'base1-file', 'dev1'])('is found by the name %s', async name => {
    await using on = await stage({ disks: 2, backing: true });
    const { disks: _, ...basics } = on.snapshotAll();
    const disks = [{ disk: name, overlay: on.newFile(1) }];
    const result = await (await on.engine.snapshot({ ...basics, disks })).result;
    expect(result).toMatchObject({
      outcome: 'committed',
      disks: [{ disk: name, before: { node: 'disk1' } }],
    });
    expect((await on.look()).fronts.map(({ chain }) => chain[0])).toEqual([
      on.vm.disks[0]?.file,
      on.newFile(1),
    ]);
  });

  test('is busy with the name of the backup that runs on it, and can be tried again', async () => {
    await using on = await stage({ disks: 2, sizeBytes: SIZE_BYTES });
    const make = { 'job-id': 'night', device: 'disk0', target: 'spare', sync: 'none' };
    await on.vm.witness.execute('blockdev-add', {
      'node-name': 'spare',
      driver: 'null-co',
      size: SIZE_BYTES,
    });
    await on.vm.witness.execute('blockdev-backup', make);
    await expect(busy(on, 'dev0')).rejects.toMatchObject({
      code: 'DISK_BUSY',
      retryable: true,
      message: expect.stringContaining('"night"'),
    });
    await on.vm.witness.execute('block-job-cancel', { device: 'night' });
    await expect.poll(() => on.vm.witness.execute('query-jobs')).toEqual([]);
    expect((await (await busy(on, 'dev0')).result).outcome).toBe('committed');
  });
});
