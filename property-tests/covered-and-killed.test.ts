/**
 * A third party puts an overlay above a disk at any step of any saga, and QEMU or its host dies a moment later: an offline recovery boots
 * from all that the guest was told of, whatever the overlay stands on, and removes nothing below one.
 */
import { expect, test } from 'vitest';
import { likelyPath } from '../src/fuzz/draw/likely-path.ts';
import { runScenario } from '../src/fuzz/run/run-scenario.ts';
import { type Draw, drawFrom } from '../src/fuzz/scenario/draw.ts';
import { drawForeign, FOREIGN_COMMANDS } from '../src/fuzz/scenario/foreign-commands.ts';
import type { PlannedFault, Scenario } from '../src/fuzz/scenario/scenario.ts';
import { often } from '../test/tiers/tier.ts';
import { wrongs } from './draw-scenarios.ts';
import { PLAIN } from './plain.ts';

const OVERLAY = FOREIGN_COMMANDS['blockdev-snapshot-sync'];

/** At a step that the saga will probably come to, and QEMU's death there or up to three steps later. */
function faultsOf(draw: Draw, { guest, wish }: Scenario): readonly PlannedFault[] {
  if (wish.operation === 'commitOffline') return [];
  const { there, onward } = likelyPath(guest, wish);
  const steps = [...there, ...onward];
  const place = draw.below(steps.length);
  const [from, then] = [steps[place], steps[Math.min(steps.length - 1, place + draw.few(4))]];
  if (from === undefined || then === undefined) return [];
  const at = { when: draw.one(['before', 'after'] as const), nth: 1 + draw.few(5) };
  const kill = { when: draw.one(['before', 'after'] as const), nth: 1 + draw.few(6) };
  if (OVERLAY === undefined) return [];
  return [
    ...drawForeign(draw, OVERLAY, wish, guest).map(
      (sent): PlannedFault => ({ kind: 'otherClient', at, ...sent, from }),
    ),
    { kind: 'kill', what: draw.chance(6) ? 'host' : 'qemu', at: kill, from: then },
  ];
}

test.each(Object.entries(PLAIN))(
  '%s: nothing that its guest was told of is left out',
  async (_what, plain) => {
    for (let seed = 0; seed < often(5, 300); seed += 1) {
      const scenario = { ...plain, faults: faultsOf(drawFrom(seed), plain) };
      expect(await wrongs(scenario)).toBe('');
    }
  },
);

test('what the guest was on last is said by what is booted', async () => {
  const plain = PLAIN['a copy that finalizes mirrors'];
  const fronts = new Set<boolean>();
  for (let seed = 0; seed < 60; seed += 1) {
    const { offline } = await runScenario({ ...plain, faults: faultsOf(drawFrom(seed), plain) });
    for (const { cover } of offline?.booted?.disks ?? []) fronts.add(cover !== undefined);
  }
  expect(fronts).toEqual(new Set([true, false]));
});
