/** The laws of groups, over drawn guests, faults and deaths; and each law notices what it is for. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { often } from '../test/tiers/tier.ts';
import { judgeGroup } from './group-laws.ts';
import { playGroup, scenes } from './group-scene.ts';

const RUNS = Number(process.env['GROUP_RUNS'] ?? often(60, 120));

test('every group is one of all guests or of none, whatever fails, and whichever process dies', async () => {
  await fc.assert(
    fc.asyncProperty(scenes, async scene => {
      expect(judgeGroup(await playGroup(scene))).toEqual([]);
    }),
    { numRuns: RUNS },
  );
});
