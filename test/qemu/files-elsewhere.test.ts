/**
 * A QEMU whose files are not this process's, though its monitor's socket is, or the names are: in a mount namespace of its
 * own, in a chroot, behind a socket that another program forwards, or over TCP. What it cannot prove it does not remove.
 */
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import { startGuestVm } from '../../src/demo/guest-vm.ts';
import { createEngine, memoryJournal } from '../../src/index.ts';
import { fakeContext } from '../cli/fake-context.ts';
import { describeOnQemu } from './real-qemu.ts';

const OTHERS = 'an image of another VM';
const SIZE_BYTES = 16 * 1024 * 1024;
const canUnshare =
  process.getuid?.() === 0 &&
  (await new Promise(resolve => {
    spawn('unshare', ['-m', 'true'])
      .on('close', code => resolve(code === 0))
      .on('error', () => resolve(false));
  }));

async function folder(stack: AsyncDisposableStack): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'blocksaga-ns-'));
  stack.defer(() => rm(path, { recursive: true }));
  return path;
}

/** A guest whose QEMU has another directory at the path of its images; ours has another VM's files under the same names. */
async function guestElsewhere(stack: AsyncDisposableStack) {
  const ours = await folder(stack);
  const theirs = await folder(stack);
  const programs = await folder(stack);
  const qemu = join(programs, 'qemu');
  const binary = process.env['QEMU_BINARY'] ?? 'qemu-system-x86_64';
  // The images are made on our side before QEMU starts: they are moved to its side then.
  await writeFile(
    qemu,
    `#!/bin/sh\nset -e\ncp -a ${ours}/. ${theirs}/\nexec unshare -m sh -c 'mount --bind ${theirs} ${ours} && exec "$0" "$@"' ${binary} "$@"\n`,
  );
  await chmod(qemu, 0o755);
  const vm = stack.use(
    await startGuestVm({
      disks: 2,
      guest: 'idle',
      style: 'drive',
      backing: true,
      directory: ours,
      qemu,
      sizeBytes: SIZE_BYTES,
    }),
  );
  for (const name of await readdir(ours)) await writeFile(join(ours, name), OTHERS);
  return { vm, ours, theirs };
}

/** A socket of another process, this one, that passes everything on to a monitor. */
async function forwarded(monitor: string, stack: AsyncDisposableStack): Promise<string> {
  const socket = join(await folder(stack), 'forwarded');
  const server = createServer(near => {
    const far = connect(monitor);
    near.pipe(far).on('error', () => near.destroy());
    far.pipe(near).on('error', () => far.destroy());
  });
  await new Promise<void>(resolve => server.listen(socket, resolve));
  stack.defer(async () => {
    server.close();
  });
  return socket;
}

async function expectOthersThere(ours: string, names: readonly string[]): Promise<void> {
  expect((await readdir(ours)).sort()).toEqual([...names].sort());
  for (const name of names) expect(await readFile(join(ours, name), 'utf8')).toBe(OTHERS);
}

describeOnQemu('files of a QEMU elsewhere', () => {
  test.skipIf(!canUnshare)(
    'a commit removes nothing of ours for a QEMU in another mount namespace',
    async () => {
      await using stack = new AsyncDisposableStack();
      const { vm, ours } = await guestElsewhere(stack);
      const names = await readdir(ours);
      const engine = createEngine({ journal: memoryJournal() });
      const disks = vm.disks.map(({ device }) => ({ disk: device }));
      const request = { qmp: vm.monitor, disks, active: true, delete: true, maxBlackoutMs: 30_000 };
      const plan = await engine.planCommit(request);
      expect('leaving' in plan ? plan.leaving?.map(({ identity }) => identity) : undefined).toEqual([
        null,
        null,
      ]);
      const result = await (await engine.commit(request)).result;
      expect(result, JSON.stringify(result.error)).toMatchObject({
        outcome: 'committed',
        notRemoved: vm.disks.map(({ file }) => file),
      });
      await expectOthersThere(ours, names);
    },
  );

  test.skipIf(!canUnshare)('a copy that is taken back makes and removes nothing of ours there', async () => {
    await using stack = new AsyncDisposableStack();
    const { vm, ours, theirs } = await guestElsewhere(stack);
    const names = await readdir(ours);
    const engine = createEngine({ journal: memoryJournal() });
    const disks = vm.disks.map(({ device }, index) => ({
      disk: device,
      to: join(ours, `new${index}.qcow2`),
    }));
    const saga = await engine.copy({ qmp: vm.monitor, disks, finish: 'abort' });
    const result = await saga.result;
    expect(result.outcome).toBe('rolledBack');
    expect(result.leftovers).toEqual(disks.map(({ to }) => to));
    expect(result.weaker?.join()).toContain('QEMU sees other files than this process');
    expect((await readdir(theirs)).filter(name => name.startsWith('new'))).toHaveLength(2);
    await expectOthersThere(ours, names);
  });

  test.skipIf(!canUnshare)(
    'nor does one behind a socket that is forwarded, where only QEMU can tell',
    async () => {
      await using stack = new AsyncDisposableStack();
      const { vm, ours, theirs } = await guestElsewhere(stack);
      const names = await readdir(ours);
      const engine = createEngine({ journal: memoryJournal() });
      const disks = vm.disks.map(({ device }, index) => ({
        disk: device,
        to: join(ours, `new${index}.qcow2`),
      }));
      const saga = await engine.copy({ qmp: await forwarded(vm.monitor, stack), disks, finish: 'abort' });
      const result = await saga.result;
      expect(result.outcome).toBe('rolledBack');
      expect(result.leftovers).toEqual(disks.map(({ to }) => to));
      expect((await readdir(theirs)).filter(name => name.startsWith('new'))).toHaveLength(2);
      await expectOthersThere(ours, names);
    },
  );

  test.skipIf(!canUnshare)(
    'a copy onto the name of a file that only QEMU sees is refused, and that stays',
    async () => {
      await using stack = new AsyncDisposableStack();
      const { vm, ours, theirs } = await guestElsewhere(stack);
      await writeFile(join(theirs, 'precious'), OTHERS.padEnd(4096));
      const engine = createEngine({ journal: memoryJournal() });
      const disks = vm.disks.map(({ device }, index) => ({
        disk: device,
        to: join(ours, index === 0 ? 'new0.qcow2' : 'precious'),
      }));
      const result = await (await engine.copy({ qmp: vm.monitor, disks })).result;
      expect(result).toMatchObject({ outcome: 'rolledBack', error: { code: 'TARGET_EXISTS', disk: 'dev1' } });
      expect((await readFile(join(theirs, 'precious'), 'utf8')).trim()).toBe(OTHERS);
    },
  );

  test('over TCP a commit says which files it has not removed, and the exit status tells', async () => {
    await using stack = new AsyncDisposableStack();
    const port = 20_000 + Math.floor(Math.random() * 20_000);
    const extraArguments = ['-qmp', `tcp:127.0.0.1:${port},server=on,wait=off`];
    const vm = stack.use(
      await startGuestVm({
        disks: 2,
        guest: 'idle',
        style: 'drive',
        backing: true,
        sizeBytes: SIZE_BYTES,
        extraArguments,
      }),
    );
    const context = fakeContext({ env: { XDG_STATE_HOME: await folder(stack) } });
    const disks = vm.disks.flatMap(({ device }) => ['--disk', device]);
    const words = ['commit', '--qmp', `127.0.0.1:${port}`, ...disks, '--active', '--delete'];
    expect(await runProgram([...words, '--plan'], context)).toBe(0);
    for (const { file } of vm.disks) expect(context.out.join('\n')).toContain(`will not be removed: ${file}`);
    expect(await runProgram(words, context)).toBe(4);
    for (const { file } of vm.disks) {
      expect(context.out.join('\n')).toContain(`left behind: ${file} (was to be removed and was not`);
      expect((await stat(file)).isFile()).toBe(true);
    }
  });

  test('behind a socket that is forwarded a commit removes nothing: it cannot tell whose files those are', async () => {
    await using stack = new AsyncDisposableStack();
    const vm = stack.use(
      await startGuestVm({ disks: 2, guest: 'idle', style: 'drive', backing: true, sizeBytes: SIZE_BYTES }),
    );
    const socket = await forwarded(vm.monitor, stack);
    const engine = createEngine({ journal: memoryJournal() });
    const disks = vm.disks.map(({ device }) => ({ disk: device }));
    const request = { qmp: socket, disks, active: true, delete: true, maxBlackoutMs: 30_000 };
    const result = await (await engine.commit(request)).result;
    expect(result).toMatchObject({ outcome: 'committed', notRemoved: vm.disks.map(({ file }) => file) });
  });

  test('behind a socket that is forwarded a copy knows its own files by their size, and takes them back', async () => {
    await using stack = new AsyncDisposableStack();
    const vm = stack.use(await startGuestVm({ disks: 2, guest: 'idle', sizeBytes: SIZE_BYTES }));
    const engine = createEngine({ journal: memoryJournal() });
    const disks = vm.disks.map(({ device }, index) => ({
      disk: device,
      to: join(vm.directory, `new${index}.qcow2`),
    }));
    const qmp = await forwarded(vm.monitor, stack);
    const result = await (await engine.copy({ qmp, disks, finish: 'abort' })).result;
    expect(result).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    expect((await readdir(vm.directory)).filter(name => name.startsWith('new'))).toEqual([]);
  });

  test('a QEMU on this side has its files removed as asked', async () => {
    await using stack = new AsyncDisposableStack();
    const vm = stack.use(
      await startGuestVm({ disks: 2, guest: 'idle', style: 'drive', backing: true, sizeBytes: SIZE_BYTES }),
    );
    const engine = createEngine({ journal: memoryJournal() });
    const disks = vm.disks.map(({ device }) => ({ disk: device }));
    const request = { qmp: vm.monitor, disks, active: true, delete: true, maxBlackoutMs: 30_000 };
    const result = await (await engine.commit(request)).result;
    expect(result, JSON.stringify(result)).toMatchObject({ outcome: 'committed', leftovers: [] });
    for (const { file } of vm.disks) await expect(stat(file)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
