/** The judge of the torture is shown every kind of breach on a real guest, and must see each: no other test can fail else. */
import { copyFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { GuestVm } from '../../src/demo/guest-vm.ts';
import type { SagaResult } from '../../src/index.ts';
import { endingOf, judgeDead, judgeRecovery } from '../torture/aftermath.ts';
import { Arena } from '../torture/arena.ts';
import { type Ending, endingsOf } from '../torture/endings.ts';
import { judgeImages, judgeLiving, judgeSets, judgeTold } from '../torture/judge.ts';
import { operationNamed } from '../torture/operations.ts';
import { lookAround, newestBelow, type Outside } from '../torture/outside.ts';
import { BITMAP } from '../torture/scene.ts';
import { BUSY_PACING_US } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';

describeOnQemu('the judge of the torture', () => {
  let arena: Arena;
  let vm: GuestVm;
  let before: Outside;
  let expected: Ending;

  beforeAll(async () => {
    arena = await Arena.open(operationNamed('reopen'), BUSY_PACING_US);
    vm = arena.vm;
    before = await lookAround(vm);
    expected = untouched(before);
  });
  afterAll(() => arena?.[Symbol.asyncDispose]());

  const untouched = ({ chains }: Outside) => endingsOf(operationNamed('reopen'), 'untouched', chains, [])[0];
  const judge = (more: Partial<Ending> = {}) => judgeLiving(vm, before, { ...expected, ...more });
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
    expect(await judge({ made: [stray] })).toEqual([`I1: ${stray} should be there`]);
    const file = vm.disks[2]?.file ?? '';
    await rename(file, elsewhere('away'));
    const away = expected.chains.map((chain, disk) => (disk === 2 ? [elsewhere('away')] : chain));
    expect(await judge({ chains: away })).toContain(`I3: ${file} was there before and is gone`);
    expect(await judge({ chains: away, gone: [file] })).not.toContainEqual(
      expect.stringMatching(/^I3: .* is gone/),
    );
    await rename(elsewhere('away'), file);
    expect(await judge({ gone: [file] })).toEqual([`I4: the file ${file} is left`]);
  });

  test('sees a bitmap that no disk had, and one that does not record any more', async () => {
    const bitmap = { node: 'disk0', name: BITMAP };
    await tell('block-dirty-bitmap-add', bitmap);
    expect(await judge()).toEqual(['I4: a dirty bitmap is left on disk0']);
    const withBitmap = await lookAround(vm);
    expect(await judgeLiving(vm, withBitmap, expected)).toEqual([]);
    await tell('block-dirty-bitmap-disable', bitmap);
    expect(await judgeLiving(vm, withBitmap, expected)).toEqual([
      `I3: the bitmap ${BITMAP} of disk 0 does not record any more`,
    ]);
    await tell('block-dirty-bitmap-remove', bitmap);
  });

  test('sees a guest that is paused', async () => {
    await tell('stop');
    expect(await judge()).toEqual(['I5: the guest was running and is paused']);
    const still = await lookAround(vm);
    expect(await judgeLiving(vm, still, expected)).toEqual([]);
    await tell('cont');
    await vm.awaitWrites(1);
    await tell('stop');
    expect(await judgeLiving(vm, still, expected)).toEqual([
      expect.stringMatching(/^I5: the guest was paused, but went on from/),
    ]);
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

  test('sees a disk that is not where it should be, or stands on another image', async () => {
    const other = join(vm.directory, 'other');
    const old = vm.disks[1]?.file ?? '';
    await tell('blockdev-snapshot-sync', {
      'node-name': 'disk1',
      'snapshot-file': other,
      'snapshot-node-name': 'other',
    });
    expect(await judge()).toContain(`I1: disk 1 is on ${other}, not on ${old}`);
    const alone = expected.chains.map((chain, disk) => (disk === 1 ? [other] : chain));
    expect(await judge({ chains: alone, made: [other] })).toEqual([
      `I1: below disk 1 is ${old}, not nothing`,
    ]);
  });

  test('sees disks that went back and show another time', async () => {
    const actions = ['disk0', 'other', 'disk2'].map((node, disk) => ({
      type: 'blockdev-snapshot-sync',
      data: {
        'node-name': node,
        'snapshot-file': join(vm.directory, `over${disk}`),
        'snapshot-node-name': `over${disk}`,
      },
    }));
    await tell('transaction', { actions });
    await vm.awaitWrites(9);
    await tell('stop');
    const seen = await lookAround(vm);
    const below = await newestBelow(seen);
    const files = seen.chains.map((_, disk) => elsewhere(`new${disk}`));
    const [back] = endingsOf(operationNamed('revert'), 'committed', seen.chains, files);
    const shown = { ...back, chains: seen.chains.map(chain => chain.slice(1)) };
    expect(await judgeSets({ ...seen, below }, shown, vm.acknowledged())).toEqual([]);
    const wrong = await judgeSets({ ...seen, below }, { ...back, chains: seen.chains }, vm.acknowledged());
    expect(wrong).toEqual([expect.stringMatching(/^I2: the images in front show write \d+, not write/)]);
    // What was written since is in the images that were left, and must stay.
    const lost = { ...shown, behind: shown.chains.map(([file = '']) => ({ file })) };
    expect(await judgeSets({ ...seen, below }, lost, vm.acknowledged())).toEqual([
      expect.stringMatching(/^I3: the images left behind lack/),
    ]);
    await tell('cont');
  });

  test('sees who was told of other disks, or of none', () => {
    const [whole] = endingsOf(operationNamed('mirrored'), 'committed', before.chains, [
      '/a.qcow2',
      '/b.qcow2',
      '/c.qcow2',
    ]);
    const line = (chains: readonly (readonly string[])[]) =>
      `${JSON.stringify({ disks: chains.map(chain => ({ chain: chain.map(file => ({ file })) })) })}\n`;
    expect(judgeTold(line(before.chains) + line(whole.chains), 'committed', whole)).toEqual([]);
    expect(judgeTold(line(whole.chains) + line(before.chains), 'committed', whole)).toEqual([
      expect.stringMatching(/^I1: told was of/),
    ]);
    expect(judgeTold('', 'committed', whole)).toEqual(['I1: onCommit was not told of the new disks']);
    expect(judgeTold('', 'rolledBack', expected)).toEqual([]);
    expect(judgeTold(line(whole.chains), 'rolledBack', expected)).toHaveLength(1);
  });

  test('boots what a dead guest has left, and sees what lacks writes, stands on another image or does not boot', async () => {
    const now = await lookAround(vm);
    await vm.kill();
    const whole = untouched(now);
    expect(await judgeDead(vm, {}, now, whole)).toEqual([]);
    const older = { ...whole, chains: now.chains.map(chain => chain.slice(1)) };
    expect(await judgeDead(vm, {}, now, older)).toContainEqual(
      expect.stringMatching(/^I3: the images in front lack/),
    );
    const otherBase = { ...whole, chains: now.chains.map(chain => chain.slice(0, 1)) };
    expect(await judgeDead(vm, {}, now, otherBase)).toContainEqual(
      expect.stringMatching(/^I1: the headers of disk 0 say/),
    );
    expect(await judgeDead(vm, { qemu: 'false' }, now, whole)).toEqual([
      expect.stringMatching(/^I6: the images do not boot/),
    ]);
  });

  test('sees a recovery that names some disks on each side, or leaves something', async () => {
    const files = vm.disks.map((_, disk) => join(vm.directory, `new${disk}.qcow2`));
    const sides = endingsOf(operationNamed('mirrored'), 'committed', before.chains, files);
    const [mirrors, overlays] = sides;
    const boot = (chains: Ending['chains']) =>
      chains.map(([file = ''], disk) => ({ disk: `dev${disk}`, file, format: 'qcow2' }));
    const result: SagaResult = {
      saga: 's',
      operation: 'snapshotMirror',
      outcome: 'committed',
      strategy: 'reopen',
      disks: [],
      blackoutMs: null,
      error: null,
      leftovers: [],
      boot: boot(overlays?.chains ?? []),
    };
    expect(endingOf(sides, result.boot)).toEqual(overlays);
    expect(judgeRecovery(result, endingOf(sides, result.boot))).toEqual([]);
    const mixed = boot(mirrors.chains.map((chain, disk) => (disk === 1 ? (before.chains[1] ?? []) : chain)));
    expect(judgeRecovery({ ...result, boot: mixed }, endingOf(sides, mixed))).toEqual([
      expect.stringMatching(/^I1: committed, but to boot from are/),
    ]);
    const told = { ...result, leftovers: [join(vm.directory, 'other'), ...files] };
    expect(judgeRecovery(told, mirrors)).toContain(`I4: the recovery leaves ${join(vm.directory, 'other')}`);
  });

  async function gone(job: string): Promise<void> {
    for (let tries = 0; tries < 1_000; tries += 1) {
      const jobs = (await tell('query-jobs')) as readonly { readonly id: string }[];
      if (!jobs.some(({ id }) => id === job)) return;
    }
    throw new Error(`the job ${job} does not end`);
  }
});
