/**
 * Disks whose devices are right on protocol nodes, as newer libvirt starts raw disks, with a guest that writes in order: every
 * operation works, with the format raw in headers and results, and the images read from their headers alone as the guest read.
 */
import { copyFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import { eachValue, turns } from '../tiers/tier.ts';
import { SOME_WRITES } from './pace.ts';
import { describeOnQemu } from './real-qemu.ts';
import { withoutReopen } from './version-at-hand.ts';
import { endGuest, expectSets, expectSwitched, type StageOptions, stage } from './witnessed.ts';

const GUEST: StageOptions = { disks: 2, format: 'raw', style: 'protocol' };
const SETUPS: readonly (StageOptions & { readonly what: string })[] = [
  { what: 'virtio-blk', ...GUEST },
  { what: 'virtio-blk in iothreads', ...GUEST, iothreads: true },
  { what: 'scsi-hd', ...GUEST, bus: 'scsi-hd' },
  { what: 'below throttles', ...GUEST, filters: ['throttle'] },
  { what: 'one below a throttle, in one tree', ...GUEST, filters: ['throttle'], filtered: [1], inline: true },
];
const STRATEGIES = ['reopen', 'finalize', 'complete'] as const;

const CELLS = SETUPS.flatMap(setup => STRATEGIES.map(strategy => ({ ...setup, strategy })));

/** What a header says of the image below. */
async function headerOf(file: string): Promise<unknown> {
  const info: unknown = JSON.parse(await qemuImg('info', '-U', '--output=json', file));
  return info;
}

const inTurn = turns();

describeOnQemu('disks on protocol nodes', () => {
  test.for(eachValue(CELLS))(
    'are copied and switched: $what, $strategy',
    async ({ what: _, strategy, ...guest }, { skip }) => {
      await using on = await stage(guest);
      const lacks = strategy === 'reopen' ? await withoutReopen(on) : '';
      skip(lacks !== '', lacks);
      const result = await (await on.engine.copy({ ...on.copyAll(() => ({ format: 'qcow2' })), strategy }))
        .result;
      await expectSwitched(on, result);
    },
  );

  test.for(inTurn(eachValue(CELLS), 3))(
    'stand below overlays, which go back into them: $what, $strategy',
    async ({ what: _, strategy, ...guest }, { skip }) => {
      await using on = await stage(guest);
      const lacks = strategy === 'reopen' ? await withoutReopen(on) : '';
      skip(lacks !== '', lacks);
      const old = on.vm.disks.map(({ file }) => file);
      const request = on.snapshotAll();
      const taken = await (await on.engine.snapshot(request)).result;
      expect(taken.error).toBe(null);
      for (const [index, { overlay }] of request.disks.entries())
        expect(await headerOf(overlay)).toMatchObject({
          'backing-filename': old[index],
          'backing-filename-format': 'raw',
        });
      await on.vm.awaitWrites(SOME_WRITES);
      const { disks: _disks, ...basics } = on.snapshotAll();
      const disks = on.vm.disks.map(({ device }) => ({ disk: device }));
      const merged = await (await on.engine.commit({ ...basics, disks, strategy, active: true })).result;
      expect(merged.error).toBe(null);
      expect(merged.disks.map(disk => disk.after?.file)).toEqual(old);
      await endGuest(on);
      await expectSets(on, { front: old.map(file => ({ file, format: 'raw' as const })) });
    },
  );

  test.for(inTurn(SETUPS, 2))(
    'are pulled into their overlays, and reverted to: $what',
    async ({ what: _, ...guest }, { skip }) => {
      await using on = await stage(guest);
      const lacks = await withoutReopen(on);
      skip(lacks !== '', lacks);
      const first = on.snapshotAll(index => ({ overlay: on.newFile(index).replace('new', 'snap') }));
      expect((await (await on.engine.snapshot(first)).result).error).toBe(null);
      await on.vm.awaitWrites(SOME_WRITES);
      await on.vm.witness.execute('stop');
      const old = on.vm.disks.map(({ file }) => file);
      for (const file of old) await copyFile(file, `${file}.then`);
      const again = on.snapshotAll();
      const back = await (await on.engine.revert(again)).result;
      expect(back.error).toBe(null);
      for (const [index, { overlay }] of again.disks.entries())
        expect(await headerOf(overlay)).toMatchObject({
          'backing-filename': old[index],
          'backing-filename-format': 'raw',
        });
      const { disks: _disks, ...basics } = on.snapshotAll();
      const disks = on.vm.disks.map(({ device }) => ({ disk: device }));
      const pulled = await (await on.engine.pull({ ...basics, disks })).result;
      expect(pulled.error).toBe(null);
      await on.vm.witness.execute('system_reset');
      await on.vm.kill();
      for (const [index, { overlay }] of again.disks.entries()) {
        expect(await headerOf(overlay)).not.toHaveProperty('backing-filename');
        await qemuImg('compare', '-F', 'raw', '-f', 'qcow2', overlay, `${old[index]}.then`);
      }
    },
  );

  test.for(inTurn(SETUPS, 2))('are cloned: $what', async ({ what: _, ...guest }) => {
    await using on = await stage(guest);
    const request = on.copyAll();
    const result = await (await on.engine.copy({ ...request, finish: 'clone' })).result;
    expect(result).toMatchObject({ outcome: 'committed', leftovers: [] });
    await endGuest(on);
    await expectSets(on, {
      front: on.vm.disks.map(({ file }) => ({ file, format: 'raw' as const })),
      behind: request.disks.map(({ to: file }) => ({ file, format: 'raw' as const })),
    });
  });
});
