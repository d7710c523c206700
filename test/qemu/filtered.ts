/** Guests whose disks have filters of their administrator's, as Proxmox VE 9 and libvirt start them, and a look at these. */
import { expect } from 'vitest';
import type { GuestFilter } from '../../src/demo/guest-command-line.ts';
import { explain, type Stage, type StageOptions } from './witnessed.ts';

export interface Layout extends Pick<StageOptions, 'filtered' | 'inline'> {
  readonly what: string;
  readonly filters: readonly GuestFilter[];
}

export const LAYOUTS: readonly Layout[] = [
  { what: 'a throttle', filters: ['throttle'] },
  { what: 'copy-on-read', filters: ['copy-on-read'] },
  { what: 'copy-on-read above a throttle', filters: ['copy-on-read', 'throttle'] },
  { what: 'a throttle, beside a disk without', filters: ['throttle'], filtered: [1] },
  {
    what: 'copy-on-read above a throttle, beside disks without',
    filters: ['copy-on-read', 'throttle'],
    filtered: [0],
  },
  { what: 'a throttle in one tree with all below it', filters: ['throttle'], inline: true },
  { what: 'copy-on-read above a throttle in one tree', filters: ['copy-on-read', 'throttle'], inline: true },
];

/** Those that a switch by `reopen` takes. */
export const REOPENABLE = LAYOUTS.filter(({ filters }) => filters.at(-1) === 'throttle');

/** The filters that QEMU has, and which devices are on one: what must not change. */
export async function filtersOf({ vm }: Stage): Promise<unknown> {
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
    fronts: blocks.map(({ inserted }) =>
      inserted !== undefined && isFilter(inserted) ? inserted['node-name'] : 'an image',
    ),
    filters: nodes.filter(isFilter).map(({ 'node-name': node, drv, ro, cache, detect_zeroes }) => ({
      node,
      drv,
      ro,
      cache,
      detect_zeroes,
    })),
  };
}

function isFilter({ drv }: { readonly drv: string }): boolean {
  return drv === 'throttle' || drv === 'copy-on-read';
}

/** Takes overlays called `middle`, writes to them, and stops the guest. */
export async function writeToOverlays(on: Stage): Promise<void> {
  const middle = (index: number) => `${on.directory}/middle${index}.qcow2`;
  const taken = await (await on.engine.snapshot(on.snapshotAll(index => ({ overlay: middle(index) }))))
    .result;
  expect(taken.outcome, explain(taken)).toBe('committed');
  await on.vm.awaitWrites(4);
  await on.vm.witness.execute('stop');
}

/** Reverts all disks of a guest that has written to overlays, and finds its filters where they were, above the new overlays. */
export async function revertBelowFilters(on: Stage): Promise<void> {
  const before = await filtersOf(on);
  await writeToOverlays(on);
  const disks = on.vm.disks.map(({ device }, index) => ({ disk: device, overlay: on.newFile(index) }));
  const result = await (await on.engine.revert({ qmp: on.vm.monitor, disks })).result;
  expect(result, explain(result)).toMatchObject({ outcome: 'committed', error: null });
  expect(await filtersOf(on)).toEqual(before);
  const chains = on.vm.disks.map(({ file }, index) => [on.newFile(index), file]);
  expect((await on.look()).fronts.map(({ chain }) => chain)).toEqual(chains);
}
