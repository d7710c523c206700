/** What is said of drives, guests and processes that are not as a disk of a running guest is: each with its own reason. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { qemuBinary, qemuImg } from '../../src/demo/qemu-tools.ts';
import { createEngine, memoryJournal } from '../../src/index.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
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

  test('of a storage daemon: what it is, and what it exports', async ({ skip }) => {
    const program = daemonBeside(qemuBinary());
    skip(program === undefined, 'there is no qemu-storage-daemon beside this QEMU');
    const folder = temporaryFolder();
    const file = join(folder, 'a.qcow2');
    await qemuImg('create', '-q', '-f', 'qcow2', file, '16M');
    const qmp = join(folder, 'qmp');
    const daemon = spawn(program ?? '', [
      ...[
        '--blockdev',
        `driver=file,filename=${file},node-name=f`,
        '--blockdev',
        'driver=qcow2,file=f,node-name=served',
      ],
      ...['--nbd-server', `addr.type=unix,addr.path=${join(folder, 'nbd')}`],
      ...['--export', 'type=nbd,id=shown,node-name=served,writable=on'],
      ...['--chardev', `socket,id=mon,path=${qmp},server=on,wait=off`, '--monitor', 'chardev=mon'],
    ]);
    onTestFinished(() => ended(daemon));
    for (let tries = 0; !existsSync(qmp) && tries < 200; tries += 1) await sleep(20);
    const engine = createEngine({ journal: memoryJournal() });
    const request = { qmp, disks: [{ disk: 'served', overlay: join(folder, 'over.qcow2') }] };
    await expect(engine.snapshot(request)).rejects.toMatchObject({
      code: 'CAPABILITY_MISSING',
      message: expect.stringMatching(/qemu-storage-daemon.*it exports shown \(nbd, of node served\)/),
    });
  });
});

/** The daemon beside a QEMU; a fetched one does not run by itself, and then the machine's own serves as well. */
function daemonBeside(binary: string): string | undefined {
  const folder = dirname(binary);
  const places = [folder, '/usr/bin'].map(place => join(place, 'qemu-storage-daemon'));
  return places.find(existsSync);
}

async function ended(daemon: ChildProcess): Promise<void> {
  if (daemon.exitCode !== null) return;
  daemon.kill();
  await once(daemon, 'exit');
}
