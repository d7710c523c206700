/**
 * The law about an abort, where its saga rolls forward all the same: only for what the guest has written to disks that were
 * merged before, as the simulated world saw it. What the saga says of that is not enough.
 */
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { BlocksagaError } from '../src/errors.ts';
import { judge } from '../src/fuzz/laws/laws.ts';
import { runScenario } from '../src/fuzz/run/run-scenario.ts';
import type { Scenario } from '../src/fuzz/scenario/scenario.ts';
import { sleep } from '../src/qmp/clock.ts';
import { ALL_STEPS, type StepName } from '../src/steps/all-steps.ts';
import type { Step } from '../src/steps/step/step.ts';

const LAW = 'asked to roll back, rolls back';

function scenarioOf(name: string): Scenario {
  const file = new URL(`replays/${name}.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly scenario: Scenario }).scenario;
}

const COMPLETED = scenarioOf('completed-while-it-is-taken-back');
const FINALIZED = scenarioOf('pull-finalized-by-a-third-party-then-aborted');
const PAUSED = scenarioOf('abort-behind-a-merge-that-a-third-party-has-completed');
const IN_ITS_PAUSE = scenarioOf('abort-behind-a-merge-that-a-third-party-has-completed-in-the-pause');
const TOO_LONG = scenarioOf('asked-back-in-a-switch-that-is-too-long');

const steps = ALL_STEPS as { -readonly [name in StepName]: Step };
const sound: Readonly<Record<StepName, Step>> = { ...ALL_STEPS };
afterEach(() => void Object.assign(steps, sound));

async function lawsOf(scenario: Scenario, change: object = {}): Promise<readonly string[]> {
  return judge({ ...(await runScenario(scenario)), ...change }).map(({ law }) => law);
}

describe('an abort that is not heeded', () => {
  test('is noticed where the guest has not run on a merged disk', async () => {
    expect(await lawsOf(COMPLETED)).toEqual([]);
    expect(await lawsOf(COMPLETED, { ranOnNew: false })).toEqual([LAW]);
    expect(await lawsOf(TOO_LONG, { ranOnNew: false })).toEqual([LAW]);
  });

  test('is noticed of a guest that its administrator has paused where no third party has merged a disk', async () => {
    expect(await lawsOf(PAUSED)).toEqual([]);
    expect(await lawsOf(PAUSED, { ranOnNew: false })).toEqual([LAW]);
    const [fault] = PAUSED.faults;
    expect.assert(fault?.kind === 'otherClient');
    const unknown = { ...PAUSED, faults: [{ ...fault, arguments: { id: 'no such job' } }] };
    expect((await runScenario(unknown)).ranOnNew).toBe(false);
    expect((await runScenario(PAUSED)).ranOnNew).toBe(true);
  });

  test('is noticed of a guest that its saga has paused where that has merged its disks itself', async () => {
    expect(await lawsOf(IN_ITS_PAUSE)).toEqual([]);
    expect(await lawsOf(IN_ITS_PAUSE, { ranOnNew: false })).toEqual([LAW]);
    steps.completeMirrors = {
      ...sound.completeMirrors,
      verify: async () => {
        throw new BlocksagaError('FOREIGN', 'the disks are merged, and something else is wrong');
      },
      undo: async ({ clock }) => {
        await sleep(clock, 2);
        throw new BlocksagaError('OVERTAKEN', 'the guest may have written to some of its disks');
      },
    } as Step;
    const [fault] = IN_ITS_PAUSE.faults;
    expect.assert(fault?.kind === 'otherClient');
    const unknown = { ...fault, arguments: { device: 'no such job' } };
    const asked = {
      ...IN_ITS_PAUSE,
      faults: [unknown],
      signals: [{ signal: 'abort', atMs: 4.3 }],
    } as const;
    expect(await lawsOf(asked)).toContain(LAW);
  });

  test('is noticed where no third party has had a chain shortened', async () => {
    expect(await lawsOf(FINALIZED)).toEqual([]);
    expect(await lawsOf(FINALIZED, { ranOnNew: false })).toEqual([LAW]);
    const faults = FINALIZED.faults.filter(({ kind }) => kind === 'refuse');
    expect(await lawsOf({ ...FINALIZED, faults })).toEqual([]);
    steps.rewriteChains = {
      ...sound.rewriteChains,
      undo: async () => {
        throw new BlocksagaError('OVERTAKEN', 'one of the chains is shortened');
      },
    };
    expect(await lawsOf({ ...FINALIZED, faults })).toContain(LAW);
  });

  test('is noticed where the guest was resumed with some disks merged though its pause was not over', async () => {
    expect(await lawsOf(TOO_LONG)).toEqual([]);
    expect(await lawsOf(TOO_LONG, { pauses: [] })).toEqual([LAW]);
  });

  test('is noticed where the switch began only after it', async () => {
    const { recordsEnded } = await runScenario(TOO_LONG);
    const first = recordsEnded.map(each => (each.kind === 'signal' ? { ...each, seq: 0 } : each));
    expect(await lawsOf(TOO_LONG, { recordsEnded: first })).toEqual([LAW]);
  });

  test('is noticed of an undo that says it would lose writes where nothing is merged', async () => {
    const [fault] = COMPLETED.faults;
    expect.assert(fault?.kind === 'otherClient');
    const unknown = { ...fault, execute: 'job-complete', arguments: { id: 'no such job' } };
    const asked = { ...COMPLETED, faults: [unknown], signals: [{ signal: 'abort', atMs: 3.6 }] } as const;
    expect(await lawsOf(asked)).toEqual([]);
    steps.mirrorDisks = {
      ...sound.mirrorDisks,
      undo: async () => {
        throw new BlocksagaError('OVERTAKEN', 'the guest may have written to some of its disks');
      },
    } as Step;
    expect(await lawsOf(asked)).toContain(LAW);
  });
});
