/** The laws of groups over two hosts: drawn guests, faults, deaths and a wire that loses, doubles and delays. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { judgeGroup } from './group-laws.ts';
import { hostsScenes, playHosts } from './hosts-scene.ts';

const RUNS = Number(process.env['GROUP_RUNS'] ?? 120);

test('a group on two hosts is one of all guests or of none, whatever fails between them, and whichever process dies', async () => {
  await fc.assert(
    fc.asyncProperty(hostsScenes, async scene => {
      expect(judgeGroup(await playHosts(scene))).toEqual([]);
    }),
    { numRuns: RUNS },
  );
});
