/**
 * A request names images by their places, which a third party's overlay moves by one when it is there before the plan is
 * made. The laws count as the plan had to, and no other way: by the simulated world and by the plan.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { judge } from '../src/fuzz/laws/laws.ts';
import { runScenario } from '../src/fuzz/run/run-scenario.ts';
import type { Scenario } from '../src/fuzz/scenario/scenario.ts';
import { PLAIN } from './plain.ts';

function scenarioOf(operation: string): Scenario {
  const file = new URL(
    `replays/overlay-put-in-front-before-the-${operation}-is-planned.json`,
    import.meta.url,
  );
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly scenario: Scenario }).scenario;
}

describe.each(['commit', 'revert'])('a %s that counts from a third party’s overlay', operation => {
  test('is judged by the images that it names so', async () => {
    const account = await runScenario(scenarioOf(operation));
    expect(account.coveredFirst).toEqual(account.scenario.wish.named);
    expect(judge(account)).toEqual([]);
  });

  test('is broken where it ends on those that it would name without that', async () => {
    const account = await runScenario(scenarioOf(operation));
    expect(judge({ ...account, coveredFirst: [] }).map(({ law }) => law)).toContain('all or none');
    const [index = 0] = account.scenario.wish.named;
    const disks = account.after.disks.map((disk, at) =>
      at === index ? { ...disk, path: '/images/disk9.qcow2' } : disk,
    );
    const after = { ...account.after, disks };
    expect(judge({ ...account, after, atLast: after }).map(({ law }) => law)).toContain('all or none');
  });
});

test('an overlay that comes after the plan moves no place', async () => {
  const scenario = PLAIN['a copy that finalizes mirrors'];
  const [index = 0] = scenario.wish.named;
  const account = await runScenario({
    ...scenario,
    faults: [
      {
        kind: 'otherClient',
        at: { when: 'before', nth: 1 },
        execute: 'blockdev-snapshot-sync',
        arguments: {
          'node-name': `disk${index}`,
          'snapshot-file': `/images/theirs${index}.qcow2`,
          'snapshot-node-name': `theirs-disk${index}`,
        },
        from: 'mirrorDisks',
      },
    ],
  });
  expect(account.struck).toHaveLength(1);
  expect(account.coveredFirst).toEqual([]);
  expect(judge(account)).toEqual([]);
});
