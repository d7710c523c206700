/** Reverts on a real QEMU: the disks show what they held when the snapshot was taken, byte for byte. */
import { expect, test } from 'vitest';
import type { BlockInfo } from '../../src/qmp/schema.generated.ts';
import { describeOnQemu } from './real-qemu.ts';
import { expectSame, snapshotAndGoOn } from './reverted.ts';
import { unaware, withoutEvent } from './unaware.ts';
import { explain, type Stage, type StageOptions, stage } from './witnessed.ts';

const setups: readonly (StageOptions & { readonly what: string })[] = [
  { what: 'three virtio-blk disks', disks: 3 },
  { what: 'two disks of -drive with iothreads', disks: 2, style: 'drive', iothreads: true },
  { what: 'two scsi-hd disks', disks: 2, bus: 'scsi-hd' },
];

/** Of the looks at the guest that are still to be sent behind a switch: that of the undo. The next is in the write that goes back. */
const LOOKS_BEFORE = 1;

describeOnQemu('a revert', () => {
  test.each(setups)('shows what was there at the snapshot: $what', async ({ what: _, ...guest }) => {
    await using on = await stage(guest);
    const bases = await snapshotAndGoOn(on);
    const { disks, ...basics } = on.snapshotAll();
    const saga = await on.engine.revert({ ...basics, disks, delete: true });
    expect(await saga.result).toMatchObject({ outcome: 'committed', strategy: 'reopen', leftovers: [] });
    const blocks = (await on.vm.witness.execute('query-block')) as readonly BlockInfo[];
    const fronts = blocks.flatMap(({ inserted }) => (inserted === undefined ? [] : [inserted.image]));
    expect(fronts.map(({ filename }) => filename)).toEqual(disks.map(({ overlay }) => overlay));
    expect(fronts.map(image => image['backing-image']?.filename)).toEqual(bases);
    expect(await on.vm.witness.execute('query-status')).toMatchObject({ running: false });
    expect(await on.vm.witness.execute('query-jobs')).toEqual([]);
    await on.vm.witness.execute('system_reset');
    await on.vm.kill();
    for (const { overlay } of disks)
      await expectSame(overlay, bases[disks.findIndex(d => d.overlay === overlay)]);
  });

  test('is refused while the guest runs', async () => {
    await using on = await stage({ disks: 2 });
    const { disks, ...basics } = on.snapshotAll();
    await expect(on.engine.revert({ ...basics, disks })).rejects.toMatchObject({ code: 'GUEST_RUNS' });
  });
});

describeOnQemu(
  'a revert whose switch failed, and whose guest a third party resumes on the older images',
  () => {
    test.each([
      { when: 'before it goes back', looked: false },
      { when: 'right after it has looked whether the guest runs', looked: true },
    ])('stays on them: $when', async ({ looked }) => {
      await using on = await stage({ disks: 2 });
      await snapshotAndGoOn(on);
      const { disks, maxBlackoutMs } = on.snapshotAll();
      const resume = () => on.vm.witness.execute('cont');
      on.tap.after('blockdev-reopen', () => {
        if (!looked) return resume();
        on.tap.before('query-status', resume, LOOKS_BEFORE);
        return Promise.resolve();
      });
      const guest = { ...on.tapped, qmp: unaware(on.tapped.qmp) };
      const saga = await on.engine.revert({ ...guest, maxBlackoutMs, disks });
      const result = await saga.result;
      expect(on.tap.pending).toEqual([]);
      expect(result, explain(result)).toMatchObject({ outcome: 'committed', error: null, leftovers: [] });
      const blocks = (await on.vm.witness.execute('query-block')) as readonly BlockInfo[];
      const fronts = blocks.flatMap(({ inserted }) => (inserted === undefined ? [] : [inserted.file]));
      expect(fronts).toEqual(disks.map(({ overlay }) => overlay));
      expect(await on.vm.witness.execute('query-status')).toMatchObject({ running: true });
      await on.vm.awaitWrites(12);
      expect(on.tap.commands.filter(name => name === 'blockdev-reopen')).toHaveLength(looked ? 3 : 1);
    });
  },
);

describeOnQemu(
  'a guest that its administrator had paused, and that a third party resumes right before a switch',
  () => {
    /** Behind which command comes the look with the `stop` of which step; the mark is put once more in the pause. */
    const moments = [
      { step: 'insertFilters', behind: 'object-add', skip: 1 },
      { step: 'reopenFilters', behind: 'qom-set', skip: 0 },
    ];
    const resumeBehind = (on: Stage, command: string, skip: number) =>
      on.tap.before(
        command,
        async () => on.tap.before('query-status', () => on.vm.witness.execute('cont')),
        skip,
      );

    test.each(moments)('runs when its revert is rolled back: $step', async ({ behind, skip }) => {
      await using on = await stage({ disks: 2 });
      await snapshotAndGoOn(on);
      const { disks, maxBlackoutMs } = on.snapshotAll();
      resumeBehind(on, behind, skip);
      const guest = { ...on.tapped, qmp: withoutEvent('RESUME', on.tapped.qmp) };
      const result = await (await on.engine.revert({ ...guest, maxBlackoutMs, disks })).result;
      expect(on.tap.pending).toEqual([]);
      expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
      expect(await on.vm.witness.execute('query-status')).toMatchObject({ running: true });
      await on.vm.awaitWrites(12);
    });

    test('runs when its copy is rolled back', async () => {
      await using on = await stage({ disks: 2, paused: true });
      const { disks, maxBlackoutMs } = on.copyAll();
      // Behind the cancels of both mirrors comes the look in front of the switch.
      resumeBehind(on, 'block-job-cancel', 1);
      const guest = { ...on.tapped, qmp: withoutEvent('RESUME', on.tapped.qmp) };
      const result = await (await on.engine.copy({ ...guest, maxBlackoutMs, disks })).result;
      expect(on.tap.pending).toEqual([]);
      expect(result, explain(result)).toMatchObject({ outcome: 'rolledBack', leftovers: [] });
      expect(await on.vm.witness.execute('query-status')).toMatchObject({ running: true });
      await on.vm.awaitWrites(12);
    });
  },
);
