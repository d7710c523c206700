/**
 * Groups of guests on two hosts, whose agents meet over HTTP. Two real guests that write in turn, each waiting for the other's word
 * over a serial line, are at one instant in their images; see group-cut.test.ts for the same in one process, and for what a loop
 * of single snapshots comes to.
 */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { often } from '../tiers/tier.ts';
import { beginOn, endOn, startHosts } from './hosts-stage.ts';
import { cutOf, isOneInstant, twoInTurn } from './in-turn.ts';
import { describeOnQemu } from './real-qemu.ts';

const ROUNDS = often(3, 6);
const MAX_BLACKOUT_MS = 20_000; // long enough for a machine under any load

/** What disk `dev0` is asked for in a round, and the image that is left of that instant. */
const WAYS = {
  snapshots: (image: (n: number) => string, round: number) => ({
    ...{ more: {}, disk: { overlay: image(round) }, left: image(round - 1) },
  }),
  clones: (image: (n: number) => string, round: number) => ({
    ...{ more: { finish: 'clone' }, disk: { to: image(round) }, left: image(round) },
  }),
} as const;

describeOnQemu('two guests on two hosts that write in turn', () => {
  test.each(['snapshots', 'clones'] as const)(
    'are one instant in what a group of %s leaves, in each of several rounds',
    async kind => {
      const vms = await twoInTurn();
      const [first, second] = vms;
      await using on = await startHosts({ h1: { a: first.monitor }, h2: { b: second.monitor } });
      const cuts: (readonly number[])[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const way = (vm: (typeof vms)[number]) => {
          const image = (n: number) =>
            n < 0 ? (vm.disks[0]?.file ?? '') : join(vm.directory, `s${n}.qcow2`);
          return WAYS[kind](image, round);
        };
        const member = (name: string, vm: (typeof vms)[number], at: number) => ({
          ...{ vm: name, id: `g${round}.${at}`, maxBlackoutMs: MAX_BLACKOUT_MS, ...way(vm).more },
          disks: [{ disk: 'dev0', ...way(vm).disk }],
        });
        const members = { h1: [member('a', first, 0)], h2: [member('b', second, 1)] };
        const begun = await beginOn(on.hosts, `g${round}`, members);
        expect(begun.map(({ status, body }) => ({ status, body }))).toEqual([
          { status: 202, body: { id: `g${round}` } },
          { status: 202, body: { id: `g${round}` } },
        ]);
        expect(await endOn(on.hosts, `g${round}`)).toEqual(['committed', 'committed']);
        cuts.push(await cutOf(vms.map(vm => way(vm).left)));
        await Promise.all(vms.map(vm => vm.awaitWrites(10)));
      }
      expect(cuts.filter(cut => !isOneInstant(cut))).toEqual([]);
      expect(new Set(cuts.map(([upTo]) => upTo)).size).toBe(ROUNDS);
    },
  );
});
