/** New images that cannot be made or filled, on one of the disks: all disks stay on their old ones and nothing is left. */
import { execFile } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { qemuBinary, qemuImg } from '../../src/demo/qemu-tools.ts';
import { eachValue } from '../tiers/tier.ts';
import { describeOnQemu } from './real-qemu.ts';
import { expectTakenBack, explain, type Stage, stage } from './witnessed.ts';

const run = promisify(execFile);
const POSITIONS = [0, 1, 2] as const;

const copies = (['reopen', 'finalize', 'complete'] as const).map(strategy => ({ strategy }));
const snapshots = [
  { method: 'transaction', without: [], makes: 'blockdev-create', seenGone: undefined },
  { method: 'transactionSync', without: ['blockdev-create'], makes: 'transaction', seenGone: undefined },
  // Between one disk and the next the saga itself looks for what it has made.
  { method: 'sequential', without: ['transaction'], makes: 'blockdev-snapshot-sync', seenGone: 'FOREIGN' },
] as const;

const DATA_BYTES = 1024 * 1024;

/** A small file system of its own, or null where mounting is not permitted. */
async function smallFileSystem(
  sizeBytes: number,
): Promise<({ readonly path: string } & AsyncDisposable) | null> {
  const path = await mkdtemp(join(tmpdir(), 'blocksaga-small-'));
  const mounted = await run('mount', ['-t', 'tmpfs', '-o', `size=${sizeBytes}`, 'tmpfs', path]).then(
    () => true,
    error => {
      console.warn(
        `cannot mount a small file system (${error.message.trim()}): QEMU gets a file size limit instead`,
      );
      return false;
    },
  );
  if (!mounted) {
    await rmdir(path);
    return null;
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      await run('umount', [path]);
      await rmdir(path);
    },
  };
}

/** A QEMU that can make no file larger than this: a full disk for those who may not mount one. */
async function limitedQemu(sizeBytes: number): Promise<{ readonly binary: string } & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'blocksaga-limited-'));
  const binary = join(folder, 'qemu');
  // `ulimit -f` counts blocks of 512 bytes in POSIX shells.
  const lines = [
    '#!/bin/sh',
    "trap '' XFSZ",
    `ulimit -f ${sizeBytes / 512}`,
    `exec ${qemuBinary()} "$@"`,
    '',
  ];
  await writeFile(binary, lines.join('\n'));
  await chmod(binary, 0o755);
  return { binary, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
}

async function copyOntoFull(on: Stage, path: string | null) {
  const to = (index: number) => (path !== null && index === 1 ? join(path, 'new1.qcow2') : on.newFile(index));
  const result = await (await on.engine.copy(on.copyAll(index => ({ to: to(index) })))).result;
  expect(result.error, explain(result)).toMatchObject({ code: 'JOB_FAILED', step: 'mirrorDisks' });
  return result;
}

/** A path in a directory that is there when the saga is planned, and gone when QEMU is first sent this command. */
async function inDirectoryThatGoes(on: Stage, command: string): Promise<string> {
  const directory = join(on.directory, 'goes');
  await mkdir(directory);
  on.tap.before(command, () => rm(directory, { recursive: true }));
  return join(directory, 'new');
}

describeOnQemu('a new image that fails', () => {
  test.each(eachValue(copies.flatMap(copy => POSITIONS.map(k => ({ ...copy, k })))))(
    'because its directory has gone takes the whole copy back: $strategy, disk $k',
    async ({ strategy, k }) => {
      await using on = await stage({ disks: 3 });
      const to = await inDirectoryThatGoes(on, 'blockdev-create');
      const request = on.copyAll(index => (index === k ? { to } : {}));
      const result = await (await on.engine.copy({ ...request, ...on.tapped, strategy })).result;
      expect(on.tap.pending).toEqual([]);
      expect(result.error, explain(result)).toMatchObject({
        code: 'JOB_FAILED',
        disk: `dev${k}`,
        cause: { command: 'blockdev-create', desc: expect.stringContaining('No such file or directory') },
      });
      await expectTakenBack(on, result);
    },
  );

  test.each(eachValue(snapshots.flatMap(snapshot => POSITIONS.map(k => ({ ...snapshot, k })))))(
    'because its directory has gone takes the whole snapshot back: $method, disk $k',
    async ({ method, without, makes, seenGone, k }) => {
      await using on = await stage({ disks: 3 });
      const overlay = await inDirectoryThatGoes(on, makes);
      const request = on.snapshotAll(index => (index === k ? { overlay } : {}));
      const result = await (await on.engine.snapshot({ ...request, ...on.tapped, without })).result;
      expect(on.tap.pending).toEqual([]);
      expect(result.strategy).toBe(method);
      expect(result.error, explain(result)).toMatchObject({
        disk: `dev${k}`,
        ...(seenGone === undefined
          ? { cause: { desc: expect.stringContaining('No such file or directory') } }
          : { code: seenGone }),
      });
      await expectTakenBack(on, result);
    },
  );

  test('because its file system is full takes the whole copy back', async () => {
    const sizeBytes = DATA_BYTES / 2;
    await using small = await smallFileSystem(sizeBytes);
    if (small === null) {
      await using limited = await limitedQemu(sizeBytes);
      await using on = await stage({ disks: 3, backing: true, qemu: limited.binary });
      const result = await copyOntoFull(on, null);
      expect(result.error?.cause?.desc).toContain('File too large');
      await expectTakenBack(on, result);
    } else {
      await using on = await stage({ disks: 3, backing: true, directories: [small.path] });
      const result = await copyOntoFull(on, small.path);
      expect(result.error).toMatchObject({ disk: 'dev1', cause: { desc: 'No space left on device' } });
      await expectTakenBack(on, result);
    }
  });

  test('because QEMU may write no file that large takes the whole copy back', async () => {
    await using limited = await limitedQemu(DATA_BYTES / 2);
    await using on = await stage({ disks: 2, backing: true, qemu: limited.binary });
    const result = await copyOntoFull(on, null);
    expect(result.error?.cause?.desc).toContain('File too large');
    await expectTakenBack(on, result);
  });

  test.each(copies)(
    'because QEMU finds it too small takes the whole copy back: $strategy',
    async ({ strategy }) => {
      await using on = await stage({ disks: 3 });
      const files = [0, 1, 2].map(on.newFile);
      for (const [index, file] of files.entries()) {
        await qemuImg('create', '-q', '-f', 'qcow2', file, index === 1 ? '8M' : '16M');
      }
      const request = on.copyAll(() => ({ reuse: true }));
      const result = await (await on.engine.copy({ ...request, strategy, files: null })).result;
      expect(result.error).toMatchObject({
        code: 'JOB_FAILED',
        disk: 'dev1',
        cause: { desc: 'Source and target image have different sizes' },
      });
      await expectTakenBack(on, result, { files });
    },
  );

  test('is named when it cannot be removed, because the files are out of reach', async () => {
    await using on = await stage({ disks: 2 });
    const missing = (index: number) => (index === 1 ? { to: join(on.directory, 'missing', 'new') } : {});
    const result = await (await on.engine.copy({ ...on.copyAll(missing), files: null })).result;
    expect(result.leftovers).toContain(on.newFile(0));
    await expectTakenBack(on, result, { files: [on.newFile(0)] });
  });

  test('leaves a file alone that a third party put at its path meanwhile', async () => {
    await using on = await stage({ disks: 2 });
    await mkdir(join(on.directory, 'later'));
    const to = (index: number) => ({ to: join(on.directory, 'later', `new${index}`) });
    on.tap.before('query-status', () => writeFile(to(1).to, 'mine'), 1);
    const saga = await on.engine.copy({ ...on.copyAll(to), ...on.tapped });
    const result = await saga.result;
    expect(result.error, explain(result)).toMatchObject({ code: 'TARGET_EXISTS', disk: 'dev1' });
    expect(on.tap.pending).toEqual([]);
    await rm(to(1).to);
    await expectTakenBack(on, result, { files: [join(on.directory, 'later')] });
  });
});
