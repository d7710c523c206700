/**
 * A guest that a third party moves to an image of the saga's before its mirror holds all of the disk: it writes on there, no
 * process can end the saga, and its administrator shuts it down. Without QEMU neither image is removed or copied over the other.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { localImages } from '../../src/images/local-images.ts';
import { BlocksagaError, localFiles, recoverOffline } from '../../src/index.ts';
import { diskNames, sagaToken } from '../../src/plan/names.ts';
import { SOME_WRITES } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';
import { type Stage, stage } from './witnessed.ts';

const hashOf = (file: string) => createHash('sha256').update(readFileSync(file)).digest('hex');

/** Of the second virtio-blk disk. */
const DEVICE = '/machine/peripheral/dev1/virtio-backend';

/** What a third party does to the second disk, as QEMU runs it right before its mirror is started. */
type Move = (on: Stage, image: string) => Promise<unknown>;

const MOVES: readonly { readonly verb: string; readonly move: Move }[] = [
  {
    verb: 'qom-set',
    move: (on, value) => on.vm.witness.execute('qom-set', { path: DEVICE, property: 'drive', value }),
  },
];

describeOnQemu('a drive that was set to an overlay before its snapshot', () => {
  test('is told as such, and the saga is taken back when it is set to its image again', async () => {
    await using on = await stage({ disks: 2, journal: 'memory' });
    const image = diskNames(sagaToken('moved'), 1).image;
    const set = (value: string) =>
      on.vm.witness.execute('qom-set', { path: DEVICE, property: 'drive', value }).then(() => undefined);
    on.tap.before('transaction', () => set(image), 0);
    const disks = [0, 1].map(disk => ({ disk: `disk${disk}`, overlay: on.newFile(disk) }));
    const saga = await on.engine.snapshot({ ...on.tapped, id: 'moved', disks });
    const { outcome, error } = await saga.result;
    expect(outcome, JSON.stringify(error)).toBe('needsRecovery');
    expect(error?.message).toContain(`has moved disk disk1 to ${on.newFile(1)} before that held what`);
    await set('disk1');
    const again = await on.engine.resume('moved', on.tapped);
    expect(await again.ended).toMatchObject({ outcome: 'rolledBack' });
  });
});

/** What the saga's own commands, between which a third party acts, make of a disk that was set to its new image. */
const BACK: readonly {
  readonly before: string;
  readonly strategy: 'reopen' | 'finalize';
  readonly how: string;
}[] = [
  { before: 'qom-set', strategy: 'reopen', how: 'by the saga itself, which puts its filter above the disk' },
  { before: 'query-blockstats', strategy: 'finalize', how: 'by that third party' },
];

describeOnQemu('a drive that was on its new image for a moment before its mirror', () => {
  test.each(BACK)(
    'and is set back $how: what the guest wrote there is kept',
    async ({ before, strategy }) => {
      await using on = await stage({ disks: 2, journal: 'memory' });
      const image = diskNames(sagaToken('moment'), 1).image;
      const set = (value: string) =>
        on.vm.witness.execute('qom-set', { path: DEVICE, property: 'drive', value }).then(() => undefined);
      const act = async () => {
        await set(image);
        await on.vm.awaitWrites(SOME_WRITES);
        if (strategy === 'finalize') await set('disk1');
      };
      on.tap.before(before, act);
      const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, id: 'moment', strategy });
      const { outcome, error } = await saga.result;
      expect(outcome, JSON.stringify(error)).toBe('needsRecovery');
      expect(error).toMatchObject({ code: 'FOREIGN', disk: on.vm.disks[1]?.device });
      expect(error?.message).toContain(`close it (blockdev-del "${image}")`);
      // The guest runs on its old images, and both new ones are there.
      const world = await on.look();
      expect(world.fronts).toEqual(on.before.fronts);
      expect([0, 1].map(index => existsSync(on.newFile(index)))).toEqual([true, true]);

      await on.vm.witness.execute('blockdev-del', { 'node-name': image });
      const again = await on.engine.resume('moment', on.tapped);
      expect(await again.ended).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
      expect([0, 1].map(index => existsSync(on.newFile(index)))).toEqual([false, false]);
    },
  );
});

describeOnQemu('a drive that was set to an image before its mirror', () => {
  test.each(MOVES)('by $verb, is recovered offline with both images kept', async ({ move }) => {
    await using on = await stage({ disks: 2, journal: 'memory' });
    const image = diskNames(sagaToken('moved'), 1).image;
    on.tap.before('blockdev-mirror', () => move(on, image).then(() => undefined), 0);
    const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, id: 'moved', parallel: 1 });
    expect(await saga.result).toMatchObject({ outcome: 'needsRecovery' });
    await on.vm.awaitWrites(SOME_WRITES);
    await on.vm.quit();

    const [from, to] = [on.vm.disks[1]?.file ?? '', on.newFile(1)];
    const asImage = (file: string) => ({ file, driver: 'qcow2' }) as const;
    expect(await localImages.compare(asImage(to), asImage(from))).not.toBe('within');
    const before = [from, to].map(hashOf);
    const options = { files: localFiles, qemu: 'dead' } as const;
    const refusal = await recoverOffline(on.journal, 'moved', options).catch(error => error as unknown);
    expect.assert(refusal instanceof BlocksagaError);
    expect(refusal).toMatchObject({ code: 'JOURNAL_BEHIND', disk: on.vm.disks[1]?.device });
    expect(refusal.message).toContain(to);

    const result = await recoverOffline(on.journal, 'moved', { ...options, front: 'old' });
    expect(result).toMatchObject({ outcome: 'rolledBack', leftovers: [expect.stringContaining(`${to} (`)] });
    expect(result.boot?.map(({ file }) => file)).toEqual(on.vm.disks.map(({ file }) => file));
    expect([from, to].map(hashOf)).toEqual(before);
    expect(existsSync(on.newFile(0))).toBe(false);
  });
});
