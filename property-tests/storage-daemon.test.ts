/**
 * Sagas on the exports of a simulated storage daemon, under everything that is drawn for a guest's disks, and with an export that is
 * removed at each moment. That a real daemon does the same is for the tests on real ones.
 */
import { expect, test } from 'vitest';
import { ALL, drawScenario, isServedByDaemon } from '../src/fuzz/draw/draw-scenario.ts';
import { judge } from '../src/fuzz/laws/laws.ts';
import { runScenario } from '../src/fuzz/run/run-scenario.ts';
import type { PlannedFault, Scenario } from '../src/fuzz/scenario/scenario.ts';
import { often, strides } from '../test/tiers/tier.ts';
import { wrongs } from './draw-scenarios.ts';
import { PLAIN } from './plain.ts';

const SERVED = {
  ...ALL,
  operations: ['snapshot', 'commit', 'pull'],
  profiles: ['6.1', '7.2', '10.0', '11.1'],
} as const;

function onDaemon(scenario: Scenario): Scenario {
  return { ...scenario, guest: { ...scenario.guest, storageDaemon: true } };
}

/** The guest that writes to the exports may stop for reasons of its own. */
const STOPS_WRITERS: ReadonlySet<string> = new Set(['guestShutdown', 'guestSuspend', 'kill']);

test('keep every law, and end on both sides', async () => {
  const outcomes = new Set<string | undefined>();
  const count = often(60, 1_200);
  let runs = 0;
  for (let seed = 1; runs < count; seed += 1) {
    const drawn = drawScenario(seed, SERVED);
    if (!isServedByDaemon(drawn.guest, drawn.wish)) continue;
    runs += 1;
    const scenario = onDaemon(drawn);
    const account = await runScenario(scenario);
    expect(judge(account), JSON.stringify(scenario)).toEqual([]);
    if (!scenario.faults.some(({ kind }) => STOPS_WRITERS.has(kind))) expect(account.pauses).toEqual([]);
    outcomes.add(account.result?.outcome);
  }
  expect([...outcomes]).toEqual(expect.arrayContaining(['committed', 'rolledBack', 'needsRecovery']));
});

const moments = strides(11);
const COMMANDS_MAX = 60;
/** Pulls need a newer one than the others. */
const CASES = Object.entries(PLAIN)
  .map(([name, { guest, ...plain }]) => {
    const profile = plain.wish.operation === 'pull' ? '10.0' : guest.profile;
    return [name, { ...plain, guest: { ...guest, profile } }] as const;
  })
  .filter(([, { guest, wish }]) => isServedByDaemon(guest, wish));

test('are played on the plain ways of a snapshot, a commit and a pull', () => {
  expect(new Set(CASES.map(([, { wish }]) => wish.operation))).toEqual(
    new Set(['snapshot', 'commit', 'pull']),
  );
});

test.each(CASES)('keep what was on an export that is removed: %s', async (_name, plain) => {
  const struck: number[] = [];
  for (const nth of moments(COMMANDS_MAX)) {
    const gone: PlannedFault = {
      ...{ kind: 'otherClient', at: { when: 'before', nth } },
      ...{ execute: 'block-export-del', arguments: { id: 'dev0' } },
    };
    const scenario = onDaemon({ ...plain, faults: [gone] });
    expect(await wrongs(scenario), `before command ${nth}`).toBe('');
    struck.push((await runScenario(scenario)).struck.length);
  }
  expect(struck).toContain(1);
});

test('go back from overlays that are on the exports already, without a pause', async () => {
  const [, plain] = CASES[0] ?? expect.unreachable('there is a snapshot');
  const outcomes: (string | undefined)[] = [];
  for (let nth = 1; nth <= LOOKS_MAX; nth += 1) {
    const refused: PlannedFault = {
      kind: 'refuse',
      command: 'query-block-exports',
      nth,
      from: 'takeSnapshot',
    };
    const scenario = onDaemon({ ...plain, faults: [refused] });
    expect(await wrongs(scenario), `look ${nth}`).toBe('');
    const account = await runScenario(scenario);
    if (account.states.flat().some(state => state.includes('undo takeSnapshot')))
      outcomes.push(account.result?.outcome);
  }
  expect(outcomes).toContain('rolledBack');
  expect(new Set(outcomes)).toEqual(new Set(['rolledBack']));
});

const LOOKS_MAX = 8;
