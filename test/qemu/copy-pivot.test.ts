/** A copy that switches all disks: every strategy, numbers of disks, devices, ways to start and to name a disk. */
import { expect, test } from 'vitest';
import type { CopyRequest } from '../../src/index.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { eachValue, turns } from '../tiers/tier.ts';
import { describeOnQemu } from './real-qemu.ts';
import { expectSwitched, type Stage, type StageOptions, stage } from './witnessed.ts';

type Strategy = 'reopen' | 'finalize' | 'complete';

const STRATEGIES: readonly Strategy[] = ['reopen', 'finalize', 'complete'];

interface Setup extends StageOptions {
  readonly what: string;
  readonly strategy: Strategy;
}

const setups: readonly Setup[] = STRATEGIES.flatMap(strategy => [
  { strategy, what: 'one virtio-blk disk', disks: 1 },
  { strategy, what: 'three virtio-blk disks', disks: 3 },
  { strategy, what: 'eight virtio-blk disks', disks: 8 },
  { strategy, what: 'three virtio-blk disks with iothreads', disks: 3, iothreads: true },
  { strategy, what: 'two virtio-blk disks of -drive', disks: 2, style: 'drive' },
  {
    strategy,
    what: 'two virtio-blk disks of -drive with iothreads',
    disks: 2,
    style: 'drive',
    iothreads: true,
  },
  { strategy, what: 'three scsi-hd disks', disks: 3, bus: 'scsi-hd' },
  ...(strategy === 'reopen'
    ? []
    : [
        {
          strategy,
          what: 'three scsi-hd disks with iothreads',
          disks: 3,
          bus: 'scsi-hd',
          iothreads: true,
        } as const,
      ]),
  { strategy, what: 'two scsi-hd disks of -drive', disks: 2, bus: 'scsi-hd', style: 'drive' },
  { strategy, what: 'three nvme disks', disks: 3, bus: 'nvme' },
  { strategy, what: 'two nvme disks of -drive', disks: 2, bus: 'nvme', style: 'drive' },
]);

const namings: readonly { readonly by: string; readonly name: (on: Stage, index: number) => string }[] = [
  { by: 'node names', name: (on, index) => on.vm.disks[index]?.node ?? '' },
  { by: 'device ids', name: (on, index) => on.vm.disks[index]?.device ?? '' },
  { by: 'file names', name: (on, index) => on.vm.disks[index]?.file ?? '' },
];

const inTurn = turns();

describeOnQemu('a copy that pivots', () => {
  test.each(eachValue(setups, 'what'))(
    'switches $what in one instant by $strategy',
    async ({ what: _, strategy, ...guest }) => {
      await using on = await stage(guest);
      const saga = await on.engine.copy({ ...on.copyAll(), strategy });
      const result = await saga.result;
      expect(result.strategy).toBe(strategy);
      await expectSwitched(on, result);
    },
  );

  // A filter above such a disk kills QEMU, also while the guest is stopped: seen on 7.2, SIGSEGV in blockdev-add.
  test.each(inTurn(['blockdev', 'drive'] as const))(
    'never puts a filter above a scsi-hd disk in an iothread, which would kill QEMU: -%s',
    async style => {
      await using on = await stage({ disks: 2, bus: 'scsi-hd', iothreads: true, style });
      await expect(on.engine.copy({ ...on.copyAll(), strategy: 'reopen' })).rejects.toMatchObject({
        code: 'CAPABILITY_MISSING',
        disk: 'dev0',
      });
      const result = await (await on.engine.copy(on.copyAll())).result;
      expect(result.strategy).toBe('finalize');
      await expectSwitched(on, result);
    },
  );

  test.each(namings)('takes disks by their $by', async ({ name }) => {
    await using on = await stage({ disks: 2, journal: 'sqlite' });
    const request = on.copyAll(index => ({ disk: name(on, index) }));
    const result = await (await on.engine.copy(request)).result;
    expect(result.disks.map(disk => disk.disk)).toEqual(request.disks.map(disk => disk.disk));
    await expectSwitched(on, result);
  });

  test.each(inTurn(STRATEGIES))(
    'leaves a paused guest paused and sends it neither stop nor cont: %s',
    async strategy => {
      await using on = await stage({ disks: 2, paused: true });
      const heard = on.vm.witness.events.length;
      const result = await (await on.engine.copy({ ...on.copyAll(), strategy })).result;
      const events = on.vm.witness.events.slice(heard).map(event => event.event);
      expect(events.filter(event => event === 'STOP' || event === 'RESUME')).toEqual([]);
      await expectSwitched(on, result);
    },
  );

  // In the middle of the switch the line is held for a while: a guest that ran meanwhile would tear the cut.
  test.each([
    { strategy: 'reopen', command: 'blockdev-reopen', skip: 0 },
    { strategy: 'finalize', command: 'job-finalize', skip: 1 },
    { strategy: 'complete', command: 'job-complete', skip: 1 },
  ] as const)(
    'keeps the guest still from the first disk to the last: $strategy',
    async ({ strategy, command, skip }) => {
      await using on = await stage({ disks: 3 });
      const seen: { readonly status: string; readonly writes: number }[] = [];
      on.tap.before(
        command,
        async () => {
          const acknowledged = on.vm.acknowledged();
          await sleep(systemClock, 200);
          seen.push({ status: (await on.look()).status, writes: on.vm.acknowledged() - acknowledged });
        },
        skip,
      );
      const result = await (await on.engine.copy({ ...on.copyAll(), ...on.tapped, strategy })).result;
      expect(seen).toEqual([{ status: 'paused', writes: 0 }]);
      await expectSwitched(on, result);
    },
  );

  test.each(inTurn(STRATEGIES))('can be done again and again, there and back: %s', async strategy => {
    await using on = await stage({ disks: 2, journal: 'sqlite' });
    const request = (round: number): CopyRequest & { qmp: string } => ({
      ...on.copyAll(index => ({ to: `${on.directory}/round${round}-${index}.qcow2` })),
      strategy,
    });
    const rounds = [
      await (await on.engine.copy(request(1))).result,
      await (await on.engine.copy(request(2))).result,
    ];
    const last = await (await on.engine.copy(request(3))).result;
    expect(rounds.map(result => result.outcome)).toEqual(['committed', 'committed']);
    await expectSwitched(on, last, { files: rounds.flatMap(result => result.disks.map(disk => disk.image)) });
  });
});
