/** Disks with filters of the administrator's between device and image: they are worked through and left as they are. */
import { expect, test } from 'vitest';
import type { GuestFilter } from '../../src/demo/guest-command-line.ts';
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
  type Stage,
  stage,
} from './witnessed.ts';

const LAYOUTS: readonly { readonly what: string; readonly filters: readonly GuestFilter[] }[] = [
  { what: 'a throttle', filters: ['throttle'] },
  { what: 'copy-on-read', filters: ['copy-on-read'] },
  { what: 'copy-on-read above a throttle', filters: ['copy-on-read', 'throttle'] },
];

/** The filters right below each device, as QEMU draws its graph. */
async function filtersOf({ vm }: Stage): Promise<unknown> {
  const blocks = (await vm.witness.execute('query-block')) as readonly {
    readonly inserted?: { readonly 'node-name': string; readonly drv: string };
  }[];
  const nodes = (await vm.witness.execute('query-named-block-nodes', { flat: true })) as readonly {
    readonly 'node-name': string;
    readonly drv: string;
    readonly ro: boolean;
    readonly cache: unknown;
    readonly detect_zeroes: unknown;
  }[];
  return {
    fronts: blocks.flatMap(({ inserted }) => (inserted === undefined ? [] : [inserted['node-name']])),
    filters: nodes
      .filter(({ drv }) => drv === 'throttle' || drv === 'copy-on-read')
      .map(({ 'node-name': node, drv, ro, cache, detect_zeroes }) => ({
        node,
        drv,
        ro,
        cache,
        detect_zeroes,
      })),
  };
}

describeOnQemu('a disk below filters of its administrator', () => {
  test.each(LAYOUTS)('takes an overlay below $what, in one instant with the others', async ({ filters }) => {
    await using on = await stage({ disks: 3, filters });
    const before = await filtersOf(on);
    const result = await (await on.engine.snapshot(on.snapshotAll())).result;
    expect(await filtersOf(on)).toEqual(before);
    expect(result.disks[0]).toMatchObject({ before: { node: 'disk0' }, after: { file: on.newFile(0) } });
    await expectSwitched(on, result);
  });

  test('is named by its filter too', async () => {
    await using on = await stage({ disks: 1, filters: ['throttle'] });
    const request = on.snapshotAll(() => ({ disk: 'disk0-filter0' }));
    await expectSwitched(on, await (await on.engine.snapshot(request)).result);
  });

  test.each(LAYOUTS)(
    'comes back from its overlay below $what with all that it has written',
    async ({ filters }) => {
      await using on = await stage({ disks: 2, filters });
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
    LAYOUTS.flatMap(each => (['finalize', 'complete'] as const).map(strategy => ({ ...each, strategy }))),
  )('is copied and switched below $what by $strategy', async ({ filters, strategy }) => {
    await using on = await stage({ disks: 3, filters });
    const before = await filtersOf(on);
    const result = await (await on.engine.copy({ ...on.copyAll(), strategy })).result;
    expect(await filtersOf(on), explain(result)).toEqual(before);
    await expectSwitched(on, result);
  });

  test.each(LAYOUTS)('is cloned below $what', async ({ filters }) => {
    await using on = await stage({ disks: 2, filters, backing: true });
    const before = await filtersOf(on);
    const result = await (await on.engine.copy({ ...on.copyAll(), finish: 'clone' })).result;
    expect(await filtersOf(on), explain(result)).toEqual(before);
    await expectCloned(on, result);
  });

  test.each(LAYOUTS)(
    'comes back from its copy below $what where another disk refuses to switch',
    async ({ filters }) => {
      await using on = await stage({ disks: 3, filters });
      const before = await filtersOf(on);
      const pass = async () => {
        const id = ((await on.vm.witness.execute('query-jobs')) as readonly { readonly id: string }[]).find(
          ({ id }) => id.endsWith('-2-job'),
        );
        if (id !== undefined) await on.vm.witness.execute('job-cancel', { id: id.id });
      };
      on.tap.before('job-finalize', pass);
      const request = { ...on.copyAll(), ...on.tapped, strategy: 'finalize' } as const;
      const result = await (await on.engine.copy(request)).result;
      expect(on.tap.pending).toEqual([]);
      expect(await filtersOf(on), explain(result)).toEqual(before);
      await expectTakenBack(on, result);
    },
  );

  test.each(LAYOUTS)('has its chain pulled together below $what', async ({ filters }) => {
    await using on = await stage({ disks: 2, filters, backing: true });
    const before = await filtersOf(on);
    const disks = on.vm.disks.map(({ device }) => ({ disk: device }));
    const result = await (await on.engine.pull({ qmp: on.vm.monitor, disks })).result;
    expect(result, explain(result)).toMatchObject({ outcome: 'committed', error: null });
    expect((await on.look()).fronts.map(({ chain }) => chain)).toEqual(on.vm.disks.map(({ file }) => [file]));
    expect(await filtersOf(on)).toEqual(before);
    await expectUntouched(on);
  });

  test.each(LAYOUTS)('has an image of its chain committed below $what', async ({ filters }) => {
    await using on = await stage({ disks: 2, filters });
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
  });

  test.each(
    LAYOUTS.flatMap(each => (['finalize', 'complete'] as const).map(strategy => ({ ...each, strategy }))),
  )('has its active image committed below $what by $strategy', async ({ filters, strategy }) => {
    await using on = await stage({ disks: 2, filters });
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

  test.each(LAYOUTS.filter(({ filters }) => filters.at(-1) === 'throttle'))(
    'is switched by reopen of its own throttle: $what',
    async ({ filters }) => {
      await using on = await stage({ disks: 3, filters });
      const before = await filtersOf(on);
      const sent: string[] = [];
      for (const command of ['qom-set', 'blockdev-del'])
        on.tap.before(command, async () => void sent.push(command));
      const result = await (await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy: 'reopen' }))
        .result;
      expect(await filtersOf(on), explain(result)).toEqual(before);
      expect(result.strategy).toBe('reopen');
      expect(sent).not.toContain('qom-set');
      await expectSwitched(on, result);
    },
  );

  test('keeps its copy-on-read, which cannot be reopened: reopen is refused, and auto finalizes', async () => {
    await using on = await stage({ disks: 2, filters: ['copy-on-read'] });
    await expect(on.engine.copy({ ...on.copyAll(), strategy: 'reopen' })).rejects.toMatchObject({
      code: 'CAPABILITY_MISSING',
    });
    const result = await (await on.engine.copy(on.copyAll())).result;
    expect(result.strategy).toBe('finalize');
    await expectSwitched(on, result);
  });

  test.each(LAYOUTS.filter(({ filters }) => filters.at(-1) === 'throttle'))(
    'stays on its image where the reopen of another disk is refused: $what',
    async ({ filters }) => {
      await using on = await stage({ disks: 2, filters });
      const before = await filtersOf(on);
      on.tap.before('blockdev-reopen', () => on.spoil(on.newFile(1)));
      on.tap.after('blockdev-reopen', () => on.unspoil());
      const result = await (await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy: 'reopen' }))
        .result;
      expect(on.tap.pending).toEqual([]);
      expect(await filtersOf(on), explain(result)).toEqual(before);
      await expectTakenBack(on, result);
    },
  );

  test('keeps the options of its throttle through a reopen', async () => {
    await using on = await stage({ disks: 1, filters: ['throttle'] });
    const cache = { direct: true, 'no-flush': false };
    const options = {
      ...{
        driver: 'throttle',
        'node-name': 'disk0-filter0',
        'throttle-group': 'disk0-limits0',
        file: 'disk0',
      },
      ...{ cache, discard: 'unmap', 'detect-zeroes': 'unmap' },
    };
    await on.vm.witness.execute('blockdev-reopen', { options: [options] });
    const before = await filtersOf(on);
    const result = await (await on.engine.copy({ ...on.copyAll(), strategy: 'reopen' })).result;
    expect(await filtersOf(on), explain(result)).toEqual(before);
    expect(before).toMatchObject({ filters: [{ detect_zeroes: 'unmap', cache: { direct: true } }] });
    await expectSwitched(on, result);
  });

  test('is reverted by its own throttle', async () => {
    await using on = await stage({ disks: 2, filters: ['throttle'] });
    const before = await filtersOf(on);
    const middle = (index: number) => `${on.directory}/middle${index}.qcow2`;
    const taken = await (await on.engine.snapshot(on.snapshotAll(index => ({ overlay: middle(index) }))))
      .result;
    expect(taken.outcome, explain(taken)).toBe('committed');
    await on.vm.awaitWrites(4);
    await on.vm.witness.execute('stop');
    const disks = on.vm.disks.map(({ device }, index) => ({ disk: device, overlay: on.newFile(index) }));
    const result = await (await on.engine.revert({ qmp: on.vm.monitor, disks })).result;
    expect(result, explain(result)).toMatchObject({ outcome: 'committed', error: null });
    expect(await filtersOf(on)).toEqual(before);
    const chains = on.vm.disks.map(({ file }, index) => [on.newFile(index), file]);
    expect((await on.look()).fronts.map(({ chain }) => chain)).toEqual(chains);
  });

  test('is refused for a copy where it stays in an iothread: finalizing its mirror would hang QEMU 7.2', async () => {
    await using on = await stage({ disks: 2, filters: ['throttle'], bus: 'scsi-hd', iothreads: true });
    await expect(on.engine.copy(on.copyAll())).rejects.toMatchObject({
      code: 'DISK_UNSUPPORTED',
      disk: 'dev0',
    });
    await expectUntouched(on);
  });
});
