/** What is said of drives, guests and processes that are not as a disk of a running guest is: each with its own reason. */
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import { oddGuest } from './odd-disks.ts';
import { describeOnQemu } from './real-qemu.ts';

describeOnQemu('what is said', () => {
  test('of an empty drive: that it is there, and has no medium', async () => {
    const { vm, engine, folder } = await oddGuest(async () => [], {
      more: ['-device', 'virtio-scsi-pci,id=hba', '-device', 'scsi-cd,id=cd0,bus=hba.0'],
    });
    const overlay = join(folder, 'over.qcow2');
    await expect(
      engine.planSnapshot({ qmp: vm.monitor, disks: [{ disk: 'cd0', overlay }] }),
    ).rejects.toMatchObject({
      code: 'DISK_UNSUPPORTED',
      message: expect.stringContaining('is an empty drive: it has no medium'),
    });
    await expect(
      engine.planSnapshot({ qmp: vm.monitor, disks: [{ disk: 'cd1', overlay }] }),
    ).rejects.toMatchObject({
      code: 'UNKNOWN_DISK',
    });
  });

  test('of a file that was renamed: that none stands there, and not that it ends with QEMU', async () => {
    const { vm, engine, folder } = await oddGuest(async place => {
      await qemuImg('create', '-q', '-f', 'qcow2', join(place, 'a.qcow2'), '16M');
      return [{ driver: 'qcow2', file: { driver: 'file', filename: join(place, 'a.qcow2') } }];
    });
    await rename(join(folder, 'a.qcow2'), join(folder, 'b.qcow2'));
    const request = { qmp: vm.monitor, disks: [{ disk: 'odd0', overlay: join(folder, 'over.qcow2') }] };
    await expect(engine.planSnapshot(request)).rejects.toMatchObject({
      code: 'DISK_UNSUPPORTED',
      message: expect.stringMatching(/no file stands at .*a\.qcow2.*it was renamed or removed/),
    });
  });
});
