/** What the quick tier leaves out: combinations, never a value. */
import { expect, test } from 'vitest';
import { byOne, covering, isFull, share, strides, turns } from './tier.ts';

const ROWS = ['a', 'b', 'c'].flatMap(one =>
  [1, 2].flatMap(two => [true, false].map(three => ({ one, two, three }))),
);
const values = (row: object) => Object.entries(row).map(([column, value]) => `${column}=${value}`);
const pairs = (row: object) =>
  values(row).flatMap((one, at) =>
    values(row)
      .slice(at + 1)
      .map(other => `${one},${other}`),
  );

test.each([
  ['values', values, 3],
  ['pairs', pairs, 7],
] as const)('every one of the %s of a table is in one of the rows that are taken', (_what, marksOf, most) => {
  const taken = covering(ROWS, marksOf);
  expect(new Set(taken.flatMap(marksOf))).toEqual(new Set(ROWS.flatMap(marksOf)));
  expect(taken.length).toBeLessThanOrEqual(most);
});

test('the same rows are taken every time, in the order of the table', () => {
  const taken = covering(ROWS, pairs);
  expect(covering(ROWS, pairs)).toEqual(taken);
  expect(taken.map(row => ROWS.indexOf(row))).toEqual(
    taken.map(row => ROWS.indexOf(row)).toSorted((a, b) => a - b),
  );
});

test('no rows are none', () => {
  expect(covering([], values)).toEqual([]);
});

test('tests that are alike take the rows in turn, and together all of them; in the full tier each takes all', () => {
  const inTurn = turns();
  const rows = ['a', 'b', 'c'];
  const taken = [inTurn(rows), inTurn(rows, 2), inTurn(rows)];
  expect(taken).toEqual(isFull ? [rows, rows, rows] : [['a'], ['b', 'c'], ['a']]);
  expect(turns()(rows, 5)).toEqual(rows);
});

test('tests that are alike look at every nth moment, each from another one on; in the full tier at all', () => {
  const moments = strides(3);
  const looks = [moments(7), moments(7), moments(7), moments(2), moments(2)];
  const all = (count: number) => Array.from({ length: count }, (_, index) => index + 1);
  const quick = [[1, 4, 7], [2, 5], [3, 6], [2], [1]];
  expect(looks).toEqual(isFull ? [all(7), all(7), all(7), all(2), all(2)] : quick);
});

test('each test of a suite that is played for several variants is played by one of them; in the full tier by all', () => {
  const plays = [0, 1, 2].map(variant => share(variant, 3));
  const players = Array.from({ length: 4 }, () => plays.map(each => each()));
  const one = (variant: number) => [0, 1, 2].map(each => isFull || each === variant);
  expect(players).toEqual([one(0), one(1), one(2), one(0)]);
});

test('each test of a suite is played by one of the variants that are able to; in the full tier by all of these', () => {
  const variants = [5, 7, 10];
  const plays = byOne(variants);
  const players = ['one', 'two', 'three', 'four'].map(name =>
    variants.filter(variant => plays(variant, name, version => name !== 'one' || version > 5)),
  );
  expect(players).toEqual(isFull ? [[7, 10], variants, variants, variants] : [[7], [7], [10], [5]]);
});
