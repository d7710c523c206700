/** The judge of the torture is shown every kind of breach on a real guest, and must see each: no other test can fail else. */
import { copyFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { GuestVm } from '../../src/demo/guest-vm.ts';
import type { SagaResult } from '../../src/index.ts';
import { judgeDead, judgeRecovery } from '../torture/aftermath.ts';
import { Arena } from '../torture/arena.ts';
import { type Expectation, judgeImages, judgeLiving, lookAround, type Outside } from '../torture/judge.ts';
import { operationNamed } from '../torture/operations.ts';
import { describeOnQemu } from './real-qemu.ts';

describeOnQemu('the judge of the torture', () => {
  let arena: Arena;
  let vm: GuestVm;
  let before: Outside;
  let expected: Expectation;

  beforeAll(async () => {
    arena = await Arena.open(operationNamed('reopen'));
    vm = arena.vm;
    before = await lookAround(vm);
    expected = { front: vm.disks.map(({ file }) => ({ file })), made: [] };
  });
  afterAll(() => arena?.[Symbol.asyncDispose]());

  const judge = () => judgeLiving(vm, before, expected);
  const tell = (command: string, args: object = {}) => vm.witness.execute(command, args);
  const elsewhere = (name: string) => join(arena.home, name);

  test('finds nothing wrong with a guest that was left alone', async () => {
    expect(await judge()).toEqual([]);
  });

  test('sees a node that is left, and that an image is open twice', async () => {
    const file = vm.disks[0]?.file ?? '';
    await tell('blockdev-add', { driver: 'null-co', 'node-name': 'stray' });
    await tell('blockdev-add', {
      driver: 'file',
      'node-name': 'second',
      filename: file,
      'read-only': true,
      locking: 'off',
    });
    expect(await judge()).toEqual([
      expect.stringMatching(/^I4: the node stray/),
      `I4: ${file} is open more than once`,
    ]);
    for (const node of ['stray', 'second']) await tell('blockdev-del', { 'node-name': node });
  });

  test('sees an object that is left', async () => {
    await tell('object-add', { 'qom-type': 'throttle-group', id: 'stray' });
    expect(await judge()).toEqual(['I4: the object stray is left']);
    await tell('object-del', { id: 'stray' });
  });

  test('sees a job that is left, and its bitmap', async () => {
    await tell('blockdev-add', { driver: 'null-co', 'node-name': 'target', size: vm.disks[0]?.sizeBytes });
    const mirror = { 'job-id': 'stray', device: 'disk0', target: 'target', sync: 'none' };
    await tell('blockdev-mirror', mirror);
    const wrong = await judge();
    expect(wrong).toContain('I4: the job stray is left');
    expect(wrong).toContain('I4: a dirty bitmap is left on disk0');
    await tell('job-cancel', { id: 'stray' });
    await gone('stray');
    await tell('blockdev-del', { 'node-name': 'target' });
  });

  test('sees a file that is left, and one that is gone', async () => {
    const stray = join(vm.directory, 'stray');
    await writeFile(stray, '');
    expect(await judge()).toEqual([`I4: the file ${stray} is left`]);
    await rm(stray);
    const file = vm.disks[2]?.file ?? '';
    const all = expected.front;
    await rename(file, elsewhere('away'));
    expected = {
      ...expected,
      front: all.map((image, disk) => (disk === 2 ? { file: elsewhere('away') } : image)),
    };
    expect(await judge()).toContain(`I3: ${file} was there before and is gone`);
    await rename(elsewhere('away'), file);
    expected = { ...expected, front: all };
  });

  test('sees a guest that stands still', async () => {
    await tell('stop');
    expect(await judge()).toEqual(['I5: the guest was running and is paused']);
    await tell('cont');
  });

  test('sees images that were not copied at one instant, and writes that are not in them', async () => {
    const copies = vm.disks.map((_, disk) => ({ file: elsewhere(`copy${disk}`) }));
    for (const [disk, { file }] of vm.disks.entries()) {
      await tell('stop');
      await copyFile(file, copies[disk]?.file ?? '');
      await tell('cont');
      await vm.awaitWrites(9);
    }
    const wrong = await judgeImages('the copies', copies, vm.acknowledged());
    expect(wrong).toEqual([
      expect.stringMatching(/^I2: the copies are no instant/),
      expect.stringMatching(/^I3/),
    ]);
  });

  test('sees a disk that is not where it should be', async () => {
    await tell('blockdev-snapshot-sync', {
      'node-name': 'disk1',
      'snapshot-file': join(vm.directory, 'other'),
      'snapshot-node-name': 'other',
    });
    expect(await judge()).toContain(
      `I1: disk 1 is on ${join(vm.directory, 'other')}, not on ${vm.disks[1]?.file}`,
    );
  });

  test('boots what a dead guest has left, and sees what lacks writes and what does not boot', async () => {
    await vm.kill();
    const [first, second, third] = vm.disks;
    const overlay = { file: join(vm.directory, 'other'), format: 'qcow2', base: second?.file ?? '' } as const;
    const whole = [first, overlay, third].flatMap(image => (image === undefined ? [] : [image]));
    expect(await judgeDead(vm, {}, vm.disks)).toContainEqual(
      expect.stringMatching(/^I3: the images to boot from lack/),
    );
    expect(await judgeDead(vm, { qemu: 'false' }, whole)).toEqual([
      expect.stringMatching(/^I6: the images do not boot/),
    ]);
    expect(await judgeDead(vm, {}, whole)).toEqual([]);
  });

  test('sees a recovery that names some disks on each side, or leaves something', async () => {
    const files = vm.disks.map((_, disk) => join(vm.directory, `new${disk}`));
    const mixed = vm.disks.map(({ device, file }, disk) => ({
      disk: device,
      file: disk === 1 ? (files[1] ?? '') : file,
      format: 'qcow2',
    }));
    const result: SagaResult = {
      saga: 's',
      operation: 'copy',
      outcome: 'rolledBack',
      strategy: 'reopen',
      disks: [],
      blackoutMs: null,
      error: null,
      leftovers: [],
      boot: mixed,
    };
    const other = join(vm.directory, 'other');
    expect(await judgeRecovery(vm, operationNamed('reopen'), before, result, files)).toEqual([
      expect.stringMatching(/^I1: rolledBack, but to boot from are/),
      `I4: the file ${other} is left`,
    ]);
    const whole = mixed.map((image, disk) => ({ ...image, file: vm.disks[disk]?.file ?? '' }));
    const told = { ...result, boot: whole, leftovers: [other] };
    expect(await judgeRecovery(vm, operationNamed('reopen'), before, told, files)).toEqual([
      `I4: the recovery leaves ${other}`,
    ]);
  });

  async function gone(job: string): Promise<void> {
    for (let tries = 0; tries < 1_000; tries += 1) {
      const jobs = (await tell('query-jobs')) as readonly { readonly id: string }[];
      if (!jobs.some(({ id }) => id === job)) return;
    }
    throw new Error(`the job ${job} does not end`);
  }
});
