/**
 * Block devices as targets on a real QEMU: one under two names, one that is another disk's, and one that this machine uses
 * for something else. Everything is looked at from outside: what stands on a device that must stay is read afterwards.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { createEngine, memoryJournal } from '../../src/index.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { whyNoLoopDevice } from '../rows/loop-device.ts';
import { describeOnQemu } from './real-qemu.ts';

const run = promisify(execFile);
const SIZE_BYTES = 16 * 1024 * 1024;
const noLoops = whyNoLoopDevice();

/** A loop device over a file; it is given back when the test has ended. */
async function loopOver(file: string, ...options: readonly string[]): Promise<string> {
  const { stdout } = await run('losetup', ['-f', '--show', ...options, file]);
  const device = stdout.trim();
  onTestFinished(async () => {
    await run('losetup', ['-d', device]);
  });
  return device;
}

/** A file of a disk's size that holds something. */
async function filled(name: string): Promise<string> {
  const file = join(temporaryFolder(), name);
  await writeFile(file, Buffer.alloc(SIZE_BYTES, 0x5a));
  return file;
}

describeOnQemu('a block device as target', () => {
  let vm: GuestVm;
  beforeAll(async () => {
    vm = await startGuestVm({ disks: 2, sizeBytes: SIZE_BYTES, guest: 'idle', format: 'raw' });
  });
  afterAll(async () => {
    await vm[Symbol.asyncDispose]();
  });

  const copy = (targets: readonly string[], initialize = true) =>
    createEngine({ journal: memoryJournal() }).planCopy({
      qmp: vm.monitor,
      disks: targets.map((to, index) => ({
        disk: `dev${index}`,
        to,
        format: 'raw',
        ...(initialize ? { initialize } : { reuse: true }),
      })),
    });

  test.skipIf(noLoops !== undefined)('of two disks is refused under whatever two names it has', async () => {
    const file = await filled('shared');
    const [one, two] = [await loopOver(file), await loopOver(file)];
    const node = join(temporaryFolder(), 'node');
    const { stdout } = await run('stat', ['-c', '%Hr %Lr', one]);
    await run('mknod', [node, 'b', ...stdout.trim().split(' ')]);
    await expect(copy([one, node])).rejects.toMatchObject({
      code: expect.stringMatching(/TARGET_(NAMED_TWICE|IN_USE)/),
    });
    await expect(copy([one, two])).rejects.toMatchObject({ code: 'TARGET_NAMED_TWICE', disk: 'dev1' });
    await expect(copy([two, file], false)).rejects.toMatchObject({ code: 'TARGET_NAMED_TWICE' });
  });

  test.skipIf(noLoops !== undefined)(
    "is refused where it leads to one of the guest's own images",
    async () => {
      const device = await loopOver(vm.disks[1]?.file ?? '');
      const free = await loopOver(await filled('free'));
      await expect(copy([device, free])).rejects.toMatchObject({
        code: 'TARGET_IN_USE',
        disk: 'dev0',
        message: expect.stringContaining(`as ${vm.disks[1]?.file}`),
      });
    },
  );

  test.skipIf(noLoops !== undefined)(
    'is refused while it is mounted, and the file behind it too; it is not written to',
    async () => {
      const file = await filled('mounted');
      const free = await loopOver(await filled('free'));
      await run('mkfs.ext4', ['-q', '-F', file]);
      const device = await loopOver(file);
      const place = join(temporaryFolder(), 'mnt');
      await mkdir(place);
      await run('mount', [device, place]);
      try {
        await writeFile(join(place, 'precious'), 'all of it');
        await expect(copy([device, free])).rejects.toMatchObject({
          code: 'TARGET_IN_USE',
          message: expect.stringContaining(`mounted at ${place}`),
        });
        await expect(copy([file, free], false)).rejects.toMatchObject({ code: 'TARGET_IN_USE' });
        expect(await readFile(join(place, 'precious'), 'utf8')).toBe('all of it');
      } finally {
        await run('umount', [place]);
      }
      await expect(copy([device, free])).resolves.toMatchObject({ operation: 'copy' });
    },
  );

  test.skipIf(noLoops !== undefined)(
    'is refused right in front of the first write when it was mounted after the plan',
    async () => {
      const file = await filled('late');
      await run('mkfs.ext4', ['-q', '-F', file]);
      const device = await loopOver(file);
      const free = await loopOver(await filled('free'));
      const place = join(temporaryFolder(), 'mnt');
      await mkdir(place);
      const journal = memoryJournal();
      const begin = journal.begin.bind(journal);
      let mounted: Promise<unknown> = Promise.resolve();
      const late = {
        ...journal,
        begin(saga: Parameters<typeof begin>[0]) {
          mounted = run('mount', [device, place]);
          return begin(saga);
        },
        append: async (...given: Parameters<typeof journal.append>) => {
          await mounted;
          return journal.append(...given);
        },
      };
      try {
        const saga = await createEngine({ journal: Object.setPrototypeOf(late, journal) }).copy({
          qmp: vm.monitor,
          disks: [device, free].map((to, index) => ({
            disk: `dev${index}`,
            to,
            format: 'raw',
            initialize: true,
          })),
        });
        expect(await saga.result).toMatchObject({ outcome: 'rolledBack', error: { code: 'TARGET_IN_USE' } });
      } finally {
        await mounted;
        await run('umount', [place]);
      }
      await run('fsck.ext4', ['-fn', device]);
    },
  );

  test.skipIf(noLoops !== undefined)('is refused while another program has it open for writing', async () => {
    const device = await loopOver(await filled('held'));
    const free = await loopOver(await filled('free'));
    const holder = spawn('bash', ['-c', 'exec 3<>"$0"; echo held; read', device]);
    try {
      await once(holder.stdout, 'data');
      await expect(copy([device, free])).rejects.toMatchObject({
        code: 'TARGET_IN_USE',
        message: expect.stringMatching(
          new RegExp(`process ${holder.pid} \\(bash\\) has it open for writing`),
        ),
      });
    } finally {
      holder.kill();
    }
  });

  test.skipIf(noLoops !== undefined)(
    'is refused while a saga of another guest has a part in it, by another name',
    async () => {
      const file = await filled('taken');
      const device = await loopOver(file);
      const free = await loopOver(await filled('free'));
      const journal = memoryJournal();
      const engine = createEngine({ journal });
      await using other = await startGuestVm({
        disks: 1,
        sizeBytes: SIZE_BYTES,
        guest: 'idle',
        format: 'raw',
      });
      const saga = await engine.copy({
        qmp: other.monitor,
        vm: 'other',
        finish: 'leave',
        disks: [{ disk: 'dev0', to: device, format: 'raw', initialize: true }],
      });
      await saga.result;
      const disks = [file, free].map((to, index) => ({
        disk: `dev${index}`,
        to,
        format: 'raw' as const,
        reuse: true,
      }));
      const asked = engine.planCopy({ qmp: vm.monitor, vm: 'this', disks });
      await expect(asked).rejects.toMatchObject({ code: 'TARGET_IN_USE', disk: 'dev0' });
      await saga.abort();
    },
  );

  test('that is one export by two spellings of its host is refused', async () => {
    await expect(copy(['nbd://127.0.0.1:10999/x', 'nbd://localhost:10999/x'], false)).rejects.toMatchObject({
      code: 'TARGET_NAMED_TWICE',
      disk: 'dev1',
    });
  });
});
