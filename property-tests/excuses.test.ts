/**
 * The table of excuses: each row names a law and says why, and what it is for is shown by a run that breaks its law when
 * the row is taken away. Rows whose run is too rare to have been kept are counted, so that no more of them come.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { keyOf } from '../src/fuzz/laws/excuse.ts';
import { EXCUSES } from '../src/fuzz/laws/excuses.ts';
import { judge, LAWS } from '../src/fuzz/laws/laws.ts';
import { runScenario } from '../src/fuzz/run/run-scenario.ts';
import type { Scenario } from '../src/fuzz/scenario/scenario.ts';

const KEPT = new URL('excused.json', import.meta.url);
const kept = JSON.parse(readFileSync(KEPT, 'utf8')) as Readonly<Record<string, Scenario>>;
/** Rows for which 9,000 runs have shown nothing that they excuse. */
const WITHOUT_A_RUN_MAX = 25;

test('each excuse is one of a law that there is, and gives a reason', () => {
  const names = LAWS.map(({ name }) => name);
  expect(EXCUSES.filter(({ law }) => !names.includes(law))).toEqual([]);
  expect(EXCUSES.filter(({ reason }) => reason.length < 20)).toEqual([]);
});

test('no excuse stands in the table twice', () => {
  const keys = EXCUSES.map(keyOf);
  expect(keys.filter((key, at) => keys.indexOf(key) !== at)).toEqual([]);
});

test.each(Object.entries(kept))('"%s" is for what a run breaks without it', async (key, scenario) => {
  const account = await runScenario(scenario);
  expect(judge(account)).toEqual([]);
  const others = EXCUSES.filter(excuse => keyOf(excuse) !== key);
  expect(others).toHaveLength(EXCUSES.length - 1);
  expect(judge(account, others).map(({ law }) => law)).toContain(key.slice(0, key.indexOf(':')));
});

test('the excuses without such a run do not become more', () => {
  const without = EXCUSES.map(keyOf).filter(key => kept[key] === undefined);
  expect(without.length, without.join('; ')).toBeLessThanOrEqual(WITHOUT_A_RUN_MAX);
});

test('an overlay of the saga’s own making on its disk is no reason to need recovery', async () => {
  const file = new URL('replays/reused-overlay-put-on-its-disk-before-the-snapshot.json', import.meta.url);
  const { scenario } = JSON.parse(readFileSync(file, 'utf8')) as { readonly scenario: Scenario };
  const account = await runScenario(scenario);
  expect(judge(account)).toEqual([]);
  const { wish } = scenario;
  expect.assert(wish.operation === 'snapshot');
  const made = { ...account, scenario: { ...scenario, wish: { ...wish, reuse: false } } };
  const laws = judge(made).map(({ law }) => law);
  expect(laws).toEqual(expect.arrayContaining(['it ends', 'recovery is the exception']));
});
