/**
 * The table of third parties on the simulator: what another client sends, on one of the disks, at every moment of sagas whose
 * mirrors are slow, or wait. Wherever a disk is then, the saga brings all of them to one side, and ends.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { judge } from '../src/fuzz/laws/laws.ts';
import { runScenario } from '../src/fuzz/run/run-scenario.ts';
import type { PlannedFault, Scenario, SignalAt } from '../src/fuzz/scenario/scenario.ts';
import { diskNames, sagaToken } from '../src/plan/names.ts';
import { often } from '../test/tiers/tier.ts';
import { wrongs } from './draw-scenarios.ts';
import { PLAIN } from './plain.ts';

const ASKED_AT_MS = 40;
const EVERY_MS = often(121.3, 1.9);
const STRATEGIES = ['reopen', 'finalize', 'complete'] as const;
const SIGNALS = ['pivot', 'abort'] as const;

/** A guest that writes more often than commands come shows every write that is missing. */
const WRITES_MS = 0.02;
/** Slow enough for each look to find another state. */
const SLOW = { copyBytesPerMs: 200_000, queryMs: 0.2, commandMs: 0.4, guestWriteMs: WRITES_MS };

const waiting = SIGNALS.flatMap(signal =>
  STRATEGIES.flatMap(strategy =>
    (['a copy that waits for its signal', 'a commit of active images that completes'] as const).map(
      (name): readonly [string, Scenario] => {
        const scenario: Scenario = PLAIN[name];
        const wish = { ...PLAIN[name].wish, strategy, finish: 'leave' } as const;
        return [
          `${wish.operation} that waits to be asked to ${signal}, by ${strategy}`,
          waits({ ...scenario, wish }, { signal, atMs: ASKED_AT_MS }),
        ];
      },
    ),
  ),
);
const mirrored = ([...SIGNALS, 'keepSnapshot'] as const).map((signal): readonly [string, Scenario] => [
  `snapshot whose mirrors wait to be asked to ${signal}`,
  waits(PLAIN['a snapshot whose mirrors are switched to'], { signal, atMs: ASKED_AT_MS }),
]);
const slow = Object.entries(PLAIN)
  .filter(([, { wish }]) => ('finish' in wish && wish.finish !== 'leave') || wish.operation === 'pull')
  .map(([name, scenario]): readonly [string, Scenario] => [
    `${name}, slowly`,
    { ...scenario, pace: { ...scenario.pace, ...SLOW } },
  ]);

function waits(scenario: Scenario, signal: SignalAt): Scenario {
  return { ...scenario, pace: { ...scenario.pace, guestWriteMs: WRITES_MS }, signals: [signal] };
}

/** What the third party sends to the second disk's job, in order. */
const MEDDLING = [
  ['job-complete'],
  ['job-complete', 'job-finalize'],
  ['job-complete', 'job-dismiss'],
  ['job-cancel'],
  ['job-cancel', 'job-dismiss'],
  ['job-finalize'],
  ['job-finalize', 'job-dismiss'],
] as const;

describe.each([...waiting, ...mirrored, ...slow])('%s', (_what, scenario) => {
  test.each(MEDDLING.map(verbs => ({ verbs })))(
    'ends on one side whenever a third party sends $verbs',
    async ({ verbs }) => {
      const { job: id } = diskNames(
        sagaToken('fuzzed'),
        1,
        scenario.wish.operation === 'snapshotMirror' ? 'm' : '',
      );
      const endMs = await durationOf(scenario);
      for (let ms = 5; ms < endMs; ms += EVERY_MS) {
        const faults = verbs.map(
          (execute, at): PlannedFault => ({
            ...{ kind: 'otherClient', at: { when: 'at', ms: ms + at } },
            ...{ execute, arguments: { id } },
          }),
        );
        expect(await wrongs({ ...scenario, faults }), `at ${ms} ms`).toBe('');
      }
    },
  );
});

async function durationOf(scenario: Scenario): Promise<number> {
  let lastMs = 0;
  await runScenario(scenario, ({ atMs }) => {
    lastMs = atMs;
  });
  return lastMs;
}

describe('a filter that is moved as its guest leaves it', () => {
  test('is missed by the laws where it does not stay', async () => {
    const file = new URL('replays/filter-moved-as-it-is-left.json', import.meta.url);
    const { scenario } = JSON.parse(readFileSync(file, 'utf8')) as { readonly scenario: Scenario };
    const account = await runScenario(scenario);
    expect(judge(account)).toEqual([]);
    const { nodes } = account.atLast;
    const without = { ...account.atLast, nodes: nodes.filter(name => !name.endsWith('-filter')) };
    expect(without.nodes.length).toBe(nodes.length - 1);
    expect(judge({ ...account, atLast: without }).map(({ law }) => law)).toContain('it ends');
  });
});
