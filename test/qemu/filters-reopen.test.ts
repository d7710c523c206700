/** Disks with a throttle of their administrator's right above the image: it is the filter that a switch by `reopen` needs. */
import { expect, test } from 'vitest';
import { recoverOffline } from '../../src/index.ts';
import { turns } from '../tiers/tier.ts';
import { filtersOf, LAYOUTS, REOPENABLE, revertBelowFilters, writeToOverlays } from './filtered.ts';
import { describeOnQemu } from './real-qemu.ts';
import { unaware } from './unaware.ts';
import { stageThatReopens } from './version-at-hand.ts';
import {
  expectSets,
  expectSwitched,
  expectTakenBack,
  expectUntouched,
  explain,
  imagesOf,
} from './witnessed.ts';

const inTurn = turns();

describeOnQemu('a disk below a throttle of its administrator', () => {
  test.for(inTurn(REOPENABLE))(
    'is switched by reopen of that: $what',
    async ({ what: _, ...guest }, test) => {
      await using on = await stageThatReopens(test, { disks: 3, ...guest });
      const before = await filtersOf(on);
      const sent = on.tap.commands;
      const result = await (await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy: 'reopen' }))
        .result;
      expect(await filtersOf(on), explain(result)).toEqual(before);
      expect(result.strategy).toBe('reopen');
      const bare = 3 - (guest.filtered ?? [0, 1, 2]).length;
      expect(sent.filter(command => command === 'qom-set')).toHaveLength(2 * bare);
      await expectSwitched(on, result);
    },
  );

  test.for(inTurn(REOPENABLE))(
    'stays on its image where the reopen of another disk is refused: $what',
    async ({ what: _, ...guest }, test) => {
      await using on = await stageThatReopens(test, { disks: 2, ...guest });
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

  test.for(inTurn(REOPENABLE))(
    'comes back from its new image where the switch has failed behind it: $what',
    async ({ what: _, ...guest }, test) => {
      await using on = await stageThatReopens(test, { disks: 2, ...guest });
      const before = await filtersOf(on);
      const line = { ...on.tapped, qmp: unaware(on.tapped.qmp) };
      const result = await (await on.engine.copy({ ...on.copyAll(), ...line, strategy: 'reopen' })).result;
      expect(on.tap.commands.filter(command => command === 'blockdev-reopen')).toHaveLength(2);
      expect(await filtersOf(on), explain(result)).toEqual(before);
      await expectTakenBack(on, result);
    },
  );

  test('keeps its copy-on-read, which cannot be reopened: reopen is refused, and auto finalizes', async test => {
    await using on = await stageThatReopens(test, { disks: 2, filters: ['copy-on-read'] });
    await expect(on.engine.copy({ ...on.copyAll(), strategy: 'reopen' })).rejects.toMatchObject({
      code: 'CAPABILITY_MISSING',
    });
    const result = await (await on.engine.copy(on.copyAll())).result;
    expect(result.strategy).toBe('finalize');
    await expectSwitched(on, result);
  });

  test('keeps the options of its throttle through a reopen', async test => {
    await using on = await stageThatReopens(test, { disks: 1, filters: ['throttle'] });
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

  test.for(inTurn(REOPENABLE))('is reverted by it: $what', async ({ what: _, ...guest }, test) => {
    await using on = await stageThatReopens(test, { disks: 2, ...guest });
    await revertBelowFilters(on);
  });

  test.for(inTurn(REOPENABLE))(
    'comes back from a revert that has failed behind the switch: $what',
    async ({ what: _, ...guest }, test) => {
      await using on = await stageThatReopens(test, { disks: 2, ...guest });
      const before = await filtersOf(on);
      await writeToOverlays(on);
      const chains = (await on.look()).fronts.map(({ chain }) => chain);
      const disks = on.vm.disks.map(({ device }, index) => ({ disk: device, overlay: on.newFile(index) }));
      const line = { ...on.tapped, qmp: unaware(on.tapped.qmp) };
      const result = await (await on.engine.revert({ ...line, disks })).result;
      expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
      expect(await filtersOf(on)).toEqual(before);
      expect((await on.look()).fronts.map(({ chain }) => chain)).toEqual(chains);
    },
  );

  test.for(
    inTurn([
      { when: 'before the mirrors are asked for', command: 'blockdev-mirror' },
      { when: 'before the mirrors end', command: 'block-job-cancel' },
      { when: 'before the switch', command: 'blockdev-reopen' },
    ]),
  )('comes back where a third party takes it off its throttle $when', async ({ command }, test) => {
    await using on = await stageThatReopens(test, { disks: 2, filters: ['throttle'] });
    const path = '/machine/peripheral/dev1/virtio-backend';
    const drive = (value: string) => on.vm.witness.execute('qom-set', { path, property: 'drive', value });
    on.tap.before(command, () => drive('disk1'));
    const result = await (await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy: 'reopen' })).result;
    expect(on.tap.pending).toEqual([]);
    expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
    expect((await on.look()).fronts.map(({ node }) => node)).toEqual(['disk0-filter0', 'disk1']);
    await expectUntouched(on);
  });

  test.for(inTurn(REOPENABLE))(
    'is recovered offline where QEMU dies right behind the switch: $what',
    async ({ what: _, ...guest }, test) => {
      await using on = await stageThatReopens(test, { disks: 2, journal: 'sqlite', ...guest });
      on.tap.after('blockdev-reopen', () => on.vm.kill());
      const saga = await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy: 'reopen' });
      expect((await saga.result).outcome).toBe('needsRecovery');
      const recovered = await recoverOffline(on.journal, saga.id);
      const files = (recovered.boot ?? []).map(({ file }) => file);
      expect([
        on.vm.disks.map(({ file }) => file),
        on.vm.disks.map((_disk, at) => on.newFile(at)),
      ]).toContainEqual(files);
      await expectSets(on, { front: imagesOf(files) });
    },
  );

  test.for(
    inTurn(
      LAYOUTS.filter(each => !REOPENABLE.includes(each)),
      2,
    ),
  )('is not reverted where that is $what, and says why', async ({ what: _, ...guest }, test) => {
    await using on = await stageThatReopens(test, { disks: 1, paused: true, backing: true, ...guest });
    const disks = [{ disk: 'dev0', overlay: on.newFile(0) }];
    await expect(on.engine.revert({ qmp: on.vm.monitor, disks })).rejects.toThrow(
      /copy-on-read filter .*disk0-filter0.* cannot be reopened/,
    );
  });

  test.for(['reopen', 'finalize'] as const)(
    'is not committed through that once a third party has put an overlay below it: %s',
    async (strategy, test) => {
      await using on = await stageThatReopens(test, { disks: 2, filters: ['throttle'] });
      const overlay = (below: string, name: string) =>
        on.vm.witness.execute('blockdev-snapshot-sync', {
          'node-name': below,
          'snapshot-file': `${on.directory}/${name}.qcow2`,
          'snapshot-node-name': name,
        });
      const chains = async () => (await on.look()).fronts.map(({ chain }) => chain);
      for (const index of [0, 1]) await overlay(`disk${index}`, `middle${index}`);
      const [first, second = []] = await chains();
      on.tap.before('object-add', () => overlay('middle1', 'theirs'));
      const disks = on.vm.disks.map(({ device }) => ({ disk: device }));
      const request = { maxBlackoutMs: 30_000, ...on.tapped, disks, active: true, strategy };
      const result = await (await on.engine.commit(request)).result;
      expect(on.tap.pending).toEqual([]);
      expect(result, explain(result)).toMatchObject({
        outcome: 'rolledBack',
        error: { code: 'FOREIGN', disk: 'dev1' },
      });
      expect(await chains()).toEqual([first, [`${on.directory}/theirs.qcow2`, ...second]]);
    },
  );
});
