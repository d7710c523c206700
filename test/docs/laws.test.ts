/** The page of laws and excuses is made from the laws themselves, and each excuse is on it. */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { lawsPage, PAGE } from '../../scripts/laws-page.ts';
import { EXCUSES } from '../../src/fuzz/laws/excuses.ts';
import { LAWS } from '../../src/fuzz/laws/laws.ts';

test('docs/laws.md is as the laws and excuses say it: else run "npm run laws"', () => {
  expect(readFileSync(PAGE, 'utf8')).toBe(lawsPage());
});

test('the page has each law once, and each excuse with its reason', () => {
  const page = lawsPage();
  const headings = page.split('\n').filter(line => /^## \d+\. /.test(line));
  expect(headings).toHaveLength(LAWS.length);
  const missing = EXCUSES.filter(({ reason }) => !page.includes(` | ${reason} | `));
  expect(missing).toEqual([]);
  const marks = page.match(/ \(?(x|\+\d+)\)? (?=\|)/g) ?? [];
  expect(marks).toHaveLength(2 * EXCUSES.length); // in the matrix, and beside the reason
});
