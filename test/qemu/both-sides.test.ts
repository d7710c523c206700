/**
 * On real QEMUs, another client that resumes the guest in front of the switch, stops it, and resumes it again behind that: what it wrote is
 * on both sides of its disks, and neither is given up, by the saga, by one that is asked again, or by a recovery without QEMU.
 */
import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { missingWrites, readCut } from '../../src/demo/ordered-cut.ts';
import { recoverOffline } from '../../src/index.ts';
import { onEachVersion } from './each-version.ts';
import { describeOnQemu } from './real-qemu.ts';
import { explain, imagesOf, oldImages, type Stage, stage } from './witnessed.ts';

async function runForAMoment({ vm }: Stage): Promise<void> {
  await vm.witness.execute('cont');
  await vm.awaitWrites(6);
  await vm.witness.execute('stop');
}

/** Writes that neither the old images hold nor the new ones. */
async function lost(on: Stage, news: readonly string[]): Promise<readonly number[]> {
  const acknowledged = on.vm.acknowledged();
  const both = [await readCut(oldImages(on)), await readCut(imagesOf(news))];
  const [old = [], fresh = []] = both.map(cut => missingWrites(cut, acknowledged));
  expect(old).not.toEqual([]);
  expect(fresh).not.toEqual([]);
  return old.filter(sequence => fresh.includes(sequence));
}

describeOnQemu('a guest that third parties have run on both sides of its disks', () => {
  onEachVersion((qemu, version) => {
    describe.skipIf(version === '5.2')(`of QEMU ${version}`, () => {
      test.each(['new', 'old'] as const)('keeps all that it wrote, and boots the %s side', async front => {
        await using on = await stage({ qemu, disks: 3 });
        const { vm, tap, engine, journal } = on;
        const switched = Promise.withResolvers<void>();
        tap.before('stop', () => runForAMoment(on), 1);
        tap.after('blockdev-reopen', async () => switched.resolve());
        tap.before('blockdev-reopen', async () => {
          tap.before('query-status', async () => {
            await switched.promise;
            await runForAMoment(on);
            await vm.witness.execute('cont');
          });
        });
        const id = 'both-sides';
        const saga = await engine.copy({ ...on.copyAll(), ...on.tapped, strategy: 'reopen', id });
        const news = vm.disks.map((_, index) => on.newFile(index));
        const sides = vm.disks.flatMap(({ file }, index) => [file, on.newFile(index)]);
        const result = await saga.result;
        expect(tap.pending).toEqual([]);
        const told = { outcome: 'needsRecovery', error: { code: 'BOTH_SIDES', images: sides } };
        expect(result, explain(result)).toMatchObject(told);
        // A process that resumes the saga says the same, and the guest stays where it was.
        const again = await engine.resume(id, { qmp: vm.monitor });
        const asked = await again.result;
        expect(asked, explain(asked)).toMatchObject(told);
        const now = await on.look();
        expect(now.status).toBe('running');
        expect(now.fronts.map(({ chain }) => chain[0])).toEqual(news);
        await vm.awaitWrites(6);
        await vm.kill();
        expect(await lost(on, news)).toEqual([]);
        await expect(recoverOffline(journal, id)).rejects.toMatchObject({ code: 'JOURNAL_BEHIND' });
        const { boot, leftovers } = await recoverOffline(journal, id, { front });
        const [booted, kept] =
          front === 'new'
            ? [news, vm.disks.map(({ file }) => file)]
            : [vm.disks.map(({ file }) => file), news];
        expect(boot?.map(({ file }) => file)).toEqual(booted);
        expect(kept.filter(file => !leftovers.some(words => words.startsWith(`${file} (`)))).toEqual([]);
        expect(sides.filter(file => !existsSync(file))).toEqual([]);
        expect(await lost(on, news)).toEqual([]);
      });
    });
  });
});
