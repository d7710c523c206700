/** Commits on a real QEMU under a guest that writes in order: below the active images, and of these by every strategy. */
import { expect, test } from 'vitest';
import { eachValue, turns } from '../tiers/tier.ts';
import { disksOf, expectChains, expectMerged, newestIn, withChains } from './chained.ts';
import { describeOnQemu } from './real-qemu.ts';
import { explain, type StageOptions, stage } from './witnessed.ts';

const guests: readonly (StageOptions & { readonly what: string })[] = [
  { what: 'of -blockdev', disks: 2 },
  { what: 'of -drive', disks: 2, style: 'drive' },
  { what: 'in iothreads', disks: 2, iothreads: true },
];

const inTurn = turns();

describeOnQemu('a commit below the active images', () => {
  test.each(inTurn(guests))(
    'takes the images between out of every chain: disks $what',
    async ({ what: _, ...guest }) => {
      await using on = await withChains(await stage(guest), 3);
      const disks = disksOf(on, index => ({ top: `dev${index}[1]` }));
      const result = await (await on.engine.commit({ qmp: on.vm.monitor, disks })).result;
      await expectMerged(
        on,
        result,
        on.chains.map(([front = '', , , base = '']) => [front, base]),
      );
    },
  );

  test('goes one image down when it is shallow, and removes the files that have left when asked', async () => {
    await using on = await withChains(await stage({ disks: 2 }), 3);
    const leaving = on.chains.map(([, top = '']) => top);
    const disks = disksOf(on, index => ({ top: leaving[index] ?? '' }));
    const request = { qmp: on.vm.monitor, disks, shallow: true, delete: true };
    const result = await (await on.engine.commit(request)).result;
    await expectMerged(
      on,
      result,
      on.chains.map(chain => chain.filter(file => !leaving.includes(file))),
      leaving,
    );
  });

  test('of an image deeper down leaves the ones above it on the base', async () => {
    await using on = await withChains(await stage({ disks: 2 }), 3);
    const disks = disksOf(on, index => ({ top: `dev${index}[2]`, base: `dev${index}[3]` }));
    const result = await (await on.engine.commit({ qmp: on.vm.monitor, disks })).result;
    await expectMerged(
      on,
      result,
      on.chains.map(([front = '', next = '', , base = '']) => [front, next, base]),
    );
  });
});

const strategies = ['reopen', 'finalize', 'complete'] as const;
const actives = strategies.flatMap(strategy => [
  { strategy, what: 'one disk', disks: 1 },
  { strategy, what: 'three disks', disks: 3 },
  { strategy, what: 'three disks of -drive', disks: 3, style: 'drive' as const },
  { strategy, what: 'two disks in iothreads', disks: 2, iothreads: true },
]);

describeOnQemu('a commit of active images', () => {
  test.each(eachValue(actives, 'what'))(
    'of $what goes to the lowest by $strategy',
    async ({ strategy, what: _, ...guest }) => {
      await using on = await withChains(await stage(guest), 2);
      const disks = disksOf(on, () => ({}));
      const request = { qmp: on.vm.monitor, disks, active: true, strategy, maxBlackoutMs: 30_000 };
      const result = await (await on.engine.commit(request)).result;
      expect(result, explain(result)).toMatchObject({ strategy, blackoutMs: expect.any(Number) });
      await expectMerged(
        on,
        result,
        on.chains.map(chain => chain.slice(-1)),
      );
    },
  );

  test('goes one image down when it is shallow, and removes the overlays when asked', async () => {
    await using on = await withChains(await stage({ disks: 2 }), 2);
    const disks = disksOf(on, () => ({}));
    const flags = { active: true, shallow: true, delete: true, maxBlackoutMs: 30_000 };
    const result = await (await on.engine.commit({ qmp: on.vm.monitor, disks, ...flags })).result;
    await expectMerged(
      on,
      result,
      on.chains.map(chain => chain.slice(1)),
      on.chains.map(([front = '']) => front),
    );
  });

  test('is taken back when asked, with the data in the bases and every chain as it was', async () => {
    await using on = await withChains(await stage({ disks: 2 }), 1);
    const bases = on.chains.map(([, base = '']) => base);
    const disks = disksOf(on, () => ({}));
    const request = { qmp: on.vm.monitor, disks, active: true, finish: 'abort' as const };
    const result = await (await on.engine.commit(request)).result;
    expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', error: null, leftovers: [] });
    await expectChains(on, on.chains);
    for (const base of bases) expect(await newestIn(base)).toBeGreaterThan(0);
  });
});
