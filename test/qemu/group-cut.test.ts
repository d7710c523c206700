/**
 * Two real guests that write in turn, each waiting for the other's word over a serial line: write s of the one begins when write
 * s of the other has completed. Images of one instant are at most one write apart, the first guest ahead; a loop that takes
 * one snapshot after the other is shown to fail that.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { GuestVm } from '../../src/demo/guest-vm.ts';
import { createEngine, memoryJournal } from '../../src/index.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { often } from '../tiers/tier.ts';
import { cutOf, isOneInstant, twoInTurn } from './in-turn.ts';
import { describeOnQemu } from './real-qemu.ts';

const ROUNDS = often(4, 8);
const MAX_BLACKOUT_MS = 20_000; // long enough for a machine under any load

/** The n-th snapshot of each guest: a request, and the image that it leaves behind. */
function snapshots(vms: readonly GuestVm[], round: number) {
  return vms.map((vm, at) => {
    const image = (n: number) => (n < 0 ? (vm.disks[0]?.file ?? '') : join(vm.directory, `s${n}.qcow2`));
    const request = {
      ...{ vm: `vm${at}`, qmp: vm.monitor, maxBlackoutMs: MAX_BLACKOUT_MS },
      disks: [{ disk: 'dev0', overlay: image(round) }],
    };
    return { request, left: image(round - 1) };
  });
}

describeOnQemu('two guests that write in turn', () => {
  test('are one instant in the images that a group leaves, in each of several rounds', async () => {
    const vms = await twoInTurn();
    const engine = createEngine({ journal: memoryJournal() });
    const cuts: (readonly number[])[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const asked = snapshots(vms, round);
      const group = await engine.group(asked.map(({ request }) => request));
      const { outcome, error } = await group.result;
      expect({ outcome, error }).toEqual({ outcome: 'committed', error: null });
      cuts.push(await cutOf(asked.map(({ left }) => left)));
      await Promise.all(vms.map(vm => vm.awaitWrites(10)));
    }
    expect(cuts.filter(cut => !isOneInstant(cut))).toEqual([]);
    expect(new Set(cuts.map(([first]) => first)).size).toBe(ROUNDS);
  });

  test('are not, where one snapshot is taken after the other', async () => {
    const vms = await twoInTurn();
    const engine = createEngine({ journal: memoryJournal() });
    const cuts: (readonly number[])[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const asked = snapshots(vms, round);
      for (const { request } of asked) {
        const { outcome } = await (await engine.snapshot(request)).result;
        expect(outcome).toBe('committed');
        await sleep(systemClock, 5);
      }
      cuts.push(await cutOf(asked.map(({ left }) => left)));
    }
    expect(cuts.filter(isOneInstant).length).toBeLessThan(ROUNDS / 2);
  });
});
