import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { asJson, asText, type DemoEvent } from '../../src/demo/demo-events.ts';
import type { Cut } from '../../src/demo/ordered-cut.ts';
import { RING_SECTORS, type RingSector } from '../../src/demo/ordered-writer.ts';
import {
  checkAcknowledged,
  checkChains,
  checkFronts,
  checkInstant,
  checkNothingLeft,
  checkRuns,
  pausesIn,
} from '../../src/demo/promises.ts';
import type { Sight } from '../../src/demo/sight.ts';

const before: Sight = {
  disks: [
    { device: 'dev0', node: 'disk0', chain: ['/i/disk0', '/i/base0'] },
    { device: 'dev1', node: 'disk1', chain: ['/i/disk1', '/i/base1'] },
  ],
  running: true,
  jobs: [],
  nodes: ['disk0', 'disk0-file', 'disk1', 'disk1-file'],
  objects: [],
  bitmaps: 0,
  files: ['/i/base0', '/i/base1', '/i/disk0', '/i/disk1'],
};
const copies = ['/i/copy0', '/i/copy1'];
const after: Sight = {
  ...before,
  disks: [
    { device: 'dev0', node: 'new0', chain: ['/i/copy0'] },
    { device: 'dev1', node: 'new1', chain: ['/i/copy1'] },
  ],
  nodes: ['new0', 'new0-file', 'new1', 'new1-file'],
  files: [...before.files, ...copies],
};

/** The rings of two disks after the writes of `sequences`. */
function cutOf(...sequences: number[]): Cut {
  const disks = [0, 1].map(disk => {
    const sectors: RingSector[] = Array<RingSector>(RING_SECTORS).fill('none');
    const own = sequences.filter(sequence => sequence % 2 === disk);
    for (const sequence of own) sectors[Math.floor(sequence / 2)] = { sequence, disk, disks: 2 };
    return { sectors, newest: Math.max(0, ...own) };
  });
  return { disks };
}

describe('the checks of the demo', () => {
  test('hold for a copy that was switched as a whole', () => {
    expect(checkFronts(after, copies, 'switched').holds).toBe(true);
    expect(checkChains(before, after).holds).toBe(true);
    expect(checkNothingLeft(before, after, copies).holds).toBe(true);
    expect(checkRuns(after, 10, [12.5], 1_000)).toMatchObject({
      holds: true,
      what: expect.stringMatching(/12\.5 ms/),
    });
    expect(checkInstant(cutOf(1, 2, 3), 'they')).toMatchObject({ holds: true });
    expect(checkAcknowledged(cutOf(1, 2, 3), 3).holds).toBe(true);
  });

  test('find one disk of many that was not switched', () => {
    const mixed = { ...after, disks: [after.disks[0], before.disks[1]].filter(disk => disk !== undefined) };
    expect(checkFronts(mixed, copies, 'switched')).toMatchObject({
      holds: false,
      what: expect.stringMatching(/dev1 is on \/i\/disk1/),
    });
  });

  test('find images of two instants, and images without any write', () => {
    expect(checkInstant(cutOf(1, 3), 'they').holds).toBe(false);
    expect(checkInstant(cutOf(), 'they').holds).toBe(false);
  });

  test('find a removed image and a lost write', () => {
    const removed = { ...after, files: after.files.filter(file => file !== '/i/base1') };
    expect(checkChains(before, removed)).toMatchObject({
      holds: false,
      what: expect.stringMatching(/\/i\/base1 is gone/),
    });
    expect(checkAcknowledged(cutOf(1, 2), 3)).toMatchObject({
      holds: false,
      what: expect.stringMatching(/write 3 is missing/),
    });
  });

  test.each<[string, Partial<Sight>]>([
    ['job left', { jobs: ['left'] }],
    ['node left', { nodes: [...after.nodes, 'left'] }],
    ['object left', { objects: ['left'] }],
    ['a dirty bitmap', { bitmaps: 1 }],
    ['/i/left', { files: [...after.files, '/i/left'] }],
    ['/i/copy1, which is missing', { files: before.files.concat('/i/copy0') }],
  ])('find what should not be as it is: %s', (what, change) => {
    const check = checkNothingLeft(before, { ...after, ...change }, copies);
    expect(check.holds).toBe(false);
    expect(check.what).toContain(what);
  });

  test('find a guest that is paused, writes nothing, or was paused for too long', () => {
    expect(checkRuns({ ...after, running: false }, 10, [], 1_000).holds).toBe(false);
    expect(checkRuns(after, 0, [], 1_000).holds).toBe(false);
    expect(checkRuns(after, 10, [1, 1_001], 1_000).holds).toBe(false);
    const at = (event: string, seconds: number, microseconds: number) => ({
      event,
      timestamp: { seconds, microseconds },
    });
    const events = [at('STOP', 1, 999_000), at('RESUME', 2, 1_000), at('STOP', 5, 0)];
    expect(pausesIn(events)).toEqual([2, Number.POSITIVE_INFINITY]);
    expect(checkRuns(after, 10, pausesIn(events), 1_000).holds).toBe(false);
  });
});

describe('what the demo tells', () => {
  const failed = { promise: 'I3', holds: false, what: 'write 3 is missing' } as const;
  const check: DemoEvent = { type: 'check', ...failed };

  test('marks a promise that does not hold, for people and for programs', () => {
    expect(asText(check).map(stripVTControlCharacters)).toEqual([
      '  ✗ nothing lost (I3): write 3 is missing',
    ]);
    expect(JSON.parse(asJson(check))).toEqual(check);
  });

  test('shows the chain of each disk before and after', () => {
    expect(asText({ type: 'chains', before: before.disks, after: after.disks })).toEqual([
      '  dev0: disk0 -> base0  =>  copy0',
      '  dev1: disk1 -> base1  =>  copy1',
    ]);
    expect(asText({ type: 'chains', before: before.disks, after: before.disks })).toEqual([
      '  the chain of every disk is as it was',
    ]);
  });
});
