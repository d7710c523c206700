/**
 * A guest that has iothreads, and disks that are in none of them, on a real QEMU: those are switched by `reopen` and reverted.
 * Only a disk whose controller says that it is in an iothread is refused, by one thread or by one for each queue.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { GuestBus } from '../../src/demo/guest-command-line.ts';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { describeOnQemu } from './real-qemu.ts';
import { withoutReopen } from './version-at-hand.ts';
import { expectSwitched, stage } from './witnessed.ts';

const SPARE = ['-object', 'iothread,id=spare'];
/** QEMU makes devices that are given as JSON behind the others. */
const THREADED = { driver: 'scsi-hd', bus: 'threads.0', drive: 'threaded', id: 'threaded' };
const BUSES: readonly GuestBus[] = ['scsi-hd', 'ide-hd', 'nvme', 'usb-storage'];

describeOnQemu('a guest that has iothreads', () => {
  test.for(BUSES)('has its %s disks outside them switched by reopen', async (bus, { skip }) => {
    await using on = await stage({ disks: 2, bus, extraArguments: SPARE });
    const lacks = await withoutReopen(on);
    skip(lacks !== '', lacks);
    const result = await (await on.engine.copy({ ...on.copyAll(), strategy: 'reopen' })).result;
    await expectSwitched(on, result);
  });

  test.for(BUSES)('has its %s disks outside them reverted', async (bus, { skip }) => {
    await using on = await stage({ disks: 2, bus, extraArguments: SPARE });
    const lacks = await withoutReopen(on);
    skip(lacks !== '', lacks);
    const overlays = on.snapshotAll(index => ({ overlay: on.newFile(index).replace('new', 'snap') }));
    expect((await (await on.engine.snapshot(overlays)).result).outcome).toBe('committed');
    await on.vm.witness.execute('stop');
    const { disks, ...basics } = on.snapshotAll();
    const result = await (await on.engine.revert({ ...basics, disks })).result;
    expect(result).toMatchObject({ outcome: 'committed', strategy: 'reopen' });
    expect(result.disks.map(disk => disk.after?.file)).toEqual(disks.map(({ overlay }) => overlay));
  });

  test.for([
    { how: 'by its controller', driver: { iothread: 'spare' } },
    { how: 'by the queues of its controller', driver: { 'iothread-vq-mapping': [{ iothread: 'spare' }] } },
  ])('has only the disk refused that is in one, $how', async ({ driver }, { skip }) => {
    const file = join(temporaryFolder(), 'threaded.qcow2');
    await qemuImg('create', '-f', 'qcow2', file, '8M');
    const controller = JSON.stringify({ driver: 'virtio-scsi-pci', id: 'threads', ...driver });
    const started = stage({
      disks: 2,
      bus: 'scsi-hd',
      extraArguments: [
        ...SPARE,
        ...['-blockdev', `driver=qcow2,node-name=threaded,file.driver=file,file.filename=${file}`],
        ...['-device', controller, '-device', JSON.stringify(THREADED)],
      ],
    }).catch((error: unknown) => {
      // QEMU before 9.0 has no such property.
      if ('iothread-vq-mapping' in driver) return undefined;
      throw error;
    });
    await using on = await started;
    if (on === undefined) return skip('this QEMU puts no queues into iothreads (9.0)');
    const lacks = await withoutReopen(on);
    skip(lacks !== '', lacks);
    const { disks, ...basics } = on.copyAll();
    const threaded = { disk: 'threaded', to: on.newFile(7) };
    const request = { ...basics, strategy: 'reopen' as const };
    await expect(on.engine.copy({ ...request, disks: [...disks, threaded] })).rejects.toMatchObject({
      code: 'CAPABILITY_MISSING',
      disk: 'threaded',
    });
    const result = await (await on.engine.copy({ ...request, disks })).result;
    expect(result).toMatchObject({ outcome: 'committed', strategy: 'reopen', leftovers: [] });
    expect(result.disks.map(disk => disk.after?.file)).toEqual(disks.map(({ to }) => to));
  });
});
