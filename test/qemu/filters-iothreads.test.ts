/**
 * Disks below filters of their administrator that stay in iothreads, as Proxmox VE 9 starts every one (virtio-scsi-single): worked
 * through where QEMU can, and refused where it would hang. A version that is not in `.qemu/` is named as not run. In the quick tier each
 * test is played on one of them, below one filter.
 */
import { describe, expect, test } from 'vitest';
import { fetchedQemus, type QemuVersion } from '../../scripts/qemu-versions.ts';
import type { GuestFilter } from '../../src/demo/guest-command-line.ts';
import { byOne } from '../tiers/tier.ts';
import { cancelJobOf } from './cancel-job.ts';
import { onEachVersion } from './each-version.ts';
import { filtersOf, revertBelowFilters } from './filtered.ts';
import {
  expectCloned,
  expectSwitched,
  expectTakenBack,
  expectUntouched,
  explain,
  type Stage,
  stage,
} from './witnessed.ts';

const FILTERS: readonly { readonly filter: GuestFilter }[] = [
  { filter: 'throttle' },
  { filter: 'copy-on-read' },
];
const STRATEGIES = ['reopen', 'finalize', 'complete'] as const;
/** The first version that does not hang. */
const SAFE = 10;

const able = fetchedQemus().flatMap(({ version }) => (Number(version) >= SAFE ? [version] : []));
const guests = able.flatMap(version => FILTERS.map(({ filter }) => ({ version, filter })));
const onOne = byOne(guests);

onEachVersion((qemu, version) => {
  describe(`a disk in an iothread below a filter on QEMU ${version}`, () =>
    Number(version) < SAFE ? refused(qemu) : workedThrough(qemu, version));
});

function begin(qemu: string, filter: GuestFilter, inline = true): Promise<Stage> {
  return stage({ disks: 2, bus: 'scsi-hd', iothreads: true, filters: [filter], inline, qemu });
}

function refused(qemu: string): void {
  test('is refused for a copy: to finalize its mirror would hang QEMU', async () => {
    await using on = await begin(qemu, 'copy-on-read'); // QEMU 5.2 does not come up with a throttle there
    await expect(on.engine.copy(on.copyAll())).rejects.toMatchObject({
      code: 'DISK_UNSUPPORTED',
      disk: 'dev0',
    });
    await expectUntouched(on);
  });
}

function workedThrough(qemu: string, version: QemuVersion): void {
  const filters = (what: string, isAble?: (guest: (typeof guests)[number]) => boolean) =>
    guests.filter(guest => guest.version === version && onOne(guest, what, isAble));
  const cells = STRATEGIES.flatMap(strategy =>
    filters(strategy, ({ filter }) => strategy !== 'reopen' || filter === 'throttle').map(({ filter }) => ({
      ...{ strategy, filter },
    })),
  );

  test.each(cells)('is switched below a $filter by $strategy', async ({ strategy, filter }) => {
    await using on = await begin(qemu, filter);
    const before = await filtersOf(on);
    const result = await (await on.engine.copy({ ...on.copyAll(), strategy })).result;
    expect(await filtersOf(on), explain(result)).toEqual(before);
    await expectSwitched(on, result);
  });

  test.each(filters('overlays'))(
    'takes an overlay below a $filter, which is committed',
    async ({ filter }) => {
      await using on = await begin(qemu, filter);
      const before = await filtersOf(on);
      const taken = await (await on.engine.snapshot(on.snapshotAll())).result;
      expect(taken.outcome, explain(taken)).toBe('committed');
      const disks = on.vm.disks.map(({ device }) => ({ disk: device }));
      const request = { qmp: on.vm.monitor, disks, active: true, maxBlackoutMs: 30_000 };
      const result = await (await on.engine.commit(request)).result;
      expect(result, explain(result)).toMatchObject({ outcome: 'committed', error: null });
      expect(await filtersOf(on)).toEqual(before);
      await expectUntouched(on, { files: on.vm.disks.map((_, index) => on.newFile(index)) });
    },
  );

  test.each(filters('cloned'))('is cloned below a $filter', async ({ filter }) => {
    await using on = await begin(qemu, filter);
    const before = await filtersOf(on);
    const result = await (await on.engine.copy({ ...on.copyAll(), finish: 'clone' })).result;
    expect(await filtersOf(on), explain(result)).toEqual(before);
    await expectCloned(on, result);
  });

  test.each(filters('comes back'))(
    'comes back below a $filter where another disk refuses to switch',
    async ({ filter }) => {
      await using on = await begin(qemu, filter);
      const before = await filtersOf(on);
      on.tap.before('job-finalize', () => cancelJobOf(on, 1));
      const request = { ...on.copyAll(), ...on.tapped, strategy: 'finalize' } as const;
      const result = await (await on.engine.copy(request)).result;
      expect(on.tap.pending).toEqual([]);
      expect(await filtersOf(on), explain(result)).toEqual(before);
      await expectTakenBack(on, result);
    },
  );

  test.each(filters('is reverted', ({ filter }) => filter === 'throttle'))(
    'is reverted by its $filter',
    async ({ filter }) => {
      await using on = await begin(qemu, filter, false);
      await revertBelowFilters(on);
    },
  );
}
