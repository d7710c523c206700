/** For scripts/test-times.ts: each test file writes down in the end what its worker and its programs have spent on it. */
import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';
import { afterAll, expect } from 'vitest';
import { spentHere } from './spent.ts';

/** A worker that has played another file before counts from there; a fresh one from its own start. */
const SEEN = 'BLOCKSAGA_TIMES_SEEN';
const before = process.env[SEEN] === String(process.pid) ? spentHere() : { ownS: 0, programsS: 0 };
process.env[SEEN] = String(process.pid);

afterAll(() => {
  const list = process.env['BLOCKSAGA_TIMES'];
  const file = expect.getState().testPath;
  if (list === undefined || file === undefined) throw new Error('this is for npm run test:times');
  const { ownS, programsS } = spentHere();
  const spent = [ownS - before.ownS, programsS - before.programsS].map(seconds => seconds.toFixed(2));
  appendFileSync(list, `${[...spent, relative(process.cwd(), file)].join(' ')}\n`);
});
