import { describe, expect, test } from 'vitest';
import { areGuestsHeld } from '../../src/engine/running/last-resort.ts';
import { ALL, drawScenario } from '../../src/fuzz/draw/draw-scenario.ts';
import { type FuzzReport, fuzz } from '../../src/fuzz/fuzz.ts';
import { runScenario } from '../../src/fuzz/run/run-scenario.ts';

/** Some blocks, the last of them not full. */
const RUNS = 50;

/** All but how long it took. */
function whatCame({ runs, outcomes, findings, coverage }: FuzzReport) {
  return { runs, outcomes, findings, coverage };
}

describe('fuzz', () => {
  test('finds and goes through the same in two threads and in this one', async () => {
    const here = await fuzz({ seed: 1, runs: RUNS });
    const two = await fuzz({ seed: 1, runs: RUNS, jobs: 2 });
    expect(here.runs).toBe(RUNS);
    expect(whatCame(two)).toEqual(whatCame(here));
  });

  test('the same seed is the same run, message for message', async () => {
    const told = async () => {
      const happenings: unknown[] = [];
      for (let seed = 1; seed <= 12; seed += 1) {
        await runScenario(drawScenario(seed), happening => happenings.push(happening));
      }
      return happenings;
    };
    expect(await told()).toEqual(await told());
  });

  test('a saga whose process died in the pause is not kept in memory', async () => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const scenario = drawScenario(seed, { ...ALL, disks: 1 });
      await runScenario(scenario);
      expect(areGuestsHeld(), `seed ${seed}`).toBe(false);
    }
  });
});
