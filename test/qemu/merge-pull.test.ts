/** Pulls on a real QEMU under a guest that writes in order: every chain that can come of one, and nothing lost. */
import { expect, test } from 'vitest';
import { beside, chainInHeaders, disksOf, expectMerged, storedBacking, withChains } from './chained.ts';
import { describeOnQemu } from './real-qemu.ts';
import { explain, type StageOptions, stage } from './witnessed.ts';

const guests: readonly (StageOptions & { readonly what: string })[] = [
  { what: 'of -blockdev', disks: 2 },
  { what: 'of -drive', disks: 2, style: 'drive' },
  { what: 'in iothreads', disks: 2, iothreads: true },
];

describeOnQemu('a pull', () => {
  test.each(guests)('leaves one flat image per disk: disks $what', async ({ what: _, ...guest }) => {
    await using on = await withChains(await stage(guest), 2);
    const disks = disksOf(on, () => ({}));
    const result = await (await on.engine.pull({ qmp: on.vm.monitor, disks })).result;
    expect(result.blackoutMs).toBeNull();
    await expectMerged(
      on,
      result,
      on.chains.map(([front = '']) => [front]),
    );
  });

  test.each(guests)(
    'down to a base leaves the front on that, in QEMU and in the header: disks $what',
    async ({ what: _, ...guest }) => {
      await using on = await withChains(await stage(guest), 2);
      const disks = disksOf(on, index => ({ base: on.chains[index]?.[2] ?? '' }));
      const result = await (await on.engine.pull({ qmp: on.vm.monitor, disks })).result;
      await expectMerged(
        on,
        result,
        on.chains.map(([front = '', , base = '']) => [front, base]),
      );
    },
  );

  test('down to the image right below changes no chain', async () => {
    await using on = await withChains(await stage({ disks: 2 }), 2);
    const disks = disksOf(on, index => ({ base: `dev${index}[1]` }));
    const result = await (await on.engine.pull({ qmp: on.vm.monitor, disks })).result;
    await expectMerged(on, result, on.chains);
  });

  test('names the base by the path that the headers between have it by, when asked for a relative one', async () => {
    await using staged = await stage({ disks: 1 });
    const on = await withChains(staged, 2);
    const [front = '', middle = '', base = ''] = on.chains[0] ?? [];
    await on.vm.witness.execute('change-backing-file', {
      ...{ device: 'snap2-0', 'image-node-name': 'snap2-0', 'backing-file': beside(middle) },
    });
    await on.vm.witness.execute('change-backing-file', {
      ...{ device: 'snap2-0', 'image-node-name': 'snap1-0', 'backing-file': beside(base) },
    });
    const disks = [{ disk: 'dev0', base }];
    const result = await (await on.engine.pull({ qmp: on.vm.monitor, disks, relative: true })).result;
    expect(result, explain(result)).toMatchObject({ outcome: 'committed' });
    await on.vm.kill();
    expect(await storedBacking(front)).toBe(beside(base));
    expect(await chainInHeaders(front)).toEqual([front, base]);
  });
});
