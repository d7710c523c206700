/**
 * Two real guests that write in turn, each waiting for the other's word over a serial line: write s of the one begins when write
 * s of the other has completed. Images of one instant are at most one write apart, the first guest ahead; a loop that takes
 * one snapshot, or one clone, after the other is shown to fail that.
 */
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { GuestVm } from '../../src/demo/guest-vm.ts';
import { createEngine, type Engine, memoryJournal } from '../../src/index.ts';
import { sleep, systemClock } from '../../src/qmp/clock.ts';
import { often } from '../tiers/tier.ts';
import { cutOf, isOneInstant, twoInTurn } from './in-turn.ts';
import { describeOnQemu } from './real-qemu.ts';

const ROUNDS = often(4, 8);
const MAX_BLACKOUT_MS = 20_000; // long enough for a machine under any load

/** What one guest is asked for in one round, alone or in a group, and the image that is left of its instant. */
interface Asked {
  readonly request: Parameters<Engine['group']>[0][number];
  readonly alone: (engine: Engine) => ReturnType<Engine['snapshot']>;
  readonly left: string;
}

type Way = (vm: GuestVm, at: number, round: number) => Asked;

const atGuest = (vm: GuestVm, at: number) => ({
  vm: `vm${at}`,
  qmp: vm.monitor,
  maxBlackoutMs: MAX_BLACKOUT_MS,
});

/** The image below the overlay. */
const snapshot: Way = (vm, at, round) => {
  const image = (n: number) => (n < 0 ? (vm.disks[0]?.file ?? '') : join(vm.directory, `s${n}.qcow2`));
  const request = { ...atGuest(vm, at), disks: [{ disk: 'dev0', overlay: image(round) }] };
  return { request, alone: engine => engine.snapshot(request), left: image(round - 1) };
};

/** The copy beside the disk. */
const clone: Way = (vm, at, round) => {
  const to = join(vm.directory, `c${round}.qcow2`);
  const request = { ...atGuest(vm, at), finish: 'clone' as const, disks: [{ disk: 'dev0', to }] };
  return { request, alone: engine => engine.copy(request), left: to };
};

describeOnQemu('two guests that write in turn', () => {
  describe.each([
    ['snapshot', snapshot],
    ['clone', clone],
  ] as const)('and are asked for a %s each', (_, way) => {
    test('are one instant in what a group leaves of them, in each of several rounds', async () => {
      const vms = await twoInTurn();
      const engine = createEngine({ journal: memoryJournal() });
      const cuts: (readonly number[])[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const asked = vms.map((vm, at) => way(vm, at, round));
        const group = await engine.group(asked.map(({ request }) => request));
        const { outcome, error } = await group.result;
        expect({ outcome, error }).toEqual({ outcome: 'committed', error: null });
        cuts.push(await cutOf(asked.map(({ left }) => left)));
        await Promise.all(vms.map(vm => vm.awaitWrites(10)));
      }
      expect(cuts.filter(cut => !isOneInstant(cut))).toEqual([]);
      expect(new Set(cuts.map(([first]) => first)).size).toBe(ROUNDS);
    });

    test('are not, where one is taken after the other', async () => {
      const vms = await twoInTurn();
      const engine = createEngine({ journal: memoryJournal() });
      const cuts: (readonly number[])[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const asked = vms.map((vm, at) => way(vm, at, round));
        for (const { alone } of asked) {
          const { outcome } = await (await alone(engine)).result;
          expect(outcome).toBe('committed');
          await sleep(systemClock, 5);
        }
        cuts.push(await cutOf(asked.map(({ left }) => left)));
      }
      expect(cuts.filter(isOneInstant).length).toBeLessThan(ROUNDS / 2);
    });
  });
});
