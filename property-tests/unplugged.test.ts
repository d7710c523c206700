/**
 * A third party unplugs a disk at each moment of every way in which disks are changed, or all of them, on a bus where they leave
 * at once and on one where the guest gives them away: the others end on one side, and the image of each that has left is kept
 * and named. What else goes wrong with it is drawn by the fuzzer.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { judge } from '../src/fuzz/laws/laws.ts';
import { runScenario } from '../src/fuzz/run/run-scenario.ts';
import type { PlannedFault, Scenario } from '../src/fuzz/scenario/scenario.ts';
import { strides } from '../test/tiers/tier.ts';
import { PLAIN } from './plain.ts';

const moments = strides(97);
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

test('a recovery that names a disk which has left a revert on an image of neither side is noticed', async () => {
  const kept = new URL('replays/revert-that-a-disk-has-left-then-killed.json', import.meta.url);
  const { scenario } = JSON.parse(readFileSync(kept, 'utf8')) as { scenario: Scenario };
  const account = await runScenario(scenario);
  expect(judge(account)).toEqual([]);
  const { offline, before } = account;
  const wrong = [...before.files.keys()].find(file => file.startsWith('/images/disk2-base'));
  if (wrong === undefined) throw new Error('the disk has no image below');
  const booted = offline?.booted;
  if (booted === undefined || offline === undefined) throw new Error('nothing was booted');
  const disks = booted.disks.map((disk, at) => (at === 2 ? { ...disk, path: wrong, contents: [] } : disk));
  const named = { ...account, offline: { ...offline, booted: { ...booted, disks } } };
  expect(judge(named).map(({ law }) => law)).toContain('the dead leave one set');
});

test('a result that says neither where a disk was last nor that QEMU could not be asked is noticed', async () => {
  const kept = new URL('replays/unplugged-behind-a-rollback-then-killed.json', import.meta.url);
  const { scenario } = JSON.parse(readFileSync(kept, 'utf8')) as { scenario: Scenario };
  const account = await runScenario(scenario);
  expect(judge(account)).toEqual([]);
  const { result } = account;
  if (result === undefined) throw new Error('it has no result');
  const silent = { ...result, leftovers: [] };
  const laws = judge({ ...account, result: silent, resultAtLast: silent }).map(({ law }) => law);
  expect(laws).toContain('an unplugged disk keeps its image');
});
