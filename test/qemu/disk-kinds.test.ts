/** Disks of kinds that take not every change, on a real QEMU: what is refused, and what an SD card takes all the same. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { startGuestVm } from '../../src/demo/guest-vm.ts';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import { createEngine } from '../../src/engine/engine.ts';
import { memoryJournal } from '../../src/journal/memory.ts';
import { openDomain } from '../../src/libvirt/index.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { describeOnQemu } from './real-qemu.ts';

const SIZE_BYTES = 16 * 1024 * 1024;
const STORAGE_DAEMON = process.env['QEMU_STORAGE_DAEMON'] ?? 'qemu-storage-daemon';

async function guestWith(...extraArguments: readonly string[]) {
  const vm = await startGuestVm({ disks: 1, sizeBytes: SIZE_BYTES, guest: 'idle', extraArguments });
  onTestFinished(() => vm[Symbol.asyncDispose]());
  return { vm, engine: createEngine({ journal: memoryJournal() }) };
}

/** A disk of another process on a UNIX socket. */
async function serveVhostUser(socket: string): Promise<void> {
  const child = spawn(STORAGE_DAEMON, [
    ...['--blockdev', `driver=null-co,node-name=n,size=${SIZE_BYTES}`],
    ...['--export', `type=vhost-user-blk,id=e,addr.type=unix,addr.path=${socket},node-name=n,writable=on`],
  ]);
  onTestFinished(() => void child.kill());
  await expect.poll(() => existsSync(socket)).toBe(true);
}

describeOnQemu('a disk of an uncommon kind', () => {
  test('on vhost-user has no image in QEMU: libvirt has no block jobs for it', async () => {
    const socket = join(temporaryFolder(), 'vhost-user');
    await serveVhostUser(socket);
    const { vm, engine } = await guestWith(
      ...['-object', 'memory-backend-memfd,id=shared,size=64M,share=on', '-machine', 'memory-backend=shared'],
      ...['-chardev', `socket,id=vu,path=${socket}`, '-device', 'vhost-user-blk-pci,chardev=vu,id=vu0'],
    );
    const domain = openDomain({ engine, qmp: vm.monitor });
    await expect(domain.blockPull('vu0')).rejects.toMatchObject({ category: 'OPERATION_UNSUPPORTED' });
    await expect(domain.blockPull('vu1')).rejects.toMatchObject({ category: 'INVALID_ARG' });
    const disks = [{ disk: 'vu0', to: '/nowhere/a.qcow2' }];
    await expect(engine.copy({ qmp: vm.monitor, disks })).rejects.toMatchObject({ code: 'UNKNOWN_DISK' });
  });

  test('whose writes end with QEMU takes no overlay, which would stand on nothing afterwards', async () => {
    const folder = temporaryFolder();
    const file = join(folder, 'base.qcow2');
    await qemuImg('create', '-q', '-f', 'qcow2', file, '16M');
    const { vm, engine } = await guestWith(
      ...['-drive', `if=none,id=transient,format=qcow2,file=${file},snapshot=on`],
      ...['-device', 'virtio-blk-pci,drive=transient,id=transient0'],
    );
    const overlay = join(folder, 'overlay.qcow2');
    const disks = [{ disk: 'transient0', overlay }];
    await expect(engine.snapshot({ qmp: vm.monitor, disks })).rejects.toMatchObject({
      code: 'DISK_UNSUPPORTED',
      disk: 'transient0',
    });
    // What it holds can still be brought to a file that stays.
    const to = join(folder, 'copy.qcow2');
    const saga = await engine.copy({ qmp: vm.monitor, disks: [{ disk: 'transient0', to }] });
    expect(await saga.result).toMatchObject({ outcome: 'committed', error: null });
  });

  test.each(['reopen', 'finalize', 'complete'] as const)('on the sd bus is copied: %s', async strategy => {
    const folder = temporaryFolder();
    const file = join(folder, 'card.qcow2');
    await qemuImg('create', '-q', '-f', 'qcow2', file, '16M');
    const { vm, engine } = await guestWith(
      ...['-device', 'sdhci-pci'],
      ...['-blockdev', `driver=qcow2,node-name=card,file.driver=file,file.filename=${file}`],
      ...['-device', 'sd-card,drive=card,id=card0'],
    );
    const to = join(folder, 'copy.qcow2');
    const saga = await engine.copy({ qmp: vm.monitor, disks: [{ disk: 'card0', to }], strategy });
    const result = await saga.result;
    expect(result, JSON.stringify(result.error)).toMatchObject({ outcome: 'committed', error: null });
    expect(result.disks[0]?.after?.file).toBe(to);
  });
});
