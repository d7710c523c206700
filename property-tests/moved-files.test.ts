/**
 * Third parties that rename, remove and replace images while sagas work on them: the laws hold, and each excuse for it leaves
 * the law its teeth: with one look less, or one word less in the result, the same runs break it.
 */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { BlocksagaError } from '../src/errors.ts';
import { ALL, composeScenario } from '../src/fuzz/draw/draw-scenario.ts';
import { judge } from '../src/fuzz/laws/laws.ts';
import { runScenario } from '../src/fuzz/run/run-scenario.ts';
import { drawFrom } from '../src/fuzz/scenario/draw.ts';
import { FAULT_KINDS } from '../src/fuzz/scenario/fault-kinds.ts';
import type { Scenario } from '../src/fuzz/scenario/scenario.ts';
import { often } from '../test/tiers/tier.ts';

const KEPT = new URL('replays/', import.meta.url);
const EXCUSED = new URL('excused.json', import.meta.url);

/** What is left out of the engine. */
const without = vi.hoisted(() => ({ look: '' }));

vi.mock('../src/steps/prepare/expect-names.ts', async importOriginal => {
  const real = await importOriginal<typeof import('../src/steps/prepare/expect-names.ts')>();
  return {
    ...real,
    expectNames: (...given: Parameters<typeof real.expectNames>) =>
      ['in front', 'at all'].includes(without.look) ? Promise.resolve() : real.expectNames(...given),
    findWrongNames: (...given: Parameters<typeof real.findWrongNames>) =>
      ['behind a death', 'at all'].includes(without.look) && given[1] === 'claimed'
        ? Promise.resolve([])
        : real.findWrongNames(...given),
    expectOldNames: async (...given: Parameters<typeof real.expectOldNames>) => {
      if (without.look === 'in a rollback') return;
      await real.expectOldNames(...given).catch(error => {
        if (without.look !== 'which file') throw error;
        throw new BlocksagaError('FOREIGN', 'a name leads elsewhere: put the right file back, then resume');
      });
    },
  };
});

vi.mock('../src/engine/running/misnamed.ts', async importOriginal => {
  const real = await importOriginal<typeof import('../src/engine/running/misnamed.ts')>();
  return {
    ...real,
    findMisnamed: (...given: Parameters<typeof real.findMisnamed>) =>
      without.look === 'at the end' ? Promise.resolve([]) : real.findMisnamed(...given),
  };
});

vi.mock('../src/sim/host/virtual-files.ts', async importOriginal => {
  const real = await importOriginal<typeof import('../src/sim/host/virtual-files.ts')>();
  return {
    ...real,
    virtualFiles(...given: Parameters<typeof real.virtualFiles>) {
      const files = real.virtualFiles(...given);
      return without.look === 'in the directory' ? { ...files, findMoved: async () => undefined } : files;
    },
  };
});

vi.mock('../src/engine/removal/claims.ts', async importOriginal => {
  const real = await importOriginal<typeof import('../src/engine/removal/claims.ts')>();
  return {
    ...real,
    strayedFiles: (...given: Parameters<typeof real.strayedFiles>) =>
      without.look === 'behind a rollback' ? [] : real.strayedFiles(...given),
  };
});

/** Nothing else goes wrong in these. */
const OTHERS = [
  ...Object.keys(FAULT_KINDS).filter(kind => kind !== 'file'),
  ...['deaths', 'signals', 'turn', 'squatter', 'publisher', 'offlineDeath'],
];
const RUNS = often(90, 2_000);
const RUNS_MAX = 2_000;

afterEach(() => {
  without.look = '';
});

/** Those of the first seeds, from one of them on. */
function* moved(runs: number, from = 1): Generator<Scenario> {
  for (let nth = 0; nth < runs; nth += 1) {
    const seed = ((from - 1 + nth) % runs) + 1;
    const draw = drawFrom(seed).without(OTHERS);
    const scenario = composeScenario({ ...draw, isOn: name => name === 'file' || draw.isOn(name) }, seed, {
      ...ALL,
      disksMax: 3,
      faultsMax: 2,
    });
    if (scenario.wish.operation !== 'commitOffline' && scenario.faults.length > 0) yield scenario;
  }
}

test('every law holds while images are renamed, removed and replaced', async () => {
  for (const scenario of moved(RUNS)) {
    expect(judge(await runScenario(scenario)), JSON.stringify(scenario)).toEqual([]);
  }
});

describe('the laws notice', () => {
  // With a seed that has shown it, from which on it is looked for: it is found at once for as long as that does.
  test.each([
    ['in front', 'a boot reads it too', 11],
    ['in front', 'only what is ours', 11],
    ['in a rollback', 'only what is ours', 1_002],
    ['at the end', 'a boot reads it too', 4],
    ['behind a rollback', 'leftovers tell all', 11],
    ['behind a rollback', 'nothing left', 520],
  ])('that no name is looked at %s: %s', async (look, law, seed) => {
    without.look = look;
    let isNoticed = false;
    for (const scenario of moved(RUNS_MAX, seed)) {
      isNoticed = judge(await runScenario(scenario)).some(violation => violation.law === law);
      if (isNoticed) break;
    }
    expect(isNoticed).toBe(true);
  });
});

describe('in a kept run the laws notice', () => {
  test.each([
    ['behind a death', 'names-are-looked-at-again-behind-a-death', 'a boot reads it too'],
    ['at all', 'names-are-looked-at-again-before-an-overlay-is-made', 'only what is ours'],
    ['behind a death', 'names-are-looked-at-again-before-chains-are-shortened', 'a boot reads it too'],
    ['in the directory', 'renamed-behind-a-death-in-its-removal', 'leftovers tell all'],
    ['in the directory', 'made-by-a-process-that-died-then-replaced', 'leftovers tell all'],
    ['in the directory', 'made-by-a-process-that-died-then-renamed', 'leftovers tell all'],
    ['in front', 'directory-replaced-while-a-mirror-opens-its-target', 'only what is ours'],
    ['behind a rollback', 'renamed-between-two-tries-of-its-removal', 'leftovers tell all'],
    ['which file', 'a-rollback-says-which-file-it-waits-for', 'it ends'],
    ['which file', 'a-rollback-says-which-file-it-waits-for', 'recovery is the exception'],
  ])('what is not looked at, or not said, %s: %s: %s', async (look, file, law) => {
    const { scenario } = JSON.parse(readFileSync(new URL(`${file}.json`, KEPT), 'utf8')) as {
      scenario: Scenario;
    };
    expect(judge(await runScenario(scenario))).toEqual([]);
    without.look = look;
    expect(judge(await runScenario(scenario)).map(violation => violation.law)).toContain(law);
  });

  test('that a saga waits for the file of a third party where /proc had told: it ends', async () => {
    const kept = JSON.parse(readFileSync(EXCUSED, 'utf8')) as Readonly<Record<string, Scenario>>;
    const scenario = kept['it ends: a name led elsewhere before the request'];
    expect.assert(scenario !== undefined);
    const account = await runScenario(scenario);
    expect(judge(account)).toEqual([]);
    const told = judge({ ...account, scenario: { ...scenario, proc: true } });
    expect(told.map(({ law }) => law)).toContain('it ends');
  });

  test('that nothing is said of a file that a guest reads from since QEMU has opened it: nothing lost', async () => {
    const kept = JSON.parse(readFileSync(EXCUSED, 'utf8')) as Readonly<Record<string, Scenario>>;
    const scenario = kept['nothing lost: file'];
    expect(scenario).toBeDefined();
    if (scenario === undefined) return;
    without.look = 'at the end';
    expect(judge(await runScenario(scenario)).map(({ law }) => law)).toContain('nothing lost');
  });
});

test('a pause in which a name is looked for longer than is permitted at the least is noticed', async () => {
  const kept = JSON.parse(readFileSync(EXCUSED, 'utf8')) as Readonly<Record<string, Scenario>>;
  const scenario = kept['the pause is bounded: file'];
  if (scenario === undefined) throw new Error('no run was kept');
  const account = await runScenario(scenario);
  expect(judge(account)).toEqual([]);
  const pauses = account.pauses.map(pause => ({ ...pause, toMs: pause.toMs + 100 }));
  expect(judge({ ...account, pauses }).map(({ law }) => law)).toContain('the pause is bounded');
});
