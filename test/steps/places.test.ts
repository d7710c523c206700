import { expect, test } from 'vitest';
import { meet, type PlaceParts, placeOfExport, placeOfPath, type Standing } from '../../src/images/places.ts';

/** A machine's devices as text; it injects no faults. */
function machine(
  nodes: Readonly<Record<string, Standing>>,
  sysfs: Readonly<Record<string, string>>,
): PlaceParts {
  return {
    stand: async path => nodes[path],
    sysfs: {
      read: async path => sysfs[path],
      list: async path => [
        ...new Set(
          Object.keys(sysfs).flatMap(each =>
            each.startsWith(`${path}/`) ? [each.slice(path.length + 1).split('/')[0] ?? ''] : [],
          ),
        ),
      ],
    },
  };
}

const device = (numbers: string): Standing => ({ kind: 'device', numbers });
const file = (identity: string): Standing => ({ kind: 'file', identity });
const loop = (numbers: string, behind: string, offset = 0, sizelimit = 0) => ({
  [`/sys/dev/block/${numbers}/loop/backing_file`]: behind,
  [`/sys/dev/block/${numbers}/loop/offset`]: String(offset),
  [`/sys/dev/block/${numbers}/loop/sizelimit`]: String(sizelimit),
});
const partition = (numbers: string, disk: string, start: number, size: number) => ({
  [`/sys/dev/block/${numbers}/partition`]: '1',
  [`/sys/dev/block/${numbers}/../dev`]: disk,
  [`/sys/dev/block/${numbers}/start`]: String(start),
  [`/sys/dev/block/${numbers}/size`]: String(size),
});

const PARTS = machine(
  {
    '/a': file('1:2'),
    '/hard-link-of-a': file('1:2'),
    '/b': file('1:3'),
    '/dev/loop0': device('7:0'),
    '/dev/loop1': device('7:1'),
    '/dev/loop2': device('7:2'),
    '/dev/loop3': device('7:3'),
    '/dev/loop4': device('7:4'),
    '/dev/sda': device('8:0'),
    '/dev/disk/by-id/sda': device('8:0'),
    '/dev/sda1': device('8:1'),
    '/dev/sda2': device('8:2'),
    '/dev/dm-0': device('253:0'),
    '/dev/dm-1': device('253:1'),
  },
  {
    ...loop('7:0', '/a'),
    ...loop('7:1', '/a', 0, 1_024),
    ...loop('7:2', '/a', 4_096),
    ...loop('7:3', '/dev/loop0'),
    ...loop('7:4', '/gone (deleted)'),
    ...partition('8:1', '8:0', 8, 100),
    ...partition('8:2', '8:0', 108, 100),
    '/sys/dev/block/253:0/slaves/sda2/dev': '8:2',
    '/sys/dev/block/253:1/slaves/sda2/dev': '8:2',
  },
);

test.each([
  ['/a', '/hard-link-of-a', true],
  ['/a', '/b', false],
  ['/dev/sda', '/dev/disk/by-id/sda', true],
  ['/dev/loop0', '/a', true],
  ['/dev/loop0', '/hard-link-of-a', true],
  ['/dev/loop0', '/b', false],
  ['/dev/loop0', '/dev/loop1', true],
  ['/dev/loop1', '/dev/loop2', false],
  ['/dev/loop0', '/dev/loop2', true],
  ['/dev/loop3', '/a', true],
  ['/dev/loop4', '/a', false],
  ['/dev/sda', '/dev/sda1', true],
  ['/dev/sda1', '/dev/sda2', false],
  ['/dev/dm-0', '/dev/sda2', true],
  ['/dev/dm-0', '/dev/sda', true],
  ['/dev/dm-0', '/dev/sda1', false],
  ['/dev/dm-0', '/dev/dm-1', false],
])('%s and %s may hold the same bytes: %s', async (one, other, expected) => {
  const [place, another] = [await placeOfPath(one, PARTS), await placeOfPath(other, PARTS)];
  expect.assert(place !== undefined && another !== undefined);
  expect([meet(place, another), meet(another, place)]).toEqual([expected, expected]);
});

test.each([
  ['nbd://127.0.0.1:10809/x', 'nbd://localhost/x', true],
  ['nbd://[::1]:10809/x', 'nbd://LOCALHOST:10809/x', true],
  ['nbd://web:10809/x', 'nbd://127.0.0.1:10809/x', true],
  ['nbd://web:10809/x', 'nbd://127.0.0.1:10809/y', false],
  ['nbd://web:10809/x', 'nbd://127.0.0.1:10810/x', false],
  ['nbd://other:10809/x', 'nbd://127.0.0.1:10809/x', false],
])('the exports %s and %s are one: %s', (one, other, expected) => {
  const [place, another] = [one, other].map(each => placeOfExport(each, new Set(['web'])));
  expect.assert(place !== undefined && another !== undefined);
  expect(meet(place, another)).toBe(expected);
});
