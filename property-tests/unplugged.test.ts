/**
 * A third party unplugs a disk at each moment of every way in which disks are changed, or all of them, on a bus where they leave
 * at once and on one where the guest gives them away: the others end on one side, and the image of each that has left is kept
 * and named. What else goes wrong with it is drawn by the fuzzer.
 */
import { describe, expect, test } from 'vitest';
import { judge } from '../src/fuzz/laws/laws.ts';
import { runScenario } from '../src/fuzz/run/run-scenario.ts';
import type { PlannedFault, Scenario } from '../src/fuzz/scenario/scenario.ts';
import { strides } from '../test/tiers/tier.ts';
import { PLAIN } from './plain.ts';

const moments = strides(13);
const COMMANDS_MAX = 150;

const LEAVING = [
  ['the first disk', [0]],
  ['the last disk', [1]],
  ['all disks', [0, 1]],
] as const;
const WHERE = [
  ['scsi-hd', 'blockdev'],
  ['scsi-hd', 'drive'],
  ['virtio-blk', 'blockdev'],
] as const;

const CASES = Object.entries(PLAIN).filter(([, { wish }]) => wish.operation !== 'commitOffline');

describe.each(CASES)('%s', (name, plain: Scenario) => {
  test.each(LEAVING)('keeps what was on %s when it is unplugged', async (_what, leaving) => {
    const [bus, style] = WHERE[name.length % WHERE.length] ?? WHERE[0];
    const { guest } = plain;
    const scenario = { ...plain, guest: { ...guest, bus, style: guest.filters ? guest.style : style } };
    for (const nth of moments(COMMANDS_MAX)) {
      const faults = leaving.map(
        (index): PlannedFault => ({
          ...{ kind: 'otherClient', at: { when: 'before', nth } },
          ...{ execute: 'device_del', arguments: { id: `dev${index}` } },
        }),
      );
      const account = await runScenario({ ...scenario, faults });
      if (account.struck.length === 0) break;
      expect(judge(account), `before command ${nth}: ${JSON.stringify({ ...scenario, faults })}`).toEqual([]);
    }
  });
});
