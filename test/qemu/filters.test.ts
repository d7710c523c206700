/** Disks with filters of the administrator's between device and image: they are worked through and left as they are. */
import { expect, test } from 'vitest';
import { runProgram } from '../../src/cli/program.ts';
import { fakeContext } from '../cli/fake-context.ts';
import { turns } from '../tiers/tier.ts';
import { cancelJobOf } from './cancel-job.ts';
import { filtersOf, LAYOUTS } from './filtered.ts';
import { describeOnQemu } from './real-qemu.ts';
import {
  endGuest,
  expectCloned,
  expectSets,
  expectSwitched,
  expectTakenBack,
  expectUntouched,
  explain,
  imagesOf,
  stage,
} from './witnessed.ts';

const inTurn = turns();

describeOnQemu('a disk below filters of its administrator', () => {
  test.each(inTurn(LAYOUTS))(
    'takes an overlay below $what, in one instant with the others',
    async ({ what: _, ...guest }) => {
      await using on = await stage({ disks: 3, ...guest });
      const before = await filtersOf(on);
      const result = await (await on.engine.snapshot(on.snapshotAll())).result;
      expect(await filtersOf(on)).toEqual(before);
      expect(result.disks[0]).toMatchObject({ before: { node: 'disk0' }, after: { file: on.newFile(0) } });
      await expectSwitched(on, result);
    },
  );

  test('is named by its filter too', async () => {
    await using on = await stage({ disks: 1, filters: ['throttle'] });
    const request = on.snapshotAll(() => ({ disk: 'disk0-filter0' }));
    await expectSwitched(on, await (await on.engine.snapshot(request)).result);
  });

  test('is shown with them by chain, and by a plan, which says what is read through them', async () => {
    await using on = await stage({ disks: 1, filters: ['copy-on-read', 'throttle'] });
    const context = fakeContext();
    expect(await runProgram(['chain', '--qmp', on.vm.monitor], context)).toBe(0);
    expect(context.out.slice(1)).toEqual([
      '  below filter disk0-filter0 (copy-on-read)',
      '  below filter disk0-filter1 (throttle)',
      `  ${on.vm.disks[0]?.file} (qcow2, node disk0)`,
    ]);
    const planned = fakeContext();
    const copy = ['copy', '--qmp', on.vm.monitor, '--disk', `disk0-filter1,to=${on.newFile(0)}`, '--plan'];
    expect(await runProgram(copy, planned)).toBe(0);
    expect(planned.out.join('\n')).toMatch(
      /disk0-filter1 \(node disk0 below copy-on-read filter disk0-filter0 below throttle filter disk0-filter1, /,
    );
    expect(planned.out.filter(line => line.startsWith('  weaker here: '))).toEqual([
      expect.stringContaining('read through a throttle filter of yours'),
      expect.stringContaining('read through a copy-on-read filter of yours'),
    ]);
  });

  test.each(inTurn(LAYOUTS))(
    'comes back from its overlay below $what with all that it has written',
    async ({ what: _, ...guest }) => {
      await using on = await stage({ disks: 2, ...guest });
      const before = await filtersOf(on);
      const letRun = async () => {
        await on.vm.witness.execute('cont'); // what is taken then is no instant
        await on.vm.awaitWrites(4);
      };
      on.tap.before('blockdev-snapshot-sync', letRun, 1);
      const request = { ...on.snapshotAll(), ...on.tapped, without: ['transaction'] };
      const result = await (await on.engine.snapshot(request)).result;
      expect(on.tap.pending).toEqual([]);
      expect(await filtersOf(on)).toEqual(before);
      await expectTakenBack(on, result);
    },
  );

  test.each(
    (['finalize', 'complete'] as const).flatMap(strategy =>
      inTurn(LAYOUTS).map(each => ({ ...each, strategy })),
    ),
  )('is copied and switched below $what by $strategy', async ({ what: _, strategy, ...guest }) => {
    await using on = await stage({ disks: 3, ...guest });
    const before = await filtersOf(on);
    const result = await (await on.engine.copy({ ...on.copyAll(), strategy })).result;
    expect(await filtersOf(on), explain(result)).toEqual(before);
    await expectSwitched(on, result);
  });

  test.each(inTurn(LAYOUTS))('is cloned below $what', async ({ what: _, ...guest }) => {
    await using on = await stage({ disks: 2, ...guest, backing: true });
    const before = await filtersOf(on);
    const result = await (await on.engine.copy({ ...on.copyAll(), finish: 'clone' })).result;
    expect(await filtersOf(on), explain(result)).toEqual(before);
    await expectCloned(on, result);
  });

  test.each(inTurn(LAYOUTS))(
    'comes back from its copy below $what where another disk refuses to switch',
    async ({ what: _, ...guest }) => {
      await using on = await stage({ disks: 3, ...guest });
      const before = await filtersOf(on);
      on.tap.before('job-finalize', () => cancelJobOf(on, 2));
      const request = { ...on.copyAll(), ...on.tapped, strategy: 'finalize' } as const;
      const result = await (await on.engine.copy(request)).result;
      expect(on.tap.pending).toEqual([]);
      expect(await filtersOf(on), explain(result)).toEqual(before);
      await expectTakenBack(on, result);
    },
  );

  test.each(inTurn(LAYOUTS))('has its chain pulled together below $what', async ({ what: _, ...guest }) => {
    await using on = await stage({ disks: 2, ...guest, backing: true });
    const before = await filtersOf(on);
    const disks = on.vm.disks.map(({ device }) => ({ disk: device }));
    const result = await (await on.engine.pull({ qmp: on.vm.monitor, disks })).result;
    expect(result, explain(result)).toMatchObject({ outcome: 'committed', error: null });
    expect((await on.look()).fronts.map(({ chain }) => chain)).toEqual(on.vm.disks.map(({ file }) => [file]));
    expect(await filtersOf(on)).toEqual(before);
    await expectUntouched(on);
  });

  test.each(inTurn(LAYOUTS))(
    'has an image of its chain committed below $what',
    async ({ what: _, ...guest }) => {
      await using on = await stage({ disks: 2, ...guest });
      const before = await filtersOf(on);
      const middle = (index: number) => `${on.directory}/middle${index}.qcow2`;
      const first = on.snapshotAll(index => ({ overlay: middle(index) }));
      expect((await (await on.engine.snapshot(first)).result).outcome).toBe('committed');
      const taken = await (await on.engine.snapshot(on.snapshotAll())).result;
      expect(taken.outcome, explain(taken)).toBe('committed');
      const disks = on.vm.disks.map(({ device, file }, index) => ({
        disk: device,
        top: middle(index),
        base: file,
      }));
      const result = await (await on.engine.commit({ qmp: on.vm.monitor, disks })).result;
      expect(result, explain(result)).toMatchObject({ outcome: 'committed', error: null });
      const chains = on.vm.disks.map(({ file }, index) => [on.newFile(index), file]);
      expect((await on.look()).fronts.map(({ chain }) => chain)).toEqual(chains);
      expect(await filtersOf(on)).toEqual(before);
      await endGuest(on);
      await expectSets(on, { front: imagesOf(on.vm.disks.map((_, index) => on.newFile(index))) });
    },
  );

  test.each(
    (['finalize', 'complete'] as const).flatMap(strategy =>
      inTurn(LAYOUTS).map(each => ({ ...each, strategy })),
    ),
  )('has its active image committed below $what by $strategy', async ({ what: _, strategy, ...guest }) => {
    await using on = await stage({ disks: 2, ...guest });
    const before = await filtersOf(on);
    const taken = await (await on.engine.snapshot(on.snapshotAll())).result;
    expect(taken.outcome, explain(taken)).toBe('committed');
    const disks = on.vm.disks.map(({ device }) => ({ disk: device }));
    const request = { qmp: on.vm.monitor, disks, active: true, strategy, maxBlackoutMs: 30_000 };
    const result = await (await on.engine.commit(request)).result;
    expect(result, explain(result)).toMatchObject({ outcome: 'committed', error: null });
    expect(await filtersOf(on)).toEqual(before);
    await expectUntouched(on, { files: on.vm.disks.map((_, index) => on.newFile(index)) });
  });
});
