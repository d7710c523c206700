/**
 * For scripts/test-times.ts: each test file writes down in the end what its worker and its programs have spent on it, and on each
 * of its tests. A test costs what is spent until the next one begins: its programs end after it.
 */
import { appendFileSync } from 'node:fs';
import { relative } from 'node:path';
import { afterAll, beforeEach, expect } from 'vitest';
import { spentHere } from './spent.ts';

/** A worker that has played another file before counts from there; a fresh one from its own start. */
const SEEN = 'BLOCKSAGA_TIMES_SEEN';
const before = process.env[SEEN] === String(process.pid) ? spentHere() : { ownS: 0, programsS: 0 };
process.env[SEEN] = String(process.pid);

let last = { name: '(its modules)', spent: before };
const lines: string[] = [];

beforeEach(({ task }) => {
  closeLast();
  last = { name: expect.getState().currentTestName ?? task.name, spent: spentHere() };
});

afterAll(() => {
  const list = process.env['BLOCKSAGA_TIMES'];
  const file = expect.getState().testPath;
  if (list === undefined || file === undefined) throw new Error('this is for npm run test:times');
  closeLast();
  appendFileSync(
    list,
    lines
      .map(line => `${line}\n`)
      .join('')
      .replaceAll('FILE', relative(process.cwd(), file)),
  );
});

function closeLast(): void {
  const { ownS, programsS } = spentHere();
  const spent = [ownS - last.spent.ownS, programsS - last.spent.programsS];
  lines.push([...spent.map(seconds => seconds.toFixed(2)), 'FILE', last.name].join('\t'));
}
