/** Snapshots of all disks at once, by every method, on several devices; and what is done with the overlays. */
import { expect, test } from 'vitest';
import { qemuImg } from '../../src/demo/qemu-tools.ts';
import type { SnapshotMethod } from '../../src/index.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { eachValue, turns } from '../tiers/tier.ts';
import { describeOnQemu } from './real-qemu.ts';
import { expectSwitched, expectUntouched, type StageOptions, stage } from './witnessed.ts';

/** What QEMU must lack for each method to be taken. */
const WITHOUT: Readonly<Record<SnapshotMethod, readonly string[]>> = {
  transaction: [],
  transactionSync: ['blockdev-create'],
  sequential: ['transaction'],
};
const METHODS = Object.keys(WITHOUT) as SnapshotMethod[];

interface Setup extends StageOptions {
  readonly what: string;
  readonly method: SnapshotMethod;
}

const setups: readonly Setup[] = METHODS.flatMap(method => [
  { method, what: 'one virtio-blk disk', disks: 1 },
  { method, what: 'three virtio-blk disks', disks: 3 },
  { method, what: 'eight virtio-blk disks', disks: 8 },
  { method, what: 'three virtio-blk disks with iothreads', disks: 3, iothreads: true },
  { method, what: 'two virtio-blk disks of -drive', disks: 2, style: 'drive' },
  {
    method,
    what: 'three scsi-hd disks of -drive with iothreads',
    disks: 3,
    bus: 'scsi-hd',
    style: 'drive',
    iothreads: true,
  },
  { method, what: 'two nvme disks', disks: 2, bus: 'nvme' },
  { method, what: 'two raw disks', disks: 2, format: 'raw' },
  { method, what: 'two disks on base images', disks: 2, backing: true },
]);

const inTurn = turns();

describeOnQemu('a snapshot', () => {
  test.each(eachValue(setups, 'what'))(
    'of $what is one instant by $method',
    async ({ what: _, method, ...guest }) => {
      await using on = await stage(guest);
      const result = await (await on.engine.snapshot({ ...on.snapshotAll(), without: WITHOUT[method] }))
        .result;
      expect(result.strategy).toBe(method);
      await expectSwitched(on, result);
    },
  );

  test.each(inTurn(METHODS))(
    'leaves a paused guest paused and sends it neither stop nor cont: %s',
    async method => {
      await using on = await stage({ disks: 2, paused: true });
      const heard = on.vm.witness.events.length;
      const result = await (await on.engine.snapshot({ ...on.snapshotAll(), without: WITHOUT[method] }))
        .result;
      const events = on.vm.witness.events.slice(heard).map(event => event.event);
      expect(events.filter(event => event === 'STOP' || event === 'RESUME')).toEqual([]);
      await expectSwitched(on, result);
    },
  );

  test('one by one keeps the guest still from the first disk to the last', async () => {
    await using on = await stage({ disks: 3 });
    const hold = async () => {
      await sleep(systemClock, 200); // a guest that ran meanwhile would tear the cut
      expect((await on.look()).status).toBe('paused');
    };
    on.tap.before('blockdev-snapshot-sync', hold, 1);
    const request = { ...on.snapshotAll(), ...on.tapped, without: WITHOUT.sequential };
    const result = await (await on.engine.snapshot(request)).result;
    expect(on.tap.pending).toEqual([]);
    await expectSwitched(on, result);
  });

  test.each(inTurn(METHODS))('stacks on a snapshot: %s', async method => {
    await using on = await stage({ disks: 2, journal: 'sqlite' });
    const without = WITHOUT[method];
    const overlay = (index: number) => ({ overlay: `${on.directory}/first${index}.qcow2` });
    const first = await (await on.engine.snapshot({ ...on.snapshotAll(overlay), without })).result;
    expect(first.outcome).toBe('committed');
    const second = await (await on.engine.snapshot({ ...on.snapshotAll(), without })).result;
    const chains = (await on.look()).fronts.map(front => front.chain);
    expect(chains).toEqual(
      on.vm.disks.map((disk, index) => [on.newFile(index), overlay(index).overlay, disk.file]),
    );
    await expectSwitched(on, second, { files: first.disks.map(disk => disk.image) });
  });

  test.each(inTurn(['transaction', 'transactionSync'] as const))(
    'takes overlays that are there already: %s',
    async method => {
      await using on = await stage({ disks: 2 });
      for (const [index, disk] of on.vm.disks.entries()) {
        await qemuImg(
          'create',
          '-q',
          '-f',
          'qcow2',
          '-b',
          disk.file,
          '-F',
          disk.format,
          on.newFile(index),
          String(disk.sizeBytes),
        );
      }
      const request = { ...on.snapshotAll(() => ({ reuse: true })), without: WITHOUT[method] };
      await expectSwitched(on, await (await on.engine.snapshot(request)).result);
    },
  );

  test('of several disks without transaction is refused when it must be atomic', async () => {
    await using on = await stage({ disks: 2 });
    const request = { ...on.snapshotAll(), atomic: true, without: WITHOUT.sequential };
    await expect(on.engine.snapshot(request)).rejects.toMatchObject({ code: 'CAPABILITY_MISSING' });
    await expectUntouched(on);
  });

  test('of one disk without transaction is atomic by itself', async () => {
    await using on = await stage({ disks: 1 });
    const request = { ...on.snapshotAll(), atomic: true, without: WITHOUT.sequential };
    await expectSwitched(on, await (await on.engine.snapshot(request)).result);
  });
});
