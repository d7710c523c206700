/** The table of excuses: each row names a law and says why. */
import { expect, test } from 'vitest';
import { EXCUSES } from '../src/fuzz/excuses.ts';
import { LAWS } from '../src/fuzz/laws.ts';

test('each excuse is one of a law that there is, and gives a reason', () => {
  const names = LAWS.map(({ name }) => name);
  expect(EXCUSES.filter(({ law }) => !names.includes(law))).toEqual([]);
  expect(EXCUSES.filter(({ reason }) => reason.length < 20)).toEqual([]);
});

test('no excuse stands in the table twice', () => {
  const keys = EXCUSES.map(excuse => `${excuse.law}: ${'fault' in excuse ? excuse.fault : excuse.world}`);
  expect(keys.filter((key, at) => keys.indexOf(key) !== at)).toEqual([]);
});
