/**
 * What a switch by `reopen` may rely on, of bare QEMU alone: a throttle filter is put above every disk of a guest that writes in
 * order, and taken away again, without a pause. Each kind of device is tried on each QEMU that is here; one that is not in `.qemu/` is
 * named as not run; in the quick tier each kind on one of them. The images are read from outside after a power cut.
 */
import { describe, expect, test } from 'vitest';
import { fetchedQemus } from '../../scripts/qemu-versions.ts';
import type { GuestBus } from '../../src/demo/guest-command-line.ts';
import { type GuestVm, startGuestVm } from '../../src/demo/guest-vm.ts';
import { checkCut, missingWrites, readCut } from '../../src/demo/ordered-cut.ts';
import { byOne, often } from '../tiers/tier.ts';
import { onEachVersion } from './each-version.ts';

const BUSES: readonly { readonly bus: GuestBus; readonly disks: number }[] = [
  { bus: 'virtio-blk', disks: 8 },
  { bus: 'scsi-hd', disks: 8 },
  { bus: 'nvme', disks: 8 },
  { bus: 'ide-hd', disks: 8 },
  { bus: 'usb-storage', disks: 8 },
];
const ROUNDS = often(2, 5);
/** On each disk, between two changes. */
const WRITES = often(2, 4);
/** The first version with `blockdev-reopen`, which the switch needs. */
const REOPENS = 7;

interface Block {
  readonly qdev?: string;
  readonly inserted?: { readonly 'node-name': string };
}

async function fronts({ witness }: GuestVm): Promise<readonly { path: string; node: string }[]> {
  const blocks = (await witness.execute('query-block')) as readonly Block[];
  return blocks.flatMap(({ qdev = '', inserted }) => {
    const path = qdev.startsWith('/') ? qdev : `/machine/peripheral/${qdev}`;
    return inserted === undefined ? [] : [{ path, node: inserted['node-name'] }];
  });
}

async function setDrives(vm: GuestVm, node: (index: number) => string): Promise<void> {
  const devices = await fronts(vm);
  const set = devices.map(({ path }, index) =>
    vm.witness.execute('qom-set', { path, property: 'drive', value: node(index) }),
  );
  await Promise.all(set);
}

const able = fetchedQemus().flatMap(({ version }) => (Number(version) >= REOPENS ? [version] : []));
const onOne = byOne(able);

onEachVersion((qemu, version) => {
  if (Number(version) >= REOPENS)
    describe(`a guest that runs on QEMU ${version}`, () => {
      test.each(BUSES.filter(({ bus }) => onOne(version, bus)))(
        'is put below filters and out again: $disks $bus',
        async ({ bus, disks }) => {
          await using vm = await startGuestVm({ disks, bus, qemu });
          await vm.witness.execute('object-add', { 'qom-type': 'throttle-group', id: 'group' });
          const before = await fronts(vm);
          await vm.awaitWrites(disks * WRITES);
          for (let round = 0; round < ROUNDS; round += 1) {
            await Promise.all(
              vm.disks.map((_, index) =>
                vm.witness.execute('blockdev-add', {
                  driver: 'throttle',
                  'node-name': `filter${index}`,
                  'throttle-group': 'group',
                  discard: 'unmap',
                  file: `disk${index}`,
                }),
              ),
            );
            await setDrives(vm, index => `filter${index}`);
            expect((await fronts(vm)).map(({ node }) => node)).toEqual(vm.disks.map((_, i) => `filter${i}`));
            await vm.awaitWrites(disks * WRITES);
            await setDrives(vm, index => `disk${index}`);
            await Promise.all(
              vm.disks.map((_, i) => vm.witness.execute('blockdev-del', { 'node-name': `filter${i}` })),
            );
            expect(await fronts(vm)).toEqual(before);
            await vm.awaitWrites(disks * WRITES);
          }
          expect(vm.witness.events.filter(({ event }) => event === 'STOP')).toEqual([]);
          expect(vm.errors()).toBe(0);
          await vm.kill();
          const cut = await readCut(vm.disks);
          const verdict = checkCut(cut);
          expect(verdict, verdict.why).toMatchObject({ consistent: true });
          expect(missingWrites(cut, vm.acknowledged())).toEqual([]);
        },
      );
    });
});
