/** Tests of the laws that judge by the journal: records that no sound engine writes, which they must notice. */
import { expect, test } from 'vitest';
import { judge } from '../src/fuzz/laws/laws.ts';
import { runScenario } from '../src/fuzz/run/run-scenario.ts';
import { PLAIN } from './plain.ts';

test('the laws notice an abort that was in time and was not heeded, and two undos of one step', async () => {
  const scenario = PLAIN['a copy that reopens filters'];
  const account = await runScenario({ ...scenario, signals: [{ signal: 'abort', atMs: 1.5 }] });
  expect(judge(account)).toEqual([]);
  const { records } = account;
  const seq = records.length + 1;
  const more = (kind: 'intent' | 'decision' | 'outcome', step: string, body: object) =>
    ({ seq: seq + 1, atMs: 0, kind, step, body }) as unknown as (typeof records)[number];
  const decided = [
    ...records,
    more('intent', 'reopenFilters', {}),
    { ...more('decision', 'reopenFilters', { verdict: 'forward' }), seq: seq + 2 },
  ];
  expect(judge({ ...account, records: decided, recordsEnded: decided }).map(({ law }) => law)).toContain(
    'asked to roll back, rolls back',
  );
  const twice = [
    ...records,
    more('intent', 'undo.markQemu', {}),
    more('outcome', 'undo.markQemu', { value: null }),
  ];
  expect(judge({ ...account, records: twice })).toMatchObject([
    { law: 'in order', what: expect.stringContaining('twice') },
  ]);
});
