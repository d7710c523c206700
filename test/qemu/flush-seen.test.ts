/**
 * Storage that takes writes and fails to keep them: from READY on each flush of a target fails. QEMU's `stop` answers well
 * all the same, and so does a flush by HMP; what a decision rests on must be an answer that tells.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { createEngine, memoryJournal } from '../../src/index.ts';
import { temporaryFolder } from '../qmp/socket-folder.ts';
import { describeOnQemu } from './real-qemu.ts';
import { expectTakenBack, stage } from './witnessed.ts';

const SIZE_BYTES = 16 * 1024 * 1024;

interface Storage extends AsyncDisposable {
  /** The address of the export of one disk. */
  address(index: number): string;
  /** From now on what is written to this disk's export is not kept: its flushes fail. */
  fail(index: number): Promise<void>;
}

/** Exports of a QEMU without a guest, below each a filter that can be moved onto a node whose flushes fail. */
async function storage(disks: number): Promise<Storage> {
  const folder = temporaryFolder();
  const socket = join(folder, 'nbd');
  const server: GuestVm = await startGuestVm({ disks: 1, sizeBytes: SIZE_BYTES, guest: 'idle' });
  const ask = (command: string, args: object) => server.witness.execute(command, args);
  await ask('object-add', { 'qom-type': 'throttle-group', id: 'g' });
  await ask('nbd-server-start', { addr: { type: 'unix', data: { path: socket } } });
  for (let index = 0; index < disks; index += 1) {
    const filename = join(folder, `${index}.raw`);
    await ask('blockdev-create', {
      'job-id': `c${index}`,
      options: { driver: 'file', filename, size: SIZE_BYTES },
    });
    await expect
      .poll(() => ask('query-jobs', {}))
      .toEqual([expect.objectContaining({ status: 'concluded' })]);
    await ask('job-dismiss', { id: `c${index}` });
    await ask('blockdev-add', { driver: 'file', 'node-name': `f${index}`, filename });
    await ask('blockdev-add', {
      driver: 'throttle',
      'node-name': `t${index}`,
      'throttle-group': 'g',
      file: `f${index}`,
    });
    await ask('block-export-add', {
      type: 'nbd',
      id: `e${index}`,
      'node-name': `t${index}`,
      name: `e${index}`,
      writable: true,
    });
  }
  return {
    address: index => `nbd+unix:///e${index}?socket=${socket}`,
    async fail(index) {
      await ask('blockdev-add', {
        driver: 'blkdebug',
        'node-name': `d${index}`,
        image: `f${index}`,
        'inject-error': [{ event: 'none', iotype: 'flush', errno: 5, immediately: true, once: false }],
      });
      const options = [
        { driver: 'throttle', 'node-name': `t${index}`, 'throttle-group': 'g', file: `d${index}` },
      ];
      await ask('blockdev-reopen', { options });
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

describeOnQemu('a target that does not keep what it was given', () => {
  test.each(['reopen', 'finalize', 'complete'] as const)(
    'takes all disks back before the decision (%s): the verdict of its mirror tells of the last flush',
    async strategy => {
      await using kept = await storage(2);
      await using on = await stage({ disks: 2, sizeBytes: SIZE_BYTES });
      const { disks, ...basics } = on.copyAll(index => ({ to: kept.address(index) }));
      const saga = await on.engine.copy({ ...basics, disks, strategy, finish: 'leave' });
      await saga.result;
      await kept.fail(1);
      await on.vm.awaitWrites(6);
      const { outcome, error } = await saga.pivot().catch(() => saga.ended);
      expect(outcome, JSON.stringify(error)).toBe('rolledBack');
      expect(error).toMatchObject({ code: 'JOB_FAILED', disk: 'dev1' });
      await expectTakenBack(on, await saga.ended);
    },
  );

  test('is no copy of a clone either', async () => {
    await using kept = await storage(2);
    await using on = await stage({ disks: 2, sizeBytes: SIZE_BYTES });
    const { disks, ...basics } = on.copyAll(index => ({ to: kept.address(index) }));
    const saga = await on.engine.copy({ ...basics, disks, finish: 'leave' });
    await saga.result;
    await kept.fail(0);
    await on.vm.awaitWrites(6);
    const result = await saga.keepCopies().catch(() => saga.ended);
    expect(result.outcome, JSON.stringify(result.error)).toBe('rolledBack');
    await expectTakenBack(on, await saga.ended);
  });

  test('whose storage keeps all is taken', async () => {
    await using kept = await storage(2);
    await using on = await stage({ disks: 2, sizeBytes: SIZE_BYTES });
    const { disks, ...basics } = on.copyAll(index => ({ to: kept.address(index) }));
    const saga = await createEngine({ journal: memoryJournal() }).copy({ ...basics, disks, finish: 'clone' });
    expect(await saga.result).toMatchObject({ outcome: 'committed' });
  });
});
