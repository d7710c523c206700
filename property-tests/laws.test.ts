/** The laws over drawn sagas: every operation, strategy, version and number of disks, faults, signals and deaths. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LAWS } from '../src/fuzz/laws/laws.ts';
import { often } from '../test/tiers/tier.ts';
import { scenarioFrom, wrongs } from './draw-scenarios.ts';

const RUNS = often(15, 150);
const OLD = ['1.0', '1.1', '1.3', '2.4'] as const;

describe('every law holds', () => {
  test.each([
    ['snapshots', { operations: ['snapshot'] as const }],
    ['copies', { operations: ['copy'] as const }],
    ['pulls', { operations: ['pull'] as const }],
    ['commits', { operations: ['commit'] as const }],
    ['reverts', { operations: ['revert'] as const }],
    ['snapshots with mirrors', { operations: ['snapshotMirror'] as const }],
    ['commits without QEMU', { operations: ['commitOffline'] as const }],
    ['snapshots of old versions', { operations: ['snapshot'] as const, profiles: OLD }],
    ['commits of a QEMU that cannot reopen', { operations: ['commit'] as const, profiles: ['5.2'] as const }],
    ['copies of a QEMU that cannot reopen', { operations: ['copy'] as const, profiles: ['5.2'] as const }],
    ['sagas of one disk', { disksMax: 1 }],
    ['sagas without faults, whatever signals and deaths come', { faultsMax: 0 }],
  ])('for %s', async (_what, limits) => {
    const property = fc.asyncProperty(fc.gen(), async gen => {
      expect(await wrongs(scenarioFrom(gen, limits))).toBe('');
    });
    await fc.assert(property, { numRuns: RUNS });
  });
});

test('each law has a name of its own and says what it wants', () => {
  expect(new Set(LAWS.map(law => law.name)).size).toBe(LAWS.length);
  expect(LAWS.filter(law => law.says.length < 20)).toEqual([]);
});
